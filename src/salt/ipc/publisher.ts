import { once } from 'node:events'
import type { Socket } from 'node:net'
import { codeOf } from '../../core/errors.ts'
import { LogLimit } from '../../core/log-limit.ts'
import { type Logger, silentLogger } from '../../core/logger.ts'
import { checkTag } from './body.ts'
import { type Dialect, pubFraming } from './dialect.ts'
import { FrameBatch } from './frame.ts'
import { type SlowPolicy, Subscriber, type SubscriberLimits } from './subscriber.ts'
import { type SocketAccess, UnixServer } from './unix-server.ts'

/**
 * Bytes that may wait for one subscriber before it is cut. All subscribers share the bytes that wait, so this is also about
 * what all the slow ones together can hold. Salt's `ipc_write_buffer` has no bound by default.
 */
export const PENDING_BYTES_MAX = 67_108_864

/** Events that may wait for one subscriber, at most. */
export const PENDING_EVENTS_MAX = 1_000_000

/** How often the same subscriber is told to be slow, in milliseconds. */
const SLOW_TOLD_MS = 60_000

/** Subscribers at once, at most. */
export const SUBSCRIBERS_MAX = 1024

/** How long a subscriber may take for its last bytes when the publisher ends. */
const CLOSE_MS = 1000

/** Settings of {@link EventPublisher}. */
export interface EventPublisherOptions extends SocketAccess {
  /** Path of the socket; its folder has to exist. */
  readonly path: string
  /** How subscribers expect messages to be cut. */
  readonly dialect: Dialect
  /** Default {@link PENDING_BYTES_MAX}. */
  readonly pendingBytesMax?: number | undefined
  /** Default {@link PENDING_EVENTS_MAX}. */
  readonly pendingEventsMax?: number | undefined
  /** What becomes of a subscriber for which more waits; default `disconnect`. */
  readonly slow?: SlowPolicy | undefined
  /** Told when a subscriber was cut, or when events for it were dropped, then at most once a minute. */
  readonly onSlow?: ((slow: SlowSubscriber) => void) | undefined
  /** Default {@link SUBSCRIBERS_MAX}. */
  readonly subscribersMax?: number | undefined
  readonly log?: Logger | undefined
}

/** A subscriber that reads too slowly. */
export interface SlowSubscriber {
  /** Its number, counted from 1 in the order of connecting. */
  readonly subscriber: number
  readonly policy: SlowPolicy
  /** Events dropped for it so far. */
  readonly dropped: number
  readonly pendingBytes: number
}

/** What a publisher has done since it began. */
export interface PublisherStats {
  /** Events published, with or without a subscriber. */
  published: number
  /** Bytes handed to subscribers, each counted for each of them. */
  deliveredBytes: number
  /** Subscribers connected. */
  subscribers: number
  /** Subscribers cut because they did not read. */
  subscribersCut: number
  /** Events dropped for subscribers that did not read, each counted for each of them. */
  dropped: number
  /** Connections closed because there were too many. */
  subscribersRefused: number
}

/**
 * The socket that subscribers of a Salt bus read.
 *
 * The events of one turn of the event loop become one write a subscriber. A subscriber that reads too slowly is cut, or the oldest events that
 * wait for it are dropped, and delays nobody: it is judged by what waits when a turn ends, before the bytes of that turn are added.
 *
 * @example
 * await using publisher = new EventPublisher({ path: '/run/virbus/master_event_pub.ipc', dialect: 'split' })
 * await publisher.listen()
 * publisher.publish('my/tag', encode({ _stamp: new StampClock().now(), load: 3 }))
 */
export class EventPublisher implements AsyncDisposable {
  readonly stats: PublisherStats = {
    published: 0,
    deliveredBytes: 0,
    subscribers: 0,
    subscribersCut: 0,
    dropped: 0,
    subscribersRefused: 0,
  }
  readonly #server: UnixServer
  readonly #path: string
  readonly #limits: SubscriberLimits
  readonly #onSlow: (slow: SlowSubscriber) => void
  readonly #log: Logger
  readonly #limited: LogLimit
  readonly #batch: FrameBatch
  readonly #subscribers = new Map<Subscriber, { readonly number: number; toldMs: number }>()
  readonly #flush = (): void => this.flush()
  #scheduled = false
  #accepted = 0
  #closed = false

