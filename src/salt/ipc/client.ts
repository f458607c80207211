import type { EventQueue } from '../../core/event-queue.ts'
import { type Logger, silentLogger } from '../../core/logger.ts'
import { SaltError } from '../errors.ts'
import { StampClock, type StampForm } from '../stamp.ts'
import { type MatchType, tagMatcher } from '../tag-match.ts'
import { EVENT_BYTES_MAX, isMap, packTrimmed } from '../trim.ts'
import type { WireEvent } from '../wire-event.ts'
import { checkTag } from './body.ts'
import { type Dialect, type Framing, pullFraming } from './dialect.ts'
import { type FramingMemory, PROCESS_MEMORY } from './framing-memory.ts'
import { PROBE_MS, probe } from './probe.ts'
import { BusReader } from './reader.ts'
import { type BusNode, socketPaths } from './socket-names.ts'
import { BusWriter } from './writer.ts'

/** Events that may wait for one reader; beyond, the oldest are dropped and counted. */
export const EVENTS_QUEUED_MAX = 4096

/** Which bus, and how to talk to it. */
export interface SaltEventClientOptions extends BusNode {
  /** Salt's `sock_dir`, such as `/var/run/salt/master`. */
  readonly sockDir: string
  /** How the bus wants its messages cut; by default the first event that is fired on it in this process finds out. */
  readonly dialect?: Dialect | 'probe' | undefined
  /** `false` opens no connection for events: for who only fires. Default `true`. */
  readonly listen?: boolean | undefined
  /** Default of {@link SaltEventClient.events}; {@link EVENTS_QUEUED_MAX}. */
  readonly limit?: number | undefined
  /** Salt's `max_event_size`; default {@link EVENT_BYTES_MAX}. */
  readonly eventBytesMax?: number | undefined
  /** Form of `_stamp`; default `naive`, as Salt 3006. */
  readonly stampForm?: StampForm | undefined
  /** What is known of buses that were probed; by default what this process has found out. */
  readonly memory?: FramingMemory | undefined
  /** Milliseconds for each of the two tries of a probe; default 1000. */
  readonly probeMs?: number | undefined
  readonly log?: Logger | undefined
  /** Ends connecting; not the client. */
  readonly signal?: AbortSignal | undefined
}

/** Which events. */
export interface EventsOptions {
  /** What tags are compared with; by default every tag matches. */
  readonly tag?: string | undefined
  /** Default `startswith`, as Salt's. */
  readonly matchType?: MatchType | undefined
  /** A condition of its own, in the place of `tag` and `matchType`. */
  readonly filter?: ((tag: string) => boolean) | undefined
  /** Events that may wait; the oldest are dropped beyond it and counted in `dropped`. */
  readonly limit?: number | undefined
  /** Ends the iteration. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A client of a Salt bus, ours or a real one's: what `salt.utils.event.get_event` is in Python.
 *
 * @example
 * await using client = await SaltEventClient.connect({ sockDir: '/var/run/salt/master', node: 'master' })
 * await client.fire('my/tag', { load: 3 })
 * for await (const { tag, data } of client.events({ tag: 'salt/job/' })) console.log(tag, data)
 */
export class SaltEventClient implements AsyncDisposable {
  readonly #options: SaltEventClientOptions
  readonly #pullPath: string
  readonly #pubPath: string
  readonly #log: Logger
  readonly #clock: StampClock
  readonly #reader: BusReader | undefined
  #writer: BusWriter | undefined
  #framing: Framing | undefined
  #opening: Promise<BusWriter> | undefined
  /** Events that wait for a connection; those after them wait too, so that the order stays. */
  #waiting = 0
  #closed = false

  private constructor(options: SaltEventClientOptions, reader: BusReader | undefined, log: Logger) {
    const { pub, pull } = socketPaths(options.sockDir, options)
    this.#options = options
    this.#pubPath = pub
    this.#pullPath = pull
    this.#reader = reader
    this.#log = log
    this.#clock = new StampClock(options.stampForm)
  }

  /**
   * Connects to the pub socket; the pull socket is opened by the first event that is fired, and again after it was lost.
   * With `listen: false` no socket is opened before that.
   *
   * @throws {SaltError} ERR_SALT_NO_BUS, ERR_SALT_ACCESS, ERR_SALT_STALE or ERR_SALT_CONNECT.
   */
  static async connect(options: SaltEventClientOptions): Promise<SaltEventClient> {
    const log = options.log ?? silentLogger
    const { pub } = socketPaths(options.sockDir, options)
    const reader =
      options.listen === false ? undefined : await BusReader.connect(pub, { log, signal: options.signal })
    return new SaltEventClient(options, reader, log)
  }

