import { codeOf, messageOf } from '../../core/errors.ts'
import { LibvirtError } from '../errors.ts'
import { opened, SocketTransport } from './socket.ts'
import type { Transport } from './transport.ts'

/**
 * Connects to a daemon over TCP, without TLS.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONNECT` when nobody listens there; the message says what to do.
 */
export async function connectTcp(
  { host, port }: { readonly host: string; readonly port: number },
  signal?: AbortSignal,
): Promise<Transport> {
  signal?.throwIfAborted()
  const transport = new SocketTransport({ host, port, noDelay: true })
  try {
    await opened(transport.socket, 'connect', signal)
    return transport
  } catch (error) {
    if (signal?.aborted) throw error
    throw networkError(host, port, error, 'listen_tcp = 1 in libvirtd.conf and libvirtd --listen')
  }
}

/** Why a host could not be reached; `setting` says what the daemon needs to listen. */
export function networkError(host: string, port: number, error: unknown, setting: string): LibvirtError {
  const advice: Record<string, string> = {
    ECONNREFUSED: `nobody listens there: the daemon needs ${setting}, or its socket unit of systemd`,
    ENOTFOUND: 'no such host',
    EAI_AGAIN: 'the name cannot be looked up now',
    EHOSTUNREACH: 'no route to this host',
    ETIMEDOUT: 'no answer; a firewall?',
  }
  const text = advice[codeOf(error) ?? ''] ?? messageOf(error)
  return new LibvirtError('ERR_LIBVIRT_CONNECT', `cannot connect to ${host} port ${port}: ${text}`, {
    cause: error,
  })
}
