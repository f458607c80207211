import { Backoff } from '../core/backoff.ts'
import { codeOf, messageOf } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import type { MsgpackValue } from '../msgpack/index.ts'
import { SaltError } from './errors.ts'
import { EVENTS_QUEUED_MAX, SaltEventClient, type SaltEventClientOptions } from './ipc/client.ts'
import { EventInbox } from './ipc/inbox.ts'
import { PendingEvents } from './pending-events.ts'
import { type MatchType, tagMatcher } from './tag-match.ts'
import { pause, type Wait, waitFor } from './wait.ts'
import type { WireEvent } from './wire-event.ts'

/** Salt's default `sock_dir` of each node. */
const SOCK_DIRS = { master: '/var/run/salt/master', minion: '/var/run/salt/minion' } as const

/** `get_event` waits so many seconds where it is not told. */
const WAIT_S = 5

/** `fire_event` tries to connect for so many milliseconds where it is not told. */
const FIRE_TIMEOUT_MS = 1000

const RETRY = { firstMs: 20, maxMs: 1000 }

/** Where a socket cannot be connected to, `salt.utils.event` gives False or None, and nothing was sent. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ERR_SALT_NO_BUS',
  'ERR_SALT_ACCESS',
  'ERR_SALT_STALE',
  'ERR_SALT_CONNECT',
])

/** Which bus, and how to read it. */
export interface SaltEventOptions extends Omit<SaltEventClientOptions, 'node' | 'listen' | 'sockDir'> {
  /** Salt's `sock_dir`; default that of Salt's own master or minion. */
  readonly sockDir?: string | undefined
  /** Salt's `event_match_type`: how tags are compared where a call does not say. Default `startswith`. */
  readonly matchType?: MatchType | undefined
  /**
   * Calls without `autoReconnect` throw when the bus is lost (ERR_SALT_CONNECTION_LOST) or cannot be reached; by default they give null
   * or false.
   */
  readonly raiseErrors?: boolean | undefined
}

/** What to iterate over. */
export interface IterEventsOptions {
  /** What tags are compared with; default '', which every tag matches. */
  readonly tag?: string | undefined
  /** Gives the event with its tag instead of the data alone. */
  readonly full?: boolean | undefined
  readonly matchType?: MatchType | undefined
  /** A bus that is lost is waited for and connected to again. */
  readonly autoReconnect?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** What to get, and how long to wait for it. */
export interface GetEventOptions extends IterEventsOptions {
  /** Seconds; default 5; 0 waits for ever. */
  readonly wait?: number | undefined
  /** Looks at one event that is there, and waits for none. */
  readonly noBlock?: boolean | undefined
}

/** Seconds to try for, and whether what fails then is thrown. */
interface Attempt {
  readonly timeout?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly raise: boolean
}

type Data = Readonly<Record<string, unknown>> | ReadonlyMap<unknown, unknown>

/**
 * A bus in the words of `salt.utils.event.SaltEvent`: who calls gets one event at a time. The same in the words of JavaScript is
 * {@link SaltEventClient}.
 *
 * Events are kept from {@link connectPub} on, up to `limit` of them; those before the one that a call asks for are thrown away, unless
 * their tag was given to {@link subscribe}. Calls at the same time are answered one after the other.
 */
export class SaltEvent implements AsyncDisposable {
  readonly node: 'master' | 'minion'
  readonly #options: SaltEventOptions & { readonly sockDir: string }
  readonly #log: Logger
  readonly #pending: PendingEvents
  #inbox: EventInbox | undefined
  #firer: SaltEventClient | undefined
  #last: Promise<unknown> = Promise.resolve()
  #isDestroyed = false
  /** By connections that are gone. */
  #droppedBefore = 0

  /** Connects to nothing yet: {@link connectPub}, or the first call that needs a connection, does. */
  constructor(node: 'master' | 'minion', options: SaltEventOptions = {}) {
    this.node = node
    this.#options = { ...options, sockDir: options.sockDir ?? SOCK_DIRS[node] }
    this.#log = options.log ?? silentLogger
    this.#pending = new PendingEvents(options.limit ?? EVENTS_QUEUED_MAX)
  }

  /** Whether events are being kept: Salt's `cpub`. */
  get connected(): boolean {
    return this.#inbox !== undefined
  }

  /** What {@link subscribe} has kept and nobody has got, oldest first. */
  get pendingEvents(): readonly WireEvent[] {
    return this.#pending.events
  }

  /** Events lost to `limit`. Salt has no limit, and its publisher's memory grows instead. */
  get dropped(): number {
    return this.#pending.dropped + this.#droppedBefore + (this.#inbox?.dropped ?? 0)
  }

