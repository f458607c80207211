import type { Socket } from 'node:net'
import type { SaslLayer } from '../sasl/index.ts'

/** What is gathered before it goes to the socket at the latest, in bytes. */
const CHUNK_BYTES_MAX = 65_536
const CHUNK_BYTES_MIN = 1024
/** Where the callback id stands in a message: first in its body, behind length word and header. */
const CALLBACK_ID_OFFSET = 28

/**
 * Gathers the packets of one tick into few writes. A packet is copied into the chunk that waits, so one encoded event
 * serves every registration: only its callback id differs.
 */
export class Outbox {
  readonly #socket: Socket
  #chunk: Buffer = Buffer.allocUnsafe(CHUNK_BYTES_MIN)
  #used = 0
  #scheduled = false
  #layer: SaslLayer | undefined
  readonly #flushLater = (): void => {
    this.#scheduled = false
    this.flush()
  }

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Bytes that the client has not taken: those gathered here and those in the socket. */
  get unsentBytes(): number {
    return this.#used + this.#socket.writableLength
  }

  /**
   * Whether over `bytesMax` wait and the socket will say so when they are gone: only then may work be put off until
   * its `drain`.
   */
  isOver(bytesMax: number): boolean {
    if (this.unsentBytes <= bytesMax) return false
    this.flush()
    return this.unsentBytes > bytesMax && this.#socket.writableNeedDrain
  }

  /** Puts a SASL security layer around everything that is queued from now on. */
  secure(layer: SaslLayer): void {
    this.flush()
    this.#layer = layer
  }

  /** Queues one packet; it is copied, unless it is longer than a chunk. */
  packet(bytes: Buffer): void {
    if (bytes.length > CHUNK_BYTES_MAX) {
      this.flush()
      this.#write(bytes)
      return
    }
    this.#append(bytes)
  }

  /** Queues a copy of an encoded message with another callback id. */
  message(bytes: Buffer, callbackId: number): void {
    if (bytes.length > CHUNK_BYTES_MAX) {
      const own = Buffer.from(bytes)
      own.writeInt32BE(callbackId, CALLBACK_ID_OFFSET)
      this.packet(own)
      return
    }
    const at = this.#append(bytes)
    this.#chunk.writeInt32BE(callbackId, at + CALLBACK_ID_OFFSET)
  }

  /** Hands what is gathered to the socket. */
  flush(): void {
    if (this.#used === 0) return
    const full = this.#chunk.subarray(0, this.#used)
    // The socket keeps the chunk until it is written, so the next packets need another; of the size that was of use.
    const bytes = Math.max(CHUNK_BYTES_MIN, Math.min(CHUNK_BYTES_MAX, 2 * this.#used))
    this.#chunk = Buffer.allocUnsafe(bytes)
    this.#used = 0
    this.#write(full)
  }

  #write(bytes: Buffer): void {
    this.#socket.write(this.#layer ? this.#layer.wrap(bytes) : bytes)
  }

  #append(bytes: Buffer): number {
    if (this.#used + bytes.length > this.#chunk.length) this.#grow(bytes.length)
    const at = this.#used
    bytes.copy(this.#chunk, at)
    this.#used = at + bytes.length
    if (!this.#scheduled) {
      this.#scheduled = true
      process.nextTick(this.#flushLater)
    }
    return at
  }

  #grow(need: number): void {
    if (this.#used + need > CHUNK_BYTES_MAX) this.flush()
    if (this.#used + need <= this.#chunk.length) return
    const grown = Buffer.allocUnsafe(
      Math.min(CHUNK_BYTES_MAX, Math.max(this.#used + need, 2 * this.#chunk.length)),
    )
    this.#chunk.copy(grown, 0, 0, this.#used)
    this.#chunk = grown
  }
}
