import { addAbortSignal, type Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Backoff } from '../core/backoff.ts'
import type { CredentialsSource } from './authenticate.ts'
import type { CallOptions } from './caller.ts'
import type { ClientEnvironment } from './client-config.ts'
import { LibvirtError } from './errors.ts'
import { type EventFilter, type FilteredEvent, kindsOf } from './event-filter.ts'
import { EventHub, type EventStream } from './event-hub.ts'
import { type Keepalive, type Link, openLink } from './link.ts'
import { ConnectCalls } from './objects/index.ts'
import type { Packet } from './packets.ts'
import type { LibvirtEvent } from './protocol/events.gen.ts'
import type { Procedure } from './protocol/procedure.ts'
import { QemuProgram, RemoteProgram } from './protocol/programs.gen.ts'
import * as remote from './protocol/remote.gen.ts'
import type { RpcStats } from './rpc-client.ts'
import { protocolError } from './rpc-errors.ts'
import { resolveTarget, type Target } from './uri.ts'

/** Keepalive as virsh and libvirtd do it by default. */
const KEEPALIVE: Keepalive = { intervalMs: 5000, count: 5 }
/** How long a daemon may take to confirm that we leave, in milliseconds. */
const CLOSE_MS = 2000
/** How long a daemon may take for one call, in milliseconds. */
const CALL_MS = 300_000
/** Events that wait for one consumer. */
const EVENTS_QUEUED_MAX = 65_536
/** First and longest pause between attempts, in milliseconds. A socket of this machine costs nothing to try. */
const RECONNECT = { local: { firstMs: 100, maxMs: 1000 }, remote: { firstMs: 250, maxMs: 15_000 } }

/** How to open a connection. */
export interface ConnectOptions {
  /** `driver[+transport]://[user@][host][:port]/[path][?parameters]`; without it, what libvirt itself would open. */
  readonly uri?: string | undefined
  /** Asks for less rights: the daemon's read-only socket. */
  readonly readOnly?: boolean
  /** User name and password for SASL, or what gets them; otherwise libvirt's authentication file is asked. */
  readonly credentials?: CredentialsSource | undefined
  /** Our keepalive; every 5 s, 5 times in vain, by default. */
  readonly keepalive?: Keepalive
  /** Pauses between the attempts to come back after a loss, doubling from the first to the longest; false: the connection ends. */
  readonly reconnect?: { readonly firstMs: number; readonly maxMs: number } | false | undefined
  /** Deadline of a call that has none of its own, in milliseconds; 300,000 by default, 0: none. */
  readonly callTimeoutMs?: number
  /** Told each state that the connection enters. */
  readonly onState?: (state: ConnectionState) => void
  /** Default: this process's. */
  readonly environment?: ClientEnvironment
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal | undefined
}

/** Where a connection stands. */
export type ConnectionState =
  | { readonly state: 'connecting'; readonly attempt: number }
  | { readonly state: 'ready'; readonly uri: string }
  /** Lost; the next attempt is after `retryInMs`. */
  | {
      readonly state: 'waiting'
      readonly attempt: number
      readonly retryInMs: number
      readonly error: LibvirtError
    }
  | { readonly state: 'closing' }
  /** Without an error: closed by us. */
  | { readonly state: 'closed'; readonly error?: LibvirtError }

/** Counters of a connection over all its sockets; they only grow. */
export interface ConnectionStats extends RpcStats {
  /** Times it was lost and came back. */
  reconnects: number
}

