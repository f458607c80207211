import type { Socket } from 'node:net'
import { codeOf, messageOf } from '../../core/errors.ts'
import { EventQueue } from '../../core/event-queue.ts'
import type { Logger } from '../../core/logger.ts'
import { SaltError } from '../errors.ts'
import { WireEvent } from '../wire-event.ts'
import { readTag, tagEnd } from './body.ts'
import { connectSocket } from './connect.ts'
import type { Framing } from './dialect.ts'
import { keepable } from './frame.ts'
import { PROBE_TAG } from './probe-tag.ts'
import { MessageSplitter } from './splitter.ts'

interface Subscription {
  readonly matches: (tag: string) => boolean
  readonly queue: EventQueue<WireEvent>
}

/** One connection to the pub socket of a bus, and who listens to it. */
export class BusReader implements Disposable {
  readonly #path: string
  readonly #socket: Socket
  readonly #log: Logger
  readonly #subscriptions = new Set<Subscription>()
  readonly #splitter: MessageSplitter
  #failure: SaltError | undefined
  #closed = false
  /** Told of the first byte, and of each tag under {@link PROBE_TAG}. */
  onProbe: (tag: string | undefined) => void = () => {}

  private constructor(path: string, socket: Socket, log: Logger) {
    this.#path = path
    this.#socket = socket
    this.#log = log
    this.#splitter = new MessageSplitter({ onBody: (body) => this.#take(body) })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => this.#fail(messageOf(error), error))
    socket.on('close', () => this.#fail('the bus ended'))
  }

  /** @throws {SaltError} as `connectSocket` does. */
  static async connect(
    path: string,
    options: { log: Logger; signal?: AbortSignal | undefined },
  ): Promise<BusReader> {
    return new BusReader(path, await connectSocket(path, options.signal), options.log)
  }

  /** How the bus cuts its messages, once it has sent one. */
  get framing(): Framing | undefined {
    return this.#splitter.framing
  }

  /** The events whose tag matches, from now on. */
  subscribe(options: {
    matches: (tag: string) => boolean
    limit: number
    signal?: AbortSignal | undefined
  }): EventQueue<WireEvent> {
    const queue: EventQueue<WireEvent> = new EventQueue({
      limit: options.limit,
      signal: options.signal,
      onEnd: () => this.#subscriptions.delete(subscription),
    })
    const subscription: Subscription = { matches: options.matches, queue }
    if (this.#closed) queue.close(this.#failure)
    else if (!options.signal?.aborted) this.#subscriptions.add(subscription)
    return queue
  }

  [Symbol.dispose](): void {
    this.#end(undefined)
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    const first = this.#splitter.framing === undefined
    try {
      this.#splitter.push(chunk)
    } catch (error) {
      this.#log.warn(
        { path: this.#path, code: codeOf(error), reason: messageOf(error) },
        'bus sent no messages',
      )
      this.#fail(messageOf(error), error)
      this.#socket.destroy()
    }
    if (first) this.onProbe(undefined)
  }

  #take(body: Buffer): void {
    const end = tagEnd(body)
    const tag = readTag(body, end)
    if (tag === undefined) {
      this.#log.debug({ path: this.#path, bytes: body.length }, 'message without a tag left out')
      return
    }
    if (tag.startsWith(PROBE_TAG)) this.onProbe(tag)
    else this.#spread(tag, body, end)
  }

  #spread(tag: string, body: Buffer, end: number): void {
    let event: WireEvent | undefined
    for (const { matches, queue } of this.#subscriptions) {
      if (!matches(tag)) continue
      event ??= new WireEvent(tag, keepable(body.subarray(end + 2)))
      queue.push(event)
    }
  }

  #fail(reason: string, cause?: unknown): void {
    this.#end(new SaltError('ERR_SALT_CONNECTION_LOST', `lost ${this.#path}: ${reason}`, { cause }))
  }

  #end(failure: SaltError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#failure = failure
    for (const { queue } of [...this.#subscriptions]) queue.close(failure)
    this.#subscriptions.clear()
  }
}
