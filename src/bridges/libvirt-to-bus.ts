import { setTimeout as delay } from 'node:timers/promises'
import type { Bus, PayloadCodec } from '../bus/index.ts'
import { Backoff } from '../core/backoff.ts'
import { codeOf, messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { Host, type HostMemory } from '../guests/index.ts'
import {
  type Connection,
  type ConnectionState,
  connect,
  type EventFilter,
  type EventKind,
  type EventStream,
  LibvirtError,
} from '../libvirt/index.ts'
import type { Enrichment, GuestFilter } from './guest-selection.ts'
import { type NamedKind, selectKinds } from './libvirt-event-names.ts'
import { Relay } from './libvirt-relay.ts'

/**
 * First and longest wait before a daemon is tried again, in milliseconds. A host that is back is to be known within 5 s,
 * however long it was away.
 */
const RECONNECT = { firstMs: 250, maxMs: 3000 }
/** The same where each attempt starts a program, and with ssh a login on the other side. */
const RECONNECT_BY_PROGRAM = { firstMs: 250, maxMs: 30_000 }
/** Transports of libvirt's URIs that start a program. */
const BY_PROGRAM = /^[^:/]*\+(?:ssh|ext):/i
/** The same failure, again and again, is logged so often, in milliseconds; others at once. */
const FAILURE_LOGGED_MS = 30_000

/** What goes where. */
export interface LibvirtToBusOptions {
  readonly bus: Bus
  readonly codec: PayloadCodec
  /** The time of an event as its data has it in `_stamp`, where Salt's own clients put it when they fire. */
  readonly stamp: () => string
  readonly log: Logger
  /** What the log and `stats` call this connection before it has a URI; default the URI, or `default`. */
  readonly uri?: string | undefined
  /** First part of every tag; `salt/engines/libvirt_events` by default. */
  readonly tagPrefix?: string | undefined
  /** `all`, objects (`domain`), or kinds (`domain/lifecycle`); `all` by default. */
  readonly filters?: readonly string[] | undefined
  /** Guests whose events are wanted; all by default. Events of other objects are not touched. */
  readonly guests?: GuestFilter | undefined
  /** What is added to the data of events under `virbus`; nothing by default. */
  readonly enrich?: Enrichment | undefined
  /** Where the guests of this connection are kept for others to see. */
  readonly host?: Host | undefined
  /** What is kept of this connection's guests over restarts; nothing by default. */
  readonly memory?: HostMemory | undefined
}

/** Where a connection stands. */
export type EngineState =
  | { readonly state: 'connecting' }
  | { readonly state: 'ready'; readonly uri: string; readonly sinceMs: number }
  | {
      readonly state: 'waiting'
      readonly error: string
      readonly code: string | undefined
      readonly retryInMs: number
    }
  | { readonly state: 'stopped' }

/** Counters of one engine; they only grow. */
export interface EngineStats {
  published: number
  /** Events of libvirt that were lost because this process did not read them in time. */
  dropped: number
  /** Times the connection was lost or could not be made. */
  failures: number
  /** Events that happened unseen and were told after a reconnect. */
  resynced: number
  /** Events of guests that `guests` does not want. */
  filtered: number
}

/** Kinds that the inventory is kept by, whatever is published. */
const KEEPING: EventFilter = { domain: ['lifecycle', 'metadata_change'] }

/**
 * Watches one libvirt connection and publishes its events, read-only as the Salt engine does.
 * Comes back by itself when the daemon does, with growing pauses between the attempts.
 */
export class LibvirtToBus implements AsyncDisposable {
  readonly stats: EngineStats = { published: 0, dropped: 0, failures: 0, resynced: 0, filtered: 0 }
  readonly #options: LibvirtToBusOptions
  readonly #kinds: readonly NamedKind[]
  readonly #names: ReadonlyMap<EventKind['kind'], string>
  readonly #abort = new AbortController()
  readonly #reconnect: { readonly firstMs: number; readonly maxMs: number }
  readonly #backoff: Backoff
  readonly #ready = Promise.withResolvers<string>()
  readonly #host: Host
  #state: EngineState = { state: 'connecting' }
  /** The failure that was logged last, and when. */
  #logged = { text: '', atMs: 0 }
  #running: Promise<void> | undefined

  /** @throws {BridgeError} `ERR_BRIDGE_FILTER` when a filter names no event. */
  constructor(options: LibvirtToBusOptions) {
    this.#options = options
    this.#host = options.host ?? new Host(options.uri ?? 'default')
    this.#reconnect = BY_PROGRAM.test(options.uri ?? '') ? RECONNECT_BY_PROGRAM : RECONNECT
    this.#backoff = new Backoff(this.#reconnect)
    this.#kinds = selectKinds(options.filters)
    this.#names = new Map(this.#kinds.map(({ kind, name }) => [kind.kind, name]))
    // Nobody has to wait for the first connection.
    this.#ready.promise.catch(() => {})
  }

  get state(): EngineState {
    return this.#state
  }

  /** The URI once events are registered for the first time; rejects with the reason when it cannot be tried again. */
  get ready(): Promise<string> {
    return this.#ready.promise
  }

  /** Begins to watch; returns at once. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Deregisters, closes the connection and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.#running
    this.#enter({ state: 'stopped' })
    this.#ready.reject(new LibvirtError('ERR_LIBVIRT_CLOSED', 'stopped before it was connected'))
  }

  async #run(): Promise<void> {
    const { log } = this.#options
    while (!this.#abort.signal.aborted) {
      try {
        this.#enter({ state: 'connecting' })
        await this.#watch()
      } catch (error) {
        if (this.#abort.signal.aborted) return
        this.stats.failures++
        const code = codeOf(error)
        if (isFinal(error)) {
          log.error({ uri: this.#name, code, error: messageOf(error) }, 'libvirt connection given up')
          this.#enter({ state: 'stopped' })
          this.#ready.reject(error)
          return
        }
        const retryInMs = Math.round(this.#backoff.nextMs())
        this.#wait({ error: messageOf(error), code, retryInMs })
        // Only the abort of our own signal ends the wait early.
        await delay(retryInMs, undefined, { signal: this.#abort.signal }).catch(() => {})
      }
    }
  }

  get #name(): string {
    return this.#options.uri ?? 'default'
  }

  async #watch(): Promise<void> {
    const { signal } = this.#abort
    await using connection = await connect({
      uri: this.#options.uri,
      readOnly: true,
      reconnect: this.#reconnect,
      signal,
      onState: (state) => this.#onState(state),
    })
    await using events = connection.events(filterOf(this.#kinds), { signal })
    await events.ready
    this.#registered(connection, events)
    this.#backoff.reset()
    this.#ready.resolve(connection.uri)
    await new Relay(
      {
        connection,
        events,
        kinds: this.#kinds,
        host: this.#host,
        memory: this.#options.memory,
        stats: this.stats,
      },
      this.#options,
    ).run((gapMs) => this.#registered(connection, events, gapMs))
  }

  /** The connection comes back by itself; here its attempts are told. */
  #onState(state: ConnectionState): void {
    if (state.state !== 'waiting') return
    this.stats.failures++
    const { error, retryInMs } = state
    this.#wait({ error: error.message, code: error.code, retryInMs })
  }

  #wait(why: { error: string; code: string | undefined; retryInMs: number }): void {
    this.#enter({ state: 'waiting', ...why })
    const { failures } = this.stats
    const level = this.#isLogged(why.error) ? 'debug' : 'warn'
    this.#options.log[level]({ uri: this.#name, ...why, failures }, 'libvirt connection failed')
  }

  /** Whether this failure was logged a short time ago; else it is now. */
  #isLogged(text: string): boolean {
    const atMs = performance.now()
    if (text === this.#logged.text && atMs - this.#logged.atMs < FAILURE_LOGGED_MS) return true
    this.#logged = { text, atMs }
    return false
  }

  #registered(connection: Connection, events: EventStream, gapMs?: number): void {
    const { uri } = connection
    const skipped = events.skipped
      .filter(({ kind }) => this.#kinds.some((named) => named.kind === kind))
      .map(({ kind }) => `${kind.object}/${this.#names.get(kind.kind)}`)
    if (skipped.length > 0) this.#options.log.info({ uri, skipped }, 'event kinds that the driver lacks')
    const gap = gapMs === undefined ? {} : { gapMs: Math.round(gapMs) }
    this.#options.log.info(
      { uri, kinds: this.#kinds.length - skipped.length, ...gap },
      'libvirt events registered',
    )
    this.#logged = { text: '', atMs: 0 }
    this.#enter({ state: 'ready', uri, sinceMs: Date.now() })
  }

  #enter(state: EngineState): void {
    this.#state = state
  }
}

function filterOf(kinds: readonly NamedKind[]): EventFilter {
  const filter: Record<string, string[]> = {}
  for (const { kind } of kinds) filter[kind.object] = [...(filter[kind.object] ?? []), kind.kind]
  for (const [object, kept] of Object.entries(KEEPING))
    filter[object] = [...new Set([...(filter[object] ?? []), ...kept])]
  return filter as EventFilter // objects and kinds are those of EVENT_KINDS
}

/** Errors that the same attempt would meet again: they are the configuration's, not the daemon's. */
function isFinal(error: unknown): boolean {
  return error instanceof LibvirtError && ['ERR_LIBVIRT_URI', 'ERR_LIBVIRT_CONFIG'].includes(error.code)
}
