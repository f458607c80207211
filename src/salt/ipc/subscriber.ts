import type { Socket } from 'node:net'
import type { Block } from './frame.ts'

/** What is handed to Node before it waits here, where it can still be dropped. */
const HANDED_BYTES = 1_048_576

/** What becomes of a subscriber that reads too slowly: it is cut, or the oldest events that wait for it are dropped. */
export type SlowPolicy = 'disconnect' | 'drop'

/** What may wait for one subscriber. */
export interface SubscriberLimits {
  readonly bytesMax: number
  readonly eventsMax: number
  readonly policy: SlowPolicy
}

/** One connection that reads events: blocks wait for it here, shared with all others. */
export class Subscriber {
  readonly socket: Socket
  readonly #limits: SubscriberLimits
  #waiting: Block[] = []
  #waitingBytes = 0
  #waitingEvents = 0
  #dropped = 0

  constructor(socket: Socket, limits: SubscriberLimits) {
    this.socket = socket
    this.#limits = limits
    socket.on('drain', () => this.#hand())
  }

  /** Events that were dropped. */
  get dropped(): number {
    return this.#dropped
  }

  /** Bytes that wait. */
  get pendingBytes(): number {
    return this.#waitingBytes + this.socket.writableLength
  }

  /**
   * Sends blocks, or has them wait. It is judged by what waits before they are added, so that one turn with many events cuts nobody.
   *
   * @returns the number of events that were dropped for them; 'cut' when the subscriber has to go.
   */
  write(blocks: readonly Block[]): number | 'cut' {
    const { bytesMax, eventsMax, policy } = this.#limits
    const isSlow = this.pendingBytes > bytesMax || this.#waitingEvents > eventsMax
    if (isSlow && policy === 'disconnect') return 'cut'
    let dropped = 0
    // What Node has is no longer ours to drop; the newest block stays in any case.
    while (isSlow && this.#waiting.length > 0 && this.#isOver()) dropped += this.#drop()
    if (this.#waiting.length === 0 && this.socket.writableLength < HANDED_BYTES) this.#send(blocks)
    else this.#keep(blocks)
    this.#dropped += dropped
    return dropped
  }

  /** Sends all that waits; for the end. */
  flush(): void {
    this.#send(this.#waiting.splice(0))
    this.#waitingBytes = 0
    this.#waitingEvents = 0
  }

  #isOver(): boolean {
    return this.pendingBytes > this.#limits.bytesMax || this.#waitingEvents > this.#limits.eventsMax
  }

  #drop(): number {
    const block = this.#waiting.shift()
    this.#waitingBytes -= block?.bytes.length ?? 0
    this.#waitingEvents -= block?.messages ?? 0
    return block?.messages ?? 0
  }

  #keep(blocks: readonly Block[]): void {
    for (const block of blocks) {
      this.#waiting.push(block)
      this.#waitingBytes += block.bytes.length
      this.#waitingEvents += block.messages
    }
  }

  #hand(): void {
    let bytes = this.socket.writableLength
    let count = 0
    while (count < this.#waiting.length && bytes < HANDED_BYTES) {
      const block = this.#waiting[count++]
      bytes += block?.bytes.length ?? 0
      this.#waitingBytes -= block?.bytes.length ?? 0
      this.#waitingEvents -= block?.messages ?? 0
    }
    this.#send(this.#waiting.splice(0, count))
  }

  #send(blocks: readonly Block[]): void {
    if (blocks.length > 1) this.socket.cork()
    for (const { bytes } of blocks) this.socket.write(bytes)
    if (blocks.length > 1) this.socket.uncork()
  }
}
