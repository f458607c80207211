import { once } from 'node:events'
import type { Socket } from 'node:net'
import { messageOf } from '../../core/errors.ts'
import { SaltError } from '../errors.ts'
import { connectSocket } from './connect.ts'
import type { Framing } from './dialect.ts'
import { FrameBatch } from './frame.ts'

/** How long the last bytes may take when a client ends. */
const CLOSE_MS = 1000

/** One connection to the pull socket of a bus. Events of one turn go out in one write. */
export class BusWriter implements AsyncDisposable {
  readonly framing: Framing
  readonly #path: string
  readonly #socket: Socket
  readonly #batch: FrameBatch
  readonly #flush = (): void => this.#write()
  /** Of the events that wait for the end of this turn. */
  #turn: PromiseWithResolvers<void> | undefined
  #failure: SaltError | undefined
  /** Called when the other side says something; Salt never does, our puller answers probes. */
  onAnswer: () => void = () => {}

  private constructor(path: string, socket: Socket, framing: Framing) {
    this.framing = framing
    this.#path = path
    this.#socket = socket
    this.#batch = new FrameBatch(framing)
    socket.on('data', () => this.onAnswer())
    socket.on('error', (error) => this.#fail(messageOf(error), error))
    socket.on('close', () => this.#fail('the bus ended'))
  }

  /** @throws {SaltError} as `connectSocket` does. */
  static async connect(path: string, framing: Framing, signal?: AbortSignal): Promise<BusWriter> {
    return new BusWriter(path, await connectSocket(path, signal), framing)
  }

  /** Whether events can still be written. */
  get open(): boolean {
    return this.#failure === undefined
  }

  /** Resolves when the operating system has the event's bytes: while the bus does not read, it does not. */
  write(tag: string, payload: Buffer): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    this.#batch.addEvent(tag, payload)
    if (!this.#turn) {
      this.#turn = Promise.withResolvers()
      process.nextTick(this.#flush)
    }
    return this.#turn.promise
  }

  /** Writes what waits, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#write()
    if (this.#socket.closed) return
    const gone = once(this.#socket, 'close')
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_MS)
    this.#socket.destroySoon()
    await gone
    clearTimeout(timer)
  }

  #write(): void {
    const turn = this.#turn
    if (!turn) return
    this.#turn = undefined
    const blocks = this.#batch.take()
    const last = blocks.pop() ?? Buffer.alloc(0)
    this.#socket.cork()
    for (const block of blocks) this.#socket.write(block)
    this.#socket.write(last, (error) => {
      if (error) turn.reject(this.#failure ?? this.#lost(messageOf(error), error))
      else turn.resolve()
    })
    this.#socket.uncork()
  }

  #lost(reason: string, cause: unknown): SaltError {
    return new SaltError('ERR_SALT_CONNECTION_LOST', `lost ${this.#path}: ${reason}`, { cause })
  }

  #fail(reason: string, cause?: unknown): void {
    this.#failure ??= this.#lost(reason, cause)
  }
}
