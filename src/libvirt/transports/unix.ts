import { createConnection, type Socket } from 'node:net'
import { codeOf, messageOf } from '../../core/errors.ts'
import { LibvirtError } from '../errors.ts'
import type { Transport, TransportHandlers } from './transport.ts'

/** `sun_path` of sockaddr_un holds 108 bytes with its NUL (unix(7)); Node cuts longer paths without a word. */
const SOCKET_PATH_BYTES_MAX = 107

/** Bytes read at a time; one buffer a connection, used again for each read. */
const READ_BYTES = 64 * 1024

class SocketTransport implements Transport {
  readonly socket: Socket
  #handlers: TransportHandlers | undefined

  constructor(path: string) {
    this.socket = createConnection({
      path,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, buffer) => {
          // The buffer is the one given above.
          this.#handlers?.data((buffer as Buffer).subarray(0, length))
          return true
        },
      },
    })
  }

  start(handlers: TransportHandlers): void {
    let failure: Error | undefined
    this.#handlers = handlers
    this.socket.on('error', (error) => {
      failure = error
    })
    this.socket.on('close', () => handlers.closed(failure))
    this.socket.resume()
  }

  write(bytes: Buffer): number {
    this.socket.write(bytes)
    return this.socket.writableLength
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/**
 * Connects to the UNIX socket of a daemon.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONNECT` when nobody listens there or we may not; the message says what to do.
 */
export async function connectUnix(path: string, signal?: AbortSignal): Promise<Transport> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
    throw new LibvirtError(
      'ERR_LIBVIRT_CONNECT',
      `socket path of over ${SOCKET_PATH_BYTES_MAX} bytes: ${path}`,
    )
  signal?.throwIfAborted()
  const transport = new SocketTransport(path)
  const { socket } = transport
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = (): void => {
    socket.destroy()
    reject(signal?.reason)
  }
  signal?.addEventListener('abort', abort, { once: true })
  socket.once('connect', resolve)
  socket.once('error', reject)
  try {
    await promise
  } catch (error) {
    socket.destroy()
    if (signal?.aborted) throw error
    throw connectError(path, error)
  } finally {
    signal?.removeEventListener('abort', abort)
    socket.removeListener('error', reject)
  }
  socket.pause()
  return transport
}

function connectError(path: string, error: unknown): LibvirtError {
  const advice: Record<string, string> = {
    ENOENT:
      'no such socket: is the daemon running? (systemctl start libvirtd, or virtqemud for modular daemons)',
    ECONNREFUSED: 'nobody listens on this socket: the daemon that made it is gone; start it again',
    EACCES:
      "permission denied: add this user to the group that owns the socket (usually 'libvirt'), then log in again, or connect as root",
  }
  const text = advice[codeOf(error) ?? ''] ?? messageOf(error)
  return new LibvirtError('ERR_LIBVIRT_CONNECT', `cannot connect to ${path}: ${text}`, { cause: error })
}
