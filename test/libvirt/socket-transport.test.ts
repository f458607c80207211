import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Transport } from '../../src/libvirt/transports/transport.ts'
import { connectUnix } from '../../src/libvirt/transports/unix.ts'
import { tempDir } from '../support/peers.ts'

const READ_BYTES = 65_536
const FLOOD_BYTES = 8 * 1024 * 1024

/** A connection to a daemon that has sent all at once. */
async function flood(path: string): Promise<{ server: Server; transport: Transport }> {
  const server = createServer((socket) => socket.end(Buffer.alloc(FLOOD_BYTES)))
  await once(server.listen(path), 'listening')
  return { server, transport: await connectUnix({ socketPath: path }) }
}

test('a daemon that sends without end is read one buffer a turn, so that others have theirs', async () => {
  using dir = tempDir()
  const { server, transport } = await flood(join(dir.path, 's'))
  let total = 0
  let thisTurn = 0
  let most = 0
  let isOver = false
  const turn = (): void => {
    thisTurn = 0
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await new Promise<void>((resolve) => {
    transport.start({
      data: (chunk) => {
        total += chunk.length
        thisTurn += chunk.length
        most = Math.max(most, thisTurn)
      },
      drain: () => {},
      closed: () => resolve(),
    })
  })
  isOver = true
  server.close()
  assert.equal(total, FLOOD_BYTES)
  assert.ok(most <= READ_BYTES, `${most} bytes in one turn`)
})

test('a transport that was paused stays so, whatever has come', async () => {
  using dir = tempDir()
  const { server, transport } = await flood(join(dir.path, 's'))
  let total = 0
  let pauses = 0
  await new Promise<void>((resolve) => {
    transport.start({
      data: (chunk) => {
        assert.equal(pauses % 2, 0, 'read while paused')
        total += chunk.length
        pauses++
        transport.pause()
        setTimeout(() => {
          pauses++
          transport.resume()
        }, 1)
      },
      drain: () => {},
      closed: () => resolve(),
    })
  })
  server.close()
  assert.equal(total, FLOOD_BYTES)
})
