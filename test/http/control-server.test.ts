import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../src/core/logger.ts'
import { ControlServer, type Route } from '../../src/http/index.ts'
import { tempDir } from '../support/peers.ts'

const WAIT_MS = 30_000

interface Served extends AsyncDisposable {
  connect(): Promise<Socket>
  /** Sends bytes and returns all that comes until the server ends the connection. */
  ask(bytes: string): Promise<string>
}

async function serve(routes: Record<string, Route>, options: { requestMs?: number } = {}): Promise<Served> {
  await using stack = new AsyncDisposableStack()
  const path = join(stack.use(tempDir()).path, 's')
  const control = stack.use(new ControlServer({ routes, log: silentLogger, ...options }))
  const server = createServer((socket) => control.take(socket))
  await once(server.listen(path), 'listening')
  stack.defer(() => void server.close())
  const all = stack.move()
  const connect = async (): Promise<Socket> => {
    const socket = createConnection(path)
    await once(socket, 'connect')
    socket.on('error', () => {}) // cut, as it may be
    return socket
  }
  return {
    connect,
    async ask(bytes) {
      const socket = await connect()
      let text = ''
      socket.setEncoding('latin1').on('data', (chunk) => {
        text += chunk
      })
      socket.write(bytes)
      await closed(socket)
      return text
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** Until it is closed, however that comes. */
async function closed(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`not closed within ${WAIT_MS} ms`)), WAIT_MS)
  socket.once('close', () => resolve())
  await promise
  clearTimeout(timer)
}

const hello = (): unknown => ({ hello: 1 })
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

test('questions for what is no path are the asker’s mistake', async () => {
  await using served = await serve({ '/v1/x': hello })
  for (const path of ['//', 'http://', '///[', '//a:b/'])
    assert.match(await served.ask(get(path)), /^HTTP\/1\.1 400 /, path)
  assert.match(await served.ask(get('/v1/x')), /\{"hello":1\}/)
})

test('who asks for many things at once gets one answer', async () => {
  let asked = 0
  await using served = await serve({ '/v1/x': () => ({ asked: ++asked }) })
  const text = await served.ask(get('/v1/x').repeat(2000))
  assert.equal(text.split('"asked"').length - 1, 1)
  assert.equal(asked, 1)
})

test('who sends a question byte by byte is cut in the end, and so is who asks nothing', async () => {
  await using served = await serve({ '/v1/x': hello }, { requestMs: 200 })
  const begun = performance.now()
  const slow = await served.connect()
  const silent = await served.connect()
  silent.resume()
  slow.resume()
  const bothClosed = Promise.all([closed(slow), closed(silent)])
  slow.write('GET /v1/x HTTP/1.1\r\nX-Slow: ')
  const drip = setInterval(() => slow.write('x'), 20)
  await bothClosed
  clearInterval(drip)
  assert.ok(performance.now() - begun < WAIT_MS)
})

test('a question whose body does not end is answered and cut', async () => {
  await using served = await serve({ '/v1/x': hello }, { requestMs: 200 })
  const text = await served.ask('GET /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc')
  assert.match(text, /\{"hello":1\}/)
})

test('a reader who goes while lines are still coming harms nobody', async () => {
  const gone = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  await using served = await serve({
    '/v1/lines': async function* (_params, signal) {
      signal.addEventListener('abort', () => gone.resolve())
      try {
        yield 1
        await gone.promise
        yield 2
        yield 3
      } finally {
        done.resolve()
      }
    },
    '/v1/late': async (_params, signal) => {
      await once(signal, 'abort')
      return { too: 'late' }
    },
    '/v1/x': hello,
  })
  for (const path of ['/v1/lines', '/v1/late']) {
    const socket = await served.connect()
    socket.write(get(path))
    if (path === '/v1/lines') await once(socket, 'data')
    else await served.ask(get('/v1/x'))
    socket.destroy()
  }
  await done.promise
  assert.match(await served.ask(get('/v1/x')), /\{"hello":1\}/)
})