  /**
   * Connects for events; tries for `timeout` seconds, or once. False where the bus cannot be reached.
   *
   * @throws {SaltError} ERR_SALT_NO_BUS, ERR_SALT_ACCESS, ERR_SALT_STALE or ERR_SALT_CONNECT with `raiseErrors`.
   */
  async connectPub(
    options: { timeout?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    return await this.#connect({ ...options, raise: this.#options.raiseErrors ?? false })
  }

  /** Ends the connection for events and forgets those that were kept. */
  async closePub(): Promise<void> {
    this.#pending.clear()
    await this.#lose()
  }

  /** Keeps events whose tag matches for later calls, when a call for another tag comes past them. */
  subscribe(tag: string | null | undefined, matchType?: MatchType): void {
    if (tag !== null && tag !== undefined) this.#pending.subscribe(tag, this.#matchType(matchType))
  }

  /** Takes back one {@link subscribe} of the same tag and kind; what only it had kept is forgotten. */
  unsubscribe(tag: string | null | undefined, matchType?: MatchType): void {
    if (tag !== null && tag !== undefined) this.#pending.unsubscribe(tag, this.#matchType(matchType))
  }

  /**
   * The next event whose tag matches, a kept one first: its data, or with `full` the event itself. Null when `wait` seconds have passed,
   * and where there is no bus.
   *
   * @throws {SaltError} ERR_SALT_MATCH when `regex` is given something that is none.
   * @throws {SaltError} ERR_SALT_CONNECTION_LOST with `raiseErrors` and without `autoReconnect`.
   */
  getEvent(options: GetEventOptions & { readonly full: true }): Promise<WireEvent | null>
  getEvent(options?: GetEventOptions & { readonly full?: false | undefined }): Promise<MsgpackValue>
  getEvent(options?: GetEventOptions): Promise<WireEvent | MsgpackValue>
  async getEvent(options: GetEventOptions = {}): Promise<WireEvent | MsgpackValue> {
    const event = await this.#inTurn(() => this.#find(options))
    return event === null || options.full ? event : event.data
  }

  /** The next event that came, whatever was subscribed to or kept; null when none is there. */
  async getEventNoblock(): Promise<WireEvent | null> {
    return await this.#inTurn(() => this.#raw({ seconds: 0 }))
  }

  /** The next event that comes, whatever was subscribed to or kept; null when there is no bus. */
  async getEventBlock(options: { signal?: AbortSignal } = {}): Promise<WireEvent | null> {
    return await this.#inTurn(() => this.#raw({ signal: options.signal }))
  }

  /** Every event whose tag matches, for ever: also where the bus is gone, until it is back. `signal` and {@link destroy} end it. */
  iterEvents(options: IterEventsOptions & { readonly full: true }): AsyncGenerator<WireEvent, void>
  iterEvents(
    options?: IterEventsOptions & { readonly full?: false | undefined },
  ): AsyncGenerator<NonNullable<MsgpackValue>, void>
  async *iterEvents(options: IterEventsOptions = {}): AsyncGenerator<unknown, void> {
    const { signal } = options
    const isOver = (): boolean => this.#isDestroyed || (signal?.aborted ?? false)
    while (!isOver()) {
      try {
        const event = await this.getEvent(options)
        if (event !== null) yield event
      } catch (error) {
        if (!isOver()) throw error
      }
    }
  }

  /**
   * Fires an event; true when the operating system has it, false when the bus could not be reached within `timeout` milliseconds. A
   * `timeout` of null tries once. Unlike Salt's, it leaves `data` as it is: `_stamp` is in what is sent only.
   *
   * @throws {SaltError} ERR_SALT_TAG_EMPTY, ERR_SALT_TAG or ERR_SALT_DATA_NOT_MAP for what is no event: Salt's `ValueError`.
   * @throws {SaltError} ERR_SALT_CONNECTION_LOST when the bus ended while it was sent; ERR_SALT_DIALECT when it answers no probe;
   * with `raiseErrors` those of connecting.
   */
  async fireEvent(data: Data, tag: string, timeout: number | null = FIRE_TIMEOUT_MS): Promise<boolean> {
    this.#checkOpen()
    this.#firer ??= await SaltEventClient.connect({ ...this.#options, node: this.node, listen: false })
    const firer = this.#firer
    const { raiseErrors: raise = false } = this.#options
    return await this.#attempt(() => firer.fire(tag, data), { timeout: (timeout ?? 0) / 1000, raise })
  }

  /** Asks the minion whose bus this is to send an event to its master. */
  async fireMaster(data: Data, tag: string, timeout: number | null = FIRE_TIMEOUT_MS): Promise<boolean> {
    return await this.fireEvent({ tag, data, events: null, pretag: null }, 'fire_master', timeout)
  }

  /** Ends both connections: what was fired is written, what was kept is forgotten. Calls after it throw ERR_SALT_CLOSED. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true
    const firer = this.#firer
    this.#firer = undefined
    await firer?.[Symbol.asyncDispose]()
    await this.closePub()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.destroy()
  }

  #checkOpen(): void {
    if (this.#isDestroyed) throw new SaltError('ERR_SALT_CLOSED', 'this side of the bus was destroyed')
  }

  #matchType(given: MatchType | undefined): MatchType {
    return given ?? this.#options.matchType ?? 'startswith'
  }

  async #find(options: GetEventOptions): Promise<WireEvent | null> {
    const { wait = WAIT_S, noBlock = false } = options
    const matches = tagMatcher(options.tag ?? '', this.#matchType(options.matchType))
    const kept = this.#pending.take(matches)
    if (kept) return kept
    const deadline = performance.now() + (wait === 0 ? Number.POSITIVE_INFINITY : wait * 1000)
    for (;;) {
      const event = await this.#next(noBlock ? 0 : (deadline - performance.now()) / 1000, options)
      if (event === undefined) return null
      if (event !== 'lost') {
        if (matches(event.tag)) return event
        this.#pending.offer(event)
      }
      if (noBlock) return null
    }
  }

  async #next(seconds: number, options: GetEventOptions): Promise<WireEvent | 'lost' | undefined> {
    const { autoReconnect = false, signal } = options
    if (seconds < 0) return undefined
    // Waiting for ever is for an event: a bus that is not there is looked for once.
    const timeout = seconds === Number.POSITIVE_INFINITY && !autoReconnect ? 0 : seconds
    const raise = !autoReconnect && (this.#options.raiseErrors ?? false)
    if (!(await this.#connect({ timeout, signal, raise }))) return undefined
    return await this.#read({ seconds, signal }, autoReconnect)
  }

  async #raw(wait: Wait): Promise<WireEvent | null> {
    if (!(await this.connectPub())) return null
    const event = await this.#read(wait, false)
    return event === undefined || event === 'lost' ? null : event
  }

  /** The next event; undefined when there is none in time, or when the bus is gone and nobody wants it back. */
  async #read(wait: Wait, autoReconnect: boolean): Promise<WireEvent | 'lost' | undefined> {
    const reading = await waitFor(this.#inbox?.next(), wait)
    if (reading === undefined) return undefined
    this.#inbox?.taken()
    if ('event' in reading) return reading.event
    // What was kept stays kept, as in Salt, whose connection comes back by itself at the next call.
    await this.#lose()
    if (this.#options.raiseErrors && !autoReconnect) throw reading.lost
    return autoReconnect ? 'lost' : undefined
  }

  async #lose(): Promise<void> {
    const inbox = this.#inbox
    this.#inbox = undefined
    this.#droppedBefore += inbox?.dropped ?? 0
    await inbox?.[Symbol.asyncDispose]()
  }

  async #connect(attempt: Attempt): Promise<boolean> {
    if (this.#inbox) return true
    const { signal = this.#options.signal } = attempt
    const connect = async (): Promise<void> => {
      this.#checkOpen()
      const client = await SaltEventClient.connect({ ...this.#options, node: this.node, signal })
      this.#inbox = new EventInbox(client)
    }
    return await this.#attempt(connect, { ...attempt, signal })
  }

  /** Tries until the time is over; false where the bus could not be reached. */
  async #attempt(act: () => Promise<void>, { timeout = 0, signal, raise }: Attempt): Promise<boolean> {
    const deadline = performance.now() + timeout * 1000
    const backoff = new Backoff(RETRY)
    for (;;)
      try {
        await act()
        return true
      } catch (error) {
        if (!(error instanceof SaltError) || !UNREACHABLE.has(error.code)) throw error
        const left = deadline - performance.now()
        if (left <= 0 && raise) throw error
        if (left <= 0) {
          this.#log.warn({ code: codeOf(error), reason: messageOf(error) }, 'bus not reached')
          return false
        }
        await pause(Math.min(left, backoff.nextMs()), signal)
      }
  }

  /** One call after the other, as a Python program would make them. */
  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(act, act)
    this.#last = turn.catch(() => undefined) // whoever called is told
    return await turn
  }
}

/** A master's bus, as `salt.utils.event.MasterEvent`. */
export class MasterEvent extends SaltEvent {
  constructor(sockDir?: string, options: Omit<SaltEventOptions, 'sockDir'> = {}) {
    super('master', { ...options, sockDir })
  }
}

/** A minion's bus, as `salt.utils.event.MinionEvent`: `id` is the minion's. */
export class MinionEvent extends SaltEvent {
  constructor(options: SaltEventOptions) {
    super('minion', options)
  }
}

/**
 * The bus of a master or a minion, as `salt.utils.event.get_event`. With `listen`, the default, events are kept from here on; where there
 * is no bus, calls that need one try again.
 *
 * @example
 * await using event = await getEvent('master', { sockDir: '/var/run/salt/master' })
 * await event.fireEvent({ load: 3 }, 'my/tag')
 * const data = await event.getEvent({ wait: 10, tag: 'my/' })
 */
export async function getEvent(
  node: 'master' | 'minion',
  options: SaltEventOptions & { readonly listen?: boolean | undefined } = {},
): Promise<SaltEvent> {
  const { listen = true, sockDir, ...others } = options
  const event = node === 'master' ? new MasterEvent(sockDir, others) : new MinionEvent({ ...others, sockDir })
  if (listen) await event.connectPub()
  return event
}