  constructor(options: EventPublisherOptions) {
    this.#path = options.path
    this.#limits = {
      bytesMax: options.pendingBytesMax ?? PENDING_BYTES_MAX,
      eventsMax: options.pendingEventsMax ?? PENDING_EVENTS_MAX,
      policy: options.slow ?? 'disconnect',
    }
    this.#onSlow = options.onSlow ?? (() => {})
    this.#log = options.log ?? silentLogger
    this.#limited = new LogLimit(this.#log)
    this.#batch = new FrameBatch(pubFraming(options.dialect))
    const { path, mode, owner, group } = options
    this.#server = new UnixServer({
      ...{ path, mode, owner, group },
      connectionsMax: options.subscribersMax ?? SUBSCRIBERS_MAX,
      onConnection: (socket) => this.#accept(socket),
      onRefused: () => this.#refuse(),
    })
  }

  /**
   * Opens the socket.
   *
   * @throws {SaltError} ERR_SALT_SOCKET_IN_USE when somebody serves the path; what a dead server left there is replaced.
   * @throws {SaltError} ERR_SALT_SOCKET_PATH when no socket can be made there, ERR_SALT_SOCKET_OWNER when it cannot be given away.
   */
  async listen(): Promise<void> {
    await this.#server.listen()
  }

  /**
   * Sends an event to all subscribers at the end of this turn of the event loop; `payload` is its data as one MessagePack map,
   * which is copied and not checked.
   *
   * @throws {SaltError} ERR_SALT_TAG_EMPTY or ERR_SALT_TAG when subscribers would read another tag.
   * @throws {SaltError} ERR_SALT_FRAME_TOO_LONG
   */
  publish(tag: string, payload: Buffer): void {
    checkTag(tag)
    if (this.#subscribers.size > 0) {
      this.#batch.addEvent(tag, payload)
      this.#schedule()
    }
    this.stats.published++
  }

  /** The same for a body as it came from a firing client: tag, empty line, data. @throws {SaltError} ERR_SALT_FRAME_TOO_LONG */
  publishBody(body: Buffer): void {
    if (this.#subscribers.size > 0) {
      this.#batch.addBody(body)
      this.#schedule()
    }
    this.stats.published++
  }

  /** Sends what was published in this turn at once. */
  flush(): void {
    this.#scheduled = false
    const blocks = this.#batch.takeBlocks()
    if (blocks.length === 0) return
    const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0)
    for (const subscriber of this.#subscribers.keys()) {
      const dropped = subscriber.write(blocks)
      if (dropped === 'cut') {
        this.#cut(subscriber)
        continue
      }
      this.stats.deliveredBytes += bytes
      this.stats.dropped += dropped
      if (dropped > 0) this.#tell(subscriber)
    }
  }

  /** Sends what is left, closes every connection and removes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const serverClosed = this.#server[Symbol.asyncDispose]()
    this.flush()
    for (const subscriber of this.#subscribers.keys()) subscriber.flush()
    await Promise.all([...this.#subscribers.keys()].map(({ socket }) => closed(socket)))
    await serverClosed
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  #accept(socket: Socket): void {
    const subscriber = new Subscriber(socket, this.#limits)
    this.#subscribers.set(subscriber, { number: ++this.#accepted, toldMs: Number.NEGATIVE_INFINITY })
    this.stats.subscribers++
    socket.on('error', (error) =>
      this.#log.debug({ path: this.#path, code: codeOf(error) }, 'subscriber lost'),
    )
    socket.on('close', () => {
      this.#subscribers.delete(subscriber)
      this.stats.subscribers--
    })
    // Subscribers have nothing to say; what they send is read and thrown away.
    socket.resume()
  }

  #refuse(): void {
    this.stats.subscribersRefused++
    this.#limited.warn(
      { path: this.#path, subscribers: this.stats.subscribers },
      'subscriber refused: too many',
    )
  }

  #cut(subscriber: Subscriber): void {
    this.stats.subscribersCut++
    this.#tell(subscriber)
    this.#subscribers.delete(subscriber)
    subscriber.socket.destroy()
  }

  /** Not while the others are being served: whoever is told may publish. */
  #tell(subscriber: Subscriber): void {
    const about = this.#subscribers.get(subscriber)
    if (!about || performance.now() - about.toldMs < SLOW_TOLD_MS) return
    about.toldMs = performance.now()
    const { pendingBytes, dropped } = subscriber
    const slow = { subscriber: about.number, policy: this.#limits.policy, dropped, pendingBytes }
    this.#log.warn({ path: this.#path, ...slow }, 'a subscriber does not read')
    setImmediate(() => {
      if (!this.#closed) this.#onSlow(slow)
    })
  }
}

/** Ends a connection when its last bytes are written, or after a moment. */
async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return
  const gone = once(socket, 'close')
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS)
  socket.destroySoon()
  await gone
  clearTimeout(timer)
}
