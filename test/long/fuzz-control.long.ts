import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { BusEvent } from '../../src/bus/index.ts'
import { type Logger, silentLogger } from '../../src/core/logger.ts'
import { Daemon, msgpackCodec } from '../../src/daemon/index.ts'
import { askControl, askControlLines } from '../../src/http/index.ts'
import { Random } from '../../src/simulator/random.ts'
import { tempDir } from '../support/peers.ts'
import { back, closed, connected, until } from './clients.ts'
import { liveMb, openResources, seedOf } from './measure.ts'
import { bytes } from './mutate-message.ts'

const CONNECTIONS = Math.ceil(Number(process.env['FUZZ_PACKETS'] ?? 1_000_000) / 50)
const CONNECTIONS_AT_ONCE = 24
const SLOW_AT_ONCE = 16
const EVENTS_A_ROUND = 20
const GROWTH_MB_MAX = 8

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'HEAD',
  'CONNECT',
  'TRACE',
  'get',
  'GÉT',
  '',
  'PRI',
]
const PATHS = [
  ...[
    '/v1/stats',
    '/v1/guests',
    '/v1/events',
    '/v1/events?follow=1',
    '/v1/events?last=50&tag=*',
    '/',
    '//',
    '///[',
  ],
  ...[
    'http://',
    '//a:b/',
    '*',
    '/v1/events?last=-1',
    '/v1/events?after=9e99',
    '/v1/guests?host=%',
    '/%00',
    '/../..',
  ],
  ...['/v1/__proto__', '/constructor', '/v1/events?tag=[[[[***', 'x'.repeat(9000), '/v1/stats#%ff', ''],
]
const HEADERS = [
  ...[
    'Host: x',
    'Connection: keep-alive',
    'Connection: upgrade\r\nUpgrade: h2c',
    'Expect: 100-continue',
    'Expect: x',
  ],
  ...[
    'Content-Length: 99999999',
    'Content-Length: -1',
    'Content-Length: 1\r\nContent-Length: 2',
    'X: \u0000',
  ],
  ...[
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip, chunked',
    ' folded: 1',
    'noColon',
    ': empty',
    'Host: y',
  ],
]

function question(random: Random): string {
  const some = Array.from({ length: random.integer(4) }, () => random.pick(HEADERS))
  const version = random.integer(8) === 0 ? random.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/9', '']) : 'HTTP/1.1'
  return `${random.pick(METHODS)} ${random.pick(PATHS)} ${version}\r\n${[...some, '', ''].join('\r\n')}`
}

const follow = 'GET /v1/events?follow=1&last=100 HTTP/1.1\r\nHost: x\r\n\r\n'

/** What one hostile asker sends. */
function attack(random: Random): Buffer | string {
  const kind = random.integer(7)
  if (kind === 0) return bytes(random, random.integer(3000))
  if (kind === 1) return `GET /v1/stats HTTP/1.1\r\nX: ${'y'.repeat(random.integer(100_000))}\r\n\r\n`
  if (kind === 2) return 'GET /v1/events?last=200 HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1 + random.integer(300))
  if (kind === 3) return Buffer.concat([Buffer.from(question(random)), bytes(random, random.integer(500))])
  if (kind === 4) return follow
  if (kind === 5) return ''
  return question(random)
}

/** Leaves at once, after the first bytes that come, or a moment later; some do not read before, some end their side only. */
async function hostile(path: string, random: Random): Promise<void> {
  const socket = await connected(path)
  socket.write(attack(random))
  const kind = random.integer(4)
  if (kind === 0) socket.end()
  if (kind === 1) socket.once('data', () => socket.destroy())
  for (let turns = random.integer(30); turns > 0; turns--) await new Promise(setImmediate)
  socket.destroy()
  await closed(socket)
}

/** Begins a question and never comes to its end. */
async function slow(path: string, random: Random): Promise<void> {
  const socket = await connected(path)
  const text = 'GET /v1/stats HTTP/1.1\r\nX-Slow: '
  socket.write(text.slice(0, random.integer(text.length + 1)))
  const drip = setInterval(() => socket.write(' '), 500)
  await closed(socket)
  clearInterval(drip)
}

/** Follows the events beside all that: each has to come, once and in order. */
async function follower(path: string, seen: { count: number }, signal: AbortSignal): Promise<void> {
  for await (const line of askControlLines(path, '/v1/events?follow=1&tag=fuzz/*', signal)) {
    const { payload } = JSON.parse(line)
    assert.equal(msgpackCodec.decode(Buffer.from(payload, 'base64'))['n'], seen.count)
    seen.count++
  }
}

test('thousands of hostile askers on the control socket: who asks beside them is answered, no growth', async () => {
  using dir = tempDir()
  const random = new Random(seedOf('fuzz control socket'))
  const errors: unknown[] = []
  const log: Logger = { ...silentLogger, error: (fields, message) => errors.push([message, fields]) }
  const stateDir = join(dir.path, 'state')
  await using daemon = await Daemon.start({ sockDir: dir.path, stateDir, wire: 'split', engines: [], log })
  const { control } = daemon.sockets
  const stop = new AbortController()
  const seen = { count: 0 }
  let published = 0
  const publish = (): void => daemon.bus.publish(BusEvent.of('fuzz/event', { n: published++ }, msgpackCodec))
  publish()
  const following = follower(control, seen, stop.signal)
  following.catch(() => {}) // awaited at the end
  await until(() => seen.count === published, 'the follower')
  await liveMb()
  const resources = openResources()
  const slowOnes = new Set<Promise<void>>()
  let [slowCount, early] = [0, 0]
  for (let done = 0; done < CONNECTIONS; done += CONNECTIONS_AT_ONCE) {
    while (slowOnes.size < SLOW_AT_ONCE) {
      const one: Promise<void> = slow(control, random).finally(() => slowOnes.delete(one))
      slowOnes.add(one)
      slowCount++
    }
    const askers = Array.from({ length: CONNECTIONS_AT_ONCE }, () => hostile(control, random))
    for (let n = 0; n < EVENTS_A_ROUND; n++) publish()
    const stats = JSON.parse(await askControl(control, '/v1/stats'))
    assert.equal(stats.bus.published, published)
    await Promise.all(askers)
    await until(() => seen.count === published, 'the follower has all')
    if (early === 0 && done > CONNECTIONS / 10) early = await liveMb()
  }
  await Promise.all(slowOnes)
  await until(() => daemon.stats.bus.subscribers <= 2, 'no follower left but ours')
  await back(resources)
  const late = await liveMb()
  console.log(
    `fuzz control socket: ${CONNECTIONS} hostile askers, ${slowCount} slow ones cut, ${published} events followed beside them; ` +
      `live memory ${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
  )
  assert.deepEqual(errors, [])
  assert.ok(late - early < GROWTH_MB_MAX, `${(late - early).toFixed(1)} MB more`)
  stop.abort()
  await following
})
