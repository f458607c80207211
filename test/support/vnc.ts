import { once } from 'node:events'
import { createConnection, type NetConnectOpts, type Socket } from 'node:net'

/** Reads until so many bytes have come. */
async function take(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk: Buffer | null = socket.read(bytes)
    if (chunk) return chunk
    await once(socket, 'readable')
  }
}

/** Opens a VNC display without a password, as far as a viewer that sees the screen (RFC 6143 §7.1 to §7.3), and closes it. */
export async function visitVnc(where: NetConnectOpts): Promise<void> {
  const socket = createConnection(where)
  try {
    await once(socket, 'connect')
    socket.write(await take(socket, 12)) // the server's own version
    const [types = 0] = await take(socket, 1)
    await take(socket, types)
    socket.write(Buffer.from([1])) // no authentication
    await take(socket, 4)
    socket.write(Buffer.from([1])) // shared
    await take(socket, 24)
  } finally {
    socket.destroy()
  }
}
