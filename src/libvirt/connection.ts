import type { ClientEnvironment } from './client-config.ts'
import { LibvirtError } from './errors.ts'
import { EventRegistry, type EventStream } from './event-registry.ts'
import { EVENT_KINDS, type EventKind } from './protocol/events.gen.ts'
import type { Procedure } from './protocol/procedure.ts'
import * as remote from './protocol/remote.gen.ts'
import { RpcClient, type RpcStats } from './rpc-client.ts'
import { connectUnix } from './transports/unix.ts'
import { resolveTarget, type Target } from './uri.ts'

/** `VIR_CONNECT_RO` of virConnectFlags. */
const CONNECT_RO = 1
/** `VIR_DRV_FEATURE_PROGRAM_KEEPALIVE` (src/libvirt_internal.h). */
const FEATURE_PROGRAM_KEEPALIVE = 10
/** `VIR_DRV_FEATURE_REMOTE_EVENT_CALLBACK` (src/libvirt_internal.h): events carry callback ids. */
const FEATURE_REMOTE_EVENT_CALLBACK = 14
/** Keepalive as virsh and libvirtd do it by default. */
const KEEPALIVE = { intervalMs: 5000, count: 5 }
/** How long a daemon may take to let us in, in milliseconds. */
const OPEN_MS = 30_000
/** How long a daemon may take to confirm that we leave, in milliseconds. */
const CLOSE_MS = 2000
/** Events that wait for one consumer. */
const EVENTS_QUEUED_MAX = 65_536

/** How to open a connection. */
export interface ConnectOptions {
  /** `driver[+unix]:///path[?socket=PATH]`; without it, what libvirt itself would open. */
  readonly uri?: string | undefined
  /** Asks for less rights: the daemon's read-only socket. */
  readonly readOnly?: boolean
  /** Interval of our keepalive in milliseconds (0: none) and how often it is sent in vain. */
  readonly keepalive?: { readonly intervalMs: number; readonly count: number }
  /** Default: this process's. */
  readonly environment?: ClientEnvironment
  readonly signal?: AbortSignal | undefined
}

