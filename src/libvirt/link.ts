import { authenticate, type CredentialsSource } from './authenticate.ts'
import type { ClientEnvironment } from './client-config.ts'
import { LibvirtError } from './errors.ts'
import type { Packet } from './packets.ts'
import * as remote from './protocol/remote.gen.ts'
import { RpcClient } from './rpc-client.ts'
import { openTransport, routeName } from './transports/index.ts'
import type { Target } from './uri.ts'

/** `VIR_CONNECT_RO` of virConnectFlags. */
const CONNECT_RO = 1
/** `VIR_DRV_FEATURE_PROGRAM_KEEPALIVE` (src/libvirt_internal.h). */
const FEATURE_PROGRAM_KEEPALIVE = 10
/** `VIR_DRV_FEATURE_REMOTE_EVENT_CALLBACK` (src/libvirt_internal.h): events carry callback ids. */
const FEATURE_REMOTE_EVENT_CALLBACK = 14
/** How long a daemon may take to let us in, in milliseconds. */
const OPEN_MS = 30_000

/** How often to ask a silent daemon whether it lives. */
export interface Keepalive {
  /** Milliseconds without a packet before we ask; 0: never. */
  readonly intervalMs: number
  /** How often we ask in vain. */
  readonly count: number
}

/** How to open one connection to a daemon. */
export interface LinkOptions {
  readonly target: Target
  readonly readOnly: boolean
  readonly environment: ClientEnvironment
  readonly credentials: CredentialsSource | undefined
  /** Undefined: no keepalive, neither ours nor the daemon's. */
  readonly keepalive: Keepalive | undefined
  readonly onMessage: (packet: Packet) => void
  /** Called once when an opened link has ended. */
  readonly onClosed: (error: LibvirtError) => void
  readonly signal?: AbortSignal | undefined
}

/** One opened connection to a daemon: a transport, authenticated, with its hypervisor open. */
export interface Link {
  readonly client: RpcClient
  /** The URI of the hypervisor: the one that was asked for, or the daemon's choice. */
  readonly uri: string
}

/**
 * Opens a transport, authenticates and opens the hypervisor (doRemoteOpen in remote_driver.c), within 30 s.
 *
 * @throws {LibvirtError} as the transports and `authenticate` do, `ERR_LIBVIRT_REMOTE` when the daemon cannot open the URI,
 *   `ERR_LIBVIRT_CONNECT` when it does not answer in time.
 */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { target, signal } = options
  const name = routeName(target.route)
  const timeout = new AbortController()
  const timer = setTimeout(() => {
    const text = `${name} took the connection and did not answer within ${OPEN_MS} ms`
    timeout.abort(new LibvirtError('ERR_LIBVIRT_CONNECT', text))
  }, OPEN_MS)
  const either = signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal
  let client: RpcClient | undefined
  let isOpen = false
  const abort = (): void => client?.fail(asError(either.reason))
  either.addEventListener('abort', abort, { once: true })
  try {
    client = new RpcClient({
      transport: await openTransport(target.route, options.environment, either),
      ...(options.keepalive && { keepalive: options.keepalive }),
      onMessage: options.onMessage,
      onClosed: (error) => {
        if (isOpen) options.onClosed(error)
      },
    })
    if (either.aborted) abort()
    const uri = await open(client, options)
    isOpen = true
    return { client, uri }
  } catch (error) {
    client?.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'not opened', { cause: error }))
    if (signal?.aborted) throw asError(signal.reason)
    throw error instanceof LibvirtError && error.mayHaveExecuted !== undefined
      ? (error.cause ?? error)
      : error
  } finally {
    clearTimeout(timer)
    either.removeEventListener('abort', abort)
  }
}

function asError(reason: unknown): LibvirtError {
  if (reason instanceof LibvirtError) return reason
  return new LibvirtError('ERR_LIBVIRT_CLOSED', 'aborted', { cause: reason })
}

/** The calls of doRemoteOpen (remote_driver.c), in its order; returns the URI to show. */
async function open(client: RpcClient, options: LinkOptions): Promise<string> {
  const { target, readOnly } = options
  await authenticate(client, options)
  const supports = async (feature: number): Promise<boolean> =>
    (await client.call(remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, { feature })).supported !== 0
  // The daemon sends its own keepalive to those who asked for this feature, and cuts them when they do not answer.
  if (options.keepalive && (await supports(FEATURE_PROGRAM_KEEPALIVE))) client.startKeepalive()
  await client.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: target.name, flags: readOnly ? CONNECT_RO : 0 })
  const uri = target.uri ?? (await client.call(remote.REMOTE_PROC_CONNECT_GET_URI, undefined)).uri
  if (!(await supports(FEATURE_REMOTE_EVENT_CALLBACK)))
    throw new LibvirtError(
      'ERR_LIBVIRT_NO_SUPPORT',
      'the daemon is older than libvirt 1.3.3: its events carry no callback id',
    )
  return uri
}