/** How many events may wait, and until when. */
export interface EventOptions {
  /** Events that wait before the oldest is dropped and counted; 65,536 by default. */
  readonly limit?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects to a libvirt daemon. The connection comes back by itself when it is lost.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONNECT` when no daemon could be reached, one of `ERR_LIBVIRT_AUTH…` or `ERR_LIBVIRT_TLS…`
 *   when we may not, `ERR_LIBVIRT_COMMAND` when ssh could not bring us there, `ERR_LIBVIRT_URI` when the URI is wrong,
 *   `ERR_LIBVIRT_REMOTE` when the daemon cannot open what the URI names.
 * @example
 * await using connection = await connect({ uri: 'qemu:///system', readOnly: true })
 * for await (const event of connection.events({ domain: ['lifecycle'] })) console.log(event.object, event.kind)
 */
export async function connect(options: ConnectOptions = {}): Promise<Connection> {
  const environment = options.environment ?? { env: process.env, uid: process.getuid?.() ?? 0 }
  const target = await resolveTarget(options.uri, { readOnly: options.readOnly ?? false, environment })
  const connection = new Connection(target, environment, options)
  await connection.open(options.signal)
  return connection
}

/** A connection to a daemon, over as many sockets as its life takes. */
export class Connection extends ConnectCalls implements AsyncDisposable {
  readonly #target: Target
  readonly #environment: ClientEnvironment
  readonly #options: ConnectOptions
  readonly #hub = new EventHub()
  readonly #ended = Promise.withResolvers<LibvirtError | undefined>()
  readonly #closing = new AbortController()
  readonly #streams = new Set<Link>()
  readonly #past: ConnectionStats = {
    packetsReceived: 0,
    bytesReceived: 0,
    calls: 0,
    messages: 0,
    protocolErrors: 0,
    reconnects: 0,
  }
  #programs: { remote?: RemoteProgram; qemu?: QemuProgram } = {}
  #state: ConnectionState = { state: 'connecting', attempt: 0 }
  #ready = Promise.withResolvers<void>()
  #link: Link | undefined
  #uri = ''

  /** @internal */
  constructor(target: Target, environment: ClientEnvironment, options: ConnectOptions) {
    super()
    this.#target = target
    this.#environment = environment
    this.#options = options
    // Nobody has to wait for it.
    this.#ready.promise.catch(() => {})
  }

  /** The URI of the connection as libvirt's `virConnectGetURI` gives it: the one that was asked for, or the daemon's choice. */
  get uri(): string {
    return this.#uri
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Counters over all sockets so far. */
  get stats(): Readonly<ConnectionStats> {
    return total(this.#past, this.#link?.client.stats)
  }

  /** Settles when the connection has ended for good: with undefined after `close()`, else with the reason. Never rejects. */
  get ended(): Promise<LibvirtError | undefined> {
    return this.#ended.promise
  }

  /** Settles when calls can be made; rejects when the connection has ended for good. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** Every procedure of libvirt's remote program as a function. */
  get remote(): RemoteProgram {
    this.#programs.remote ??= new RemoteProgram(this)
    return this.#programs.remote
  }

  /** Every procedure of the program for qemu alone: monitor and agent commands. */
  get qemu(): QemuProgram {
    this.#programs.qemu ??= new QemuProgram(this)
    return this.#programs.qemu
  }

  /**
   * Calls any procedure of the protocol; `remote` holds them by the names of remote_protocol.x.
   * At most 4 calls are with the daemon at a time (16 when it answers all of them at once), others wait. `signal` and deadline give up waiting, not the call itself.
   *
   * @throws {LibvirtError} `ERR_LIBVIRT_REMOTE` and `ERR_LIBVIRT_NO_SUPPORT` as the daemon refuses; `ERR_LIBVIRT_TIMEOUT`,
   *   `ERR_LIBVIRT_DISCONNECTED`, `ERR_LIBVIRT_CLOSED` and what else ends a connection, with `mayHaveExecuted`.
   */
  override call<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): Promise<Result> {
    if (!this.#link) return Promise.reject(this.#noLink(procedure.name))
    return this.#link.client.call(procedure, args, {
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? this.#options.callTimeoutMs ?? CALL_MS,
    })
  }

  /**
   * Calls a procedure that has a stream and returns that stream: readable, writable or both as the procedure is.
   * It has a connection to the daemon of its own, so that a consumer which stops reading stops its source and nothing else.
   * `signal` ends the stream, too.
   *
   * @throws {LibvirtError} as `connect` and `call`.
   */
  override async openStream<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): Promise<Duplex> {
    if (!this.#link) throw this.#noLink(procedure.name)
    // Without keepalive: a paused stream could not answer.
    const link = await this.#openLink({
      keepalive: undefined,
      signal: options.signal,
      onMessage: (packet) => {
        throw protocolError(packet, 'an event on the connection of a stream')
      },
      onClosed: () => {},
    })
    const end = (): void => {
      this.#streams.delete(link)
      link.client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'the stream has ended'))
    }
    this.#streams.add(link)
    try {
      const stream = await link.client.openStream(procedure, args, options)
      stream.once('close', end)
      return options.signal ? addAbortSignal(options.signal, stream) : stream
    } catch (error) {
      end()
      throw error
    }
  }

  /**
   * Registers event kinds, all by default, and returns their events in the order of the wire. Deregisters when the loop is
   * left, `signal` aborts, or the stream is disposed. After a loss the stream goes on: it tells `disconnected`, then, once
   * everything is registered anew, `reconnected`, both with `object: 'connection'`.
   *
   * @throws {LibvirtError} `ERR_LIBVIRT_ARGUMENT` when the filter names what there is not; from the iterator, when the
   *   daemon refuses or the connection has ended for good.
   */
  events<const Filter extends EventFilter = { [Object in LibvirtEvent['object']]: 'all' }>(
    filter?: Filter,
    options: EventOptions = {},
  ): EventStream<FilteredEvent<Filter>> {
    const stream = this.#hub.subscribe(kindsOf(filter), {
      limit: options.limit ?? EVENTS_QUEUED_MAX,
      signal: options.signal,
    })
    // Only the kinds of the filter are registered.
    return stream as unknown as EventStream<FilteredEvent<Filter>>
  }

  /** Deregisters all events, tells the daemon, and closes; after 2 s also without its answer. Never rejects. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) {
      await this.#ended.promise
      return
    }
    this.#closing.abort()
    if (this.#state.state === 'closed') return
    this.#enter({ state: 'closing' })
    for (const { client } of this.#streams)
      client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'closed by us'))
    const link = this.#link
    const leave = (): void => link?.client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'closed by us'))
    const timer = setTimeout(leave, CLOSE_MS)
    await this.#hub.close()
    // A connection that is gone already is what was wanted.
    await link?.client.call(remote.REMOTE_PROC_CONNECT_CLOSE, undefined).catch(() => {})
    clearTimeout(timer)
    leave()
    this.#end(undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal The first connection; to be called once. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    this.#enter({ state: 'connecting', attempt: 0 })
    try {
      await this.#establish(signal)
    } catch (error) {
      this.#end(asLibvirtError(error))
      throw error
    }
  }

  async #openLink(options: {
    keepalive: Keepalive | undefined
    signal: AbortSignal | undefined
    onMessage: (packet: Packet) => void
    onClosed: (link: Link, error: LibvirtError) => void
  }): Promise<Link> {
    const link: Link = await openLink({
      target: this.#target,
      readOnly: this.#options.readOnly ?? false,
      environment: this.#environment,
      credentials: this.#options.credentials,
      keepalive: options.keepalive,
      onMessage: options.onMessage,
      onClosed: (error) => options.onClosed(link, error),
      signal: options.signal,
    })
    return link
  }

  /** One attempt: a socket, and on it all events; only then calls may use it. */
  async #establish(signal: AbortSignal | undefined): Promise<void> {
    const link = await this.#openLink({
      keepalive: this.#options.keepalive ?? KEEPALIVE,
      signal,
      onMessage: (packet) => this.#hub.deliver(packet),
      onClosed: (closed, error) => this.#lost(closed, error),
    })
    try {
      await this.#hub.attach(link.client)
      signal?.throwIfAborted()
    } catch (error) {
      link.client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'not opened', { cause: error }))
      throw error
    }
    this.#link = link
    this.#uri = link.uri
    this.#enter({ state: 'ready', uri: link.uri })
    this.#ready.resolve()
  }

  #lost(link: Link, error: LibvirtError): void {
    if (link !== this.#link) return
    Object.assign(this.#past, this.stats)
    this.#link = undefined
    if (this.#closing.signal.aborted) return
    if (this.#options.reconnect === false) {
      this.#hub.fail(error)
      this.#end(error)
      return
    }
    this.#ready = Promise.withResolvers()
    this.#ready.promise.catch(() => {})
    this.#hub.lost(error)
    void this.#comeBack(error)
  }

  async #comeBack(reason: LibvirtError): Promise<void> {
    const lostAt = performance.now()
    const { signal } = this.#closing
    const isLocal = this.#target.route.transport === 'unix'
    const backoff = new Backoff(this.#options.reconnect || (isLocal ? RECONNECT.local : RECONNECT.remote))
    let error = reason
    for (let attempt = 1; !signal.aborted; attempt++) {
      const retryInMs = Math.round(backoff.nextMs())
      this.#enter({ state: 'waiting', attempt, retryInMs, error })
      try {
        await delay(retryInMs, undefined, { signal })
        this.#enter({ state: 'connecting', attempt })
        await this.#establish(signal)
        this.#past.reconnects++
        this.#hub.resumed(this.#uri, performance.now() - lostAt)
        return
      } catch (failure) {
        // Told by the state, and tried again until the connection is closed.
        error = asLibvirtError(failure)
      }
    }
  }

  #noLink(procedure: string): LibvirtError {
    const state = this.#state
    const mayHaveExecuted = false
    if (state.state === 'closing' || state.state === 'closed') {
      const reason = state.state === 'closed' ? state.error : undefined
      const text = `${procedure}: ${reason?.message ?? 'the connection is closed'}`
      return new LibvirtError(reason?.code ?? 'ERR_LIBVIRT_CLOSED', text, { mayHaveExecuted, cause: reason })
    }
    const cause = state.state === 'waiting' ? state.error : undefined
    const text = `${procedure}: the connection is lost and not back yet${cause ? `: ${cause.message}` : ''}`
    return new LibvirtError('ERR_LIBVIRT_DISCONNECTED', text, { mayHaveExecuted, cause })
  }

  #end(error: LibvirtError | undefined): void {
    this.#link = undefined
    this.#enter({ state: 'closed', ...(error && { error }) })
    this.#ready.reject(error ?? new LibvirtError('ERR_LIBVIRT_CLOSED', 'the connection is closed'))
    this.#ended.resolve(error)
  }

  #enter(state: ConnectionState): void {
    if (this.#state.state === 'closed') return
    this.#state = state
    this.#options.onState?.(state)
  }
}

function asLibvirtError(error: unknown): LibvirtError {
  if (error instanceof LibvirtError) return error
  return new LibvirtError('ERR_LIBVIRT_CLOSED', String(error), { cause: error })
}

function total(past: Readonly<ConnectionStats>, now: Readonly<RpcStats> | undefined): ConnectionStats {
  const sum = { ...past }
  if (now) for (const key of Object.keys(now) as (keyof RpcStats)[]) sum[key] += now[key] // an object literal of that type
  return sum
}