  /** The dialect of the bus, as far as it is known by what was given, seen or probed. */
  get dialect(): Dialect | undefined {
    const { dialect } = this.#options
    if (dialect !== undefined && dialect !== 'probe') return dialect
    const framing = this.#reader?.framing
    if (framing === 'prefixed') return 'prefixed'
    if (this.#framing === 'bare') return 'classic'
    return this.#framing === 'prefixed' && framing === 'bare' ? 'split' : undefined
  }

  /**
   * The events from now on whose tag matches. Leaving the loop ends it; a lost connection throws ERR_SALT_CONNECTION_LOST,
   * after what came before it.
   *
   * @throws {SaltError} ERR_SALT_MATCH when the expression is none; ERR_SALT_CLOSED with `listen: false`.
   */
  events(options: EventsOptions = {}): EventQueue<WireEvent> {
    const { tag = '', matchType = 'startswith', filter, signal } = options
    if (!this.#reader) throw new SaltError('ERR_SALT_CLOSED', 'this client was made to fire only')
    const matches = filter ?? tagMatcher(tag, matchType)
    const limit = options.limit ?? this.#options.limit ?? EVENTS_QUEUED_MAX
    return this.#reader.subscribe({ matches, limit, signal })
  }

  /**
   * Fires an event; resolves when the operating system has it. Events that are fired in one turn leave in one write.
   * Who fires without end waits for the promise: what is not waited for is kept in memory.
   *
   * `_stamp` is set to the time of the call, whatever was there, as Salt does. Data that is packed over `max_event_size` has its
   * large values replaced by `VALUE_TRIMMED`, as Salt does. `data` is left as it is.
   *
   * @throws {SaltError} ERR_SALT_TAG_EMPTY, ERR_SALT_TAG or ERR_SALT_DATA_NOT_MAP for what is no event.
   * @throws {SaltError} ERR_SALT_CONNECTION_LOST when the bus ended before the bytes were written; the next call connects again.
   * @throws {SaltError} ERR_SALT_DIALECT and those of connecting, from the first event or the first after a loss.
   * @throws {MsgpackError} when a value in it has no MessagePack form.
   */
  async fire(
    tag: string,
    data: Readonly<Record<string, unknown>> | ReadonlyMap<unknown, unknown>,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    checkTag(tag)
    if (!isMap(data)) throw new SaltError('ERR_SALT_DATA_NOT_MAP', 'the data of an event has to be a map')
    const payload = packTrimmed(this.#stamped(data), this.#options.eventBytesMax ?? EVENT_BYTES_MAX)
    const { signal } = options
    signal?.throwIfAborted()
    const writer = this.#writer?.open && this.#waiting === 0 ? this.#writer : await this.#ready()
    if (signal) await orAborted(writer.write(tag, payload), signal)
    else await writer.write(tag, payload)
  }

  /** What `fire_master` of a minion's bus does: asks the minion to send the event to its master. */
  async fireMaster(
    data: Readonly<Record<string, unknown>>,
    tag: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    await this.fire('fire_master', { tag, data, events: null, pretag: null }, options)
  }

  /** Writes what was fired and closes both connections; iterations end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await this.#opening?.catch(() => undefined) // whoever fired was told
    await this.#writer?.[Symbol.asyncDispose]()
    this.#reader?.[Symbol.dispose]()
  }

  #stamped(data: object): object {
    const stamp = this.#clock.now()
    if (data instanceof Map) return new Map(data).set('_stamp', stamp)
    return { ...data, _stamp: stamp }
  }

  async #ready(): Promise<BusWriter> {
    if (this.#closed) throw new SaltError('ERR_SALT_CLOSED', 'the client is closed')
    this.#waiting++
    this.#opening ??= this.#open()
    try {
      return await this.#opening
    } finally {
      this.#waiting--
      if (this.#waiting === 0) this.#opening = undefined
    }
  }

  async #open(): Promise<BusWriter> {
    const { dialect = 'probe', memory = PROCESS_MEMORY } = this.#options
    let probed: BusWriter | undefined
    this.#framing =
      dialect !== 'probe'
        ? pullFraming(dialect)
        : await memory.recall(this.#pullPath, async () => {
            probed = await this.#probe()
            return probed.framing
          })
    this.#writer = probed ?? (await BusWriter.connect(this.#pullPath, this.#framing))
    return this.#writer
  }

  async #probe(): Promise<BusWriter> {
    const own = this.#reader ? undefined : await BusReader.connect(this.#pubPath, { log: this.#log })
    using _ = own ?? { [Symbol.dispose]: () => {} }
    const reader = this.#reader ?? own
    if (!reader) throw new SaltError('ERR_SALT_CLOSED', 'no connection to listen for the probe')
    return await probe({ pullPath: this.#pullPath, reader, probeMs: this.#options.probeMs ?? PROBE_MS })
  }
}

/** Waits for a promise no longer than until the signal is aborted. */
async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
