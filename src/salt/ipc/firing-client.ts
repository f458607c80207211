import type { Socket } from 'node:net'
import { SaltError } from '../errors.ts'
import { MessageSplitter } from './splitter.ts'
import { TokenBucket } from './token-bucket.ts'

/** The longest time that a timer can wait: 2³¹ − 1 ms, nearly 25 days. */
const TIMER_MS_MAX = 0x7fff_ffff

/** What one firing client may send on average; a second's worth may come at once. */
export interface FiringLimits {
  readonly eventsPerSecond?: number | undefined
  readonly bytesPerSecond?: number | undefined
}

interface FiringClientOptions {
  readonly onBody: (body: Buffer) => void
  /** The bytes are no messages, or the client stopped in the middle of one. */
  readonly onFault: (error: unknown) => void
  /** The client is not read for a while. */
  readonly onThrottled: () => void
  readonly messageBytesMax: number | undefined
  readonly stallMs: number
  readonly limits: FiringLimits | undefined
}

/** Reads one client that fires: cuts its bytes into messages, waits for it no longer than `stallMs`, and lets it wait when it sends too much. */
export class FiringClient {
  readonly #socket: Socket
  readonly #options: FiringClientOptions
  readonly #splitter: MessageSplitter
  readonly #events: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  #messages = 0
  #inMessage = false
  #resume: NodeJS.Timeout | undefined

  constructor(socket: Socket, options: FiringClientOptions) {
    const { eventsPerSecond, bytesPerSecond } = options.limits ?? {}
    const now = performance.now()
    this.#socket = socket
    this.#options = options
    this.#events = eventsPerSecond === undefined ? undefined : new TokenBucket(eventsPerSecond, now)
    this.#bytes = bytesPerSecond === undefined ? undefined : new TokenBucket(bytesPerSecond, now)
    const { messageBytesMax } = options
    this.#splitter = new MessageSplitter({ onBody: (body) => this.#take(body), messageBytesMax })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('timeout', () => this.#stalled())
    socket.on('close', () => clearTimeout(this.#resume))
  }

  #take(body: Buffer): void {
    this.#messages++
    this.#options.onBody(body)
  }

  #read(chunk: Buffer): void {
    // What was on its way when the connection was cut.
    if (this.#socket.destroyed) return
    this.#messages = 0
    try {
      this.#splitter.push(chunk)
    } catch (error) {
      this.#options.onFault(error)
      return
    }
    const inMessage = this.#splitter.pendingBytes > 0
    if (inMessage !== this.#inMessage) {
      this.#inMessage = inMessage
      this.#watch(inMessage)
    }
    if (this.#events || this.#bytes) this.#charge(chunk.length)
  }

  #charge(bytes: number): void {
    const now = performance.now()
    const waitMs = Math.max(this.#events?.take(this.#messages, now) ?? 0, this.#bytes?.take(bytes, now) ?? 0)
    if (waitMs === 0 || this.#socket.destroyed) return
    this.#options.onThrottled()
    this.#socket.pause()
    // A client that is not read cannot be blamed for its silence.
    this.#watch(false)
    clearTimeout(this.#resume)
    this.#resume = setTimeout(() => this.#readOn(), Math.min(waitMs, TIMER_MS_MAX))
  }

  #readOn(): void {
    this.#watch(this.#inMessage)
    this.#socket.resume()
  }

  #watch(isWaiting: boolean): void {
    this.#socket.setTimeout(isWaiting ? this.#options.stallMs : 0)
  }

  #stalled(): void {
    const { stallMs } = this.#options
    this.#options.onFault(
      new SaltError('ERR_SALT_FRAME', `no byte for ${stallMs} ms in the middle of a message`),
    )
  }
}
