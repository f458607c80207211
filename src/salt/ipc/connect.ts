import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { codeOf, messageOf } from '../../core/errors.ts'
import { SaltError } from '../errors.ts'

/**
 * Connects to a socket of a bus.
 *
 * @throws {SaltError} ERR_SALT_NO_BUS, ERR_SALT_ACCESS, ERR_SALT_STALE or ERR_SALT_CONNECT, saying what to do.
 */
export async function connectSocket(path: string, signal?: AbortSignal): Promise<Socket> {
  signal?.throwIfAborted()
  const socket = createConnection(path)
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (error) {
    socket.destroy()
    signal?.throwIfAborted()
    throw connectError(path, error)
  }
}

function connectError(path: string, cause: unknown): SaltError {
  switch (codeOf(cause)) {
    case 'ENOENT':
      return new SaltError(
        'ERR_SALT_NO_BUS',
        `there is no socket ${path}: is the bus running, and is this its sock_dir?`,
        {
          cause,
        },
      )
    case 'EACCES':
    case 'EPERM':
      return new SaltError(
        'ERR_SALT_ACCESS',
        `this user may not open ${path}: ask as the owner of the bus, or for its group`,
        {
          cause,
        },
      )
    case 'ECONNREFUSED':
      return new SaltError(
        'ERR_SALT_STALE',
        `nobody listens at ${path} any more: start the bus that left it`,
        { cause },
      )
    default:
      return new SaltError('ERR_SALT_CONNECT', `cannot connect to ${path}: ${messageOf(cause)}`, { cause })
  }
}