/** Which events to watch and how many may wait. */
export interface EventOptions {
  /** Kinds to register; all by default. */
  readonly kinds?: readonly EventKind[]
  /** Events that wait before the oldest is dropped and counted; 65,536 by default. */
  readonly limit?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects to a libvirt daemon.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONNECT` when no daemon could be reached, `ERR_LIBVIRT_AUTH` when it does not let us in,
 *   `ERR_LIBVIRT_URI` when the URI is wrong, `ERR_LIBVIRT_REMOTE` when the daemon cannot open what the URI names.
 * @example
 * await using connection = await connect({ uri: 'qemu:///system', readOnly: true })
 * for await (const event of await connection.events()) console.log(event.object, event.kind)
 */
export async function connect(options: ConnectOptions = {}): Promise<Connection> {
  const { signal, readOnly = false } = options
  const environment = options.environment ?? { env: process.env, uid: process.getuid?.() ?? 0 }
  const target = await resolveTarget(options.uri, { readOnly, environment })
  const transport = await connectUnix(target.socketPath, signal)
  let registry: EventRegistry | undefined
  let connection: Connection | undefined
  const client = new RpcClient({
    transport,
    keepalive: options.keepalive ?? KEEPALIVE,
    onMessage: (packet) => registry?.deliver(packet),
    onClosed: (error) => {
      registry?.fail(error)
      connection?.closed(error)
    },
  })
  registry = new EventRegistry(client)
  const abort = (): void =>
    client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'aborted', { cause: signal?.reason }))
  const timer = setTimeout(() => {
    const text = `${target.socketPath} took the connection and did not answer within ${OPEN_MS} ms`
    client.fail(new LibvirtError('ERR_LIBVIRT_CONNECT', text))
  }, OPEN_MS)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const uri = await open(client, target, readOnly)
    connection = new Connection({ client, registry, uri })
    return connection
  } catch (error) {
    client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'not opened', { cause: error }))
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** The calls of doRemoteOpen (remote_driver.c), in its order; returns the URI to show. */
async function open(client: RpcClient, target: Target, readOnly: boolean): Promise<string> {
  await authenticate(client)
  const supports = async (feature: number): Promise<boolean> =>
    (await client.call(remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, { feature })).supported !== 0
  if (await supports(FEATURE_PROGRAM_KEEPALIVE)) client.startKeepalive()
  await client.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: target.name, flags: readOnly ? CONNECT_RO : 0 })
  const uri = target.uri ?? (await client.call(remote.REMOTE_PROC_CONNECT_GET_URI, undefined)).uri
  if (!(await supports(FEATURE_REMOTE_EVENT_CALLBACK)))
    throw new LibvirtError(
      'ERR_LIBVIRT_NO_SUPPORT',
      'the daemon is older than libvirt 1.3.3: its events carry no callback id',
    )
  return uri
}

async function authenticate(client: RpcClient): Promise<void> {
  const { types } = await client.call(remote.REMOTE_PROC_AUTH_LIST, undefined)
  const [type] = types
  if (type === undefined || type === remote.REMOTE_AUTH_NONE) return
  if (type === remote.REMOTE_AUTH_POLKIT) {
    await client.call(remote.REMOTE_PROC_AUTH_POLKIT, undefined)
    return
  }
  const name = type === remote.REMOTE_AUTH_SASL ? 'SASL' : `authentication type ${type}`
  throw new LibvirtError(
    'ERR_LIBVIRT_AUTH',
    `the daemon asks for ${name}, which this client cannot do; let it accept 'none' or 'polkit' on this socket (auth_unix_ro, auth_unix_rw in libvirtd.conf)`,
  )
}

/** An open connection to a daemon. */
export class Connection implements AsyncDisposable {
  /** The URI of the connection as libvirt's `virConnectGetURI` gives it: the one that was asked for, or the daemon's choice. */
  readonly uri: string
  readonly #client: RpcClient
  readonly #registry: EventRegistry
  readonly #ended = Promise.withResolvers<LibvirtError | undefined>()
  #state: 'open' | 'closing' | 'closed' = 'open'

  /** @internal */
  constructor(parts: { client: RpcClient; registry: EventRegistry; uri: string }) {
    this.#client = parts.client
    this.#registry = parts.registry
    this.uri = parts.uri
  }

  /** Counters of this connection. */
  get stats(): Readonly<RpcStats> {
    return this.#client.stats
  }

  /** Settles when the connection has ended: with undefined after `close()`, else with the reason. Never rejects. */
  get ended(): Promise<LibvirtError | undefined> {
    return this.#ended.promise
  }

  /**
   * Calls any procedure of the protocol; `remote` holds them by the names of remote_protocol.x.
   * At most 5 calls are with the daemon at a time, others wait. Aborting `signal` gives up waiting, not the call itself.
   *
   * @throws {LibvirtError} `ERR_LIBVIRT_REMOTE`, `ERR_LIBVIRT_NO_SUPPORT`, `ERR_LIBVIRT_CLOSED` and what else ends a connection.
   */
  call<Args, Result>(procedure: Procedure<Args, Result>, args: Args, signal?: AbortSignal): Promise<Result> {
    return this.#client.call(procedure, args, { signal })
  }

  /**
   * Registers event kinds and returns their events in the order of the wire; deregisters when the loop is left,
   * `signal` aborts, or the stream is disposed. Kinds that the daemon or its driver lacks are in `skipped`.
   *
   * @throws {LibvirtError} as `call`, and from the iterator when the connection is lost.
   */
  events(options: EventOptions = {}): Promise<EventStream> {
    return this.#registry.subscribe(options.kinds ?? EVENT_KINDS, {
      limit: options.limit ?? EVENTS_QUEUED_MAX,
      signal: options.signal,
    })
  }

  /** Deregisters all events, tells the daemon, and closes; after 2 s also without its answer. Never rejects. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    const leave = (): void => this.#client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'closed by us'))
    const timer = setTimeout(leave, CLOSE_MS)
    try {
      await this.#registry.close()
      await this.#client.call(remote.REMOTE_PROC_CONNECT_CLOSE, undefined)
    } catch {
      // The connection is gone already, which is what was wanted; its reason is in `ended`.
    }
    clearTimeout(timer)
    leave()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  closed(error: LibvirtError): void {
    this.#ended.resolve(this.#state === 'closing' ? undefined : error)
    this.#state = 'closed'
  }
}
