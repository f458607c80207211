import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { BusEvent } from '../../src/bus/index.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { Daemon, type EventReport, msgpackCodec } from '../../src/daemon/index.ts'
import { askControlLines } from '../../src/http/index.ts'
import { tempDir } from '../support/peers.ts'

async function start(dir: string, stateDir: string | undefined = join(dir, 'state')): Promise<Daemon> {
  return await Daemon.start({ sockDir: dir, stateDir, wire: 'split', engines: [], log: silentLogger })
}

function publish(daemon: Daemon, from: number, to: number): void {
  for (let n = from; n < to; n++)
    daemon.bus.publish(BusEvent.of(n % 2 ? 'odd/tag' : 'even/tag', { n }, msgpackCodec))
}

async function ask(daemon: Daemon, query: string, count = Number.POSITIVE_INFINITY): Promise<number[]> {
  const stop = new AbortController()
  const found: number[] = []
  for await (const line of askControlLines(daemon.sockets.control, `/v1/events?${query}`, stop.signal)) {
    const report: EventReport = JSON.parse(line)
    found.push(Number(msgpackCodec.decode(Buffer.from(report.payload, 'base64'))['n']))
    if (found.length >= count) stop.abort()
  }
  return found
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n)

test('the past is asked for by sequence, time, tag and number, also after a restart', async () => {
  using dir = tempDir()
  const before = Date.now()
  {
    await using daemon = await start(dir.path)
    publish(daemon, 0, 3000)
    assert.deepEqual(await ask(daemon, 'tag=*'), range(0, 3000))
  }
  await using daemon = await start(dir.path)
  publish(daemon, 3000, 3010)
  assert.deepEqual(await ask(daemon, 'after=2995'), range(2995, 3010))
  assert.deepEqual(await ask(daemon, 'last=5'), range(3005, 3010))
  assert.deepEqual(await ask(daemon, 'tag=odd/*&last=2'), [3007, 3009])
  assert.deepEqual(await ask(daemon, `since=${before}&tag=even*&last=1`), [3008])
  assert.deepEqual(await ask(daemon, `until=${before - 1}`), [])
  assert.deepEqual(await ask(daemon, `since=${Date.now() + 60_000}`), [])
  await assert.rejects(ask(daemon, 'after=x'), { code: 'ERR_HTTP_REFUSED', message: /whole number/ })
})

test('who follows gets the past and then what comes, each once and in order, however slow he is', async () => {
  using dir = tempDir()
  await using daemon = await start(dir.path)
  publish(daemon, 0, 500)
  const following = ask(daemon, 'after=100&follow=1', 60_400)
  // More at once than may wait for a reader, again and again.
  for (let from = 500; from < 60_500; from += 10_000) {
    publish(daemon, from, from + 10_000)
    await new Promise(setImmediate)
  }
  assert.deepEqual(await following, range(100, 60_500))
})

test('who still asks does not hold up the end of virbus', async () => {
  using dir = tempDir()
  const daemon = await start(dir.path)
  publish(daemon, 0, 10)
  const asker = createConnection(daemon.sockets.control)
  asker.on('error', () => {}) // cut at the end
  asker.write('GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(asker, 'data')
  const closed = once(asker.resume(), 'close')
  await daemon[Symbol.asyncDispose]()
  await closed
})

test('a virbus that keeps nothing says so', async () => {
  using dir = tempDir()
  await using daemon = await start(dir.path, '')
  await assert.rejects(ask(daemon, 'last=1'), { code: 'ERR_HTTP_REFUSED', message: /keeps no events/ })
})
