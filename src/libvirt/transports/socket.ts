import { createConnection, type Socket } from 'node:net'
import type { Transport, TransportHandlers } from './transport.ts'

/** Bytes read at a time; one buffer a connection, used again for each read. */
const READ_BYTES = 64 * 1024

/** A UNIX or TCP socket as a transport. */
export class SocketTransport implements Transport {
  readonly socket: Socket
  #handlers: TransportHandlers | undefined
  #isPaused = false
  readonly #readOn = (): void => {
    if (!this.#isPaused) this.socket.resume()
  }

  constructor(address: { path: string } | { host: string; port: number; noDelay: true }) {
    this.socket = createConnection({
      ...address,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, buffer) => {
          // The buffer is the one given above.
          this.#handlers?.data((buffer as Buffer).subarray(0, length))
          if (length < READ_BYTES) return true
          // There is more. libuv would read up to 32 buffers in one turn; what their events make others write, and whoever else
          // is read, would wait for all of them.
          setImmediate(this.#readOn)
          return false
        },
      },
    })
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers
    startSocket(this.socket, handlers)
  }

  write(bytes: Buffer): number {
    this.socket.write(bytes)
    return this.socket.writableLength
  }

  pause(): void {
    this.#isPaused = true
    this.socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.socket.resume()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** Reports the end and the drains of a socket, and lets it read. */
export function startSocket(socket: Socket, handlers: TransportHandlers): void {
  let failure: Error | undefined
  socket.on('error', (error) => {
    failure = error
  })
  socket.on('close', () => handlers.closed(failure))
  socket.on('drain', () => handlers.drain())
  socket.resume()
}

/**
 * Waits until a socket says `event`; then it is paused.
 *
 * @throws the socket's error, or the reason of `signal`; the socket is destroyed then.
 */
export async function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = (): void => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  socket.once(event, resolve)
  socket.once('error', reject)
  try {
    await promise
    socket.pause()
  } catch (error) {
    socket.on('error', () => {}) // It is given up; what else goes wrong with it is nobody's.
    socket.destroy()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    socket.removeListener(event, resolve)
    socket.removeListener('error', reject)
  }
}
