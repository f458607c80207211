import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { Bus, BusEvent, type PayloadCodec, tagMatcher } from '../../src/bus/index.ts'
import { needs } from '../support/peers.ts'

let decoded = 0
const json: PayloadCodec = {
  encode: (data) => Buffer.from(JSON.stringify(data)),
  decode: (payload) => {
    decoded++
    return JSON.parse(payload.toString())
  },
}

test('a subscriber gets the events that match, in order, from its subscription on', async () => {
  await using bus = new Bus()
  bus.publish(BusEvent.of('a/0', {}, json))
  const events = bus.subscribe('a/*')
  for (const tag of ['a/1', 'b/1', 'a/2']) bus.publish(BusEvent.of(tag, { tag }, json))
  assert.equal((await events.next()).value.tag, 'a/1')
  assert.equal((await events.next()).value.tag, 'a/2')
})

test('a slow subscriber loses its oldest events, which are counted, and costs the others nothing', async () => {
  const bus = new Bus()
  const slow = bus.subscribe('*', { limit: 2 })
  const other = bus.subscribe('*', { limit: 10 })
  for (let n = 0; n < 5; n++) bus.publish(BusEvent.of(`t/${n}`, {}, json))
  assert.equal(slow.dropped, 3)
  assert.deepEqual(bus.stats, { published: 5, dropped: 3, subscribers: 2 })
  await slow.return()
  assert.deepEqual(bus.stats, { published: 5, dropped: 3, subscribers: 1 })
  await bus[Symbol.asyncDispose]()
  const seen = []
  for await (const event of other) seen.push(event.tag)
  assert.deepEqual(seen, ['t/0', 't/1', 't/2', 't/3', 't/4'])
})

test('an event that came as bytes is decoded once, and only when its data is read', () => {
  const before = decoded
  const event = BusEvent.ofPayload('t', Buffer.from('{"a":1}'), json)
  assert.equal(event.payload.toString(), '{"a":1}')
  assert.equal(decoded, before)
  assert.deepEqual([event.data, event.data], [{ a: 1 }, { a: 1 }])
  assert.equal(decoded, before + 1)
})

test('an empty tag is refused', () => {
  assert.throws(() => BusEvent.of('', {}, json), { code: 'ERR_BUS_TAG_EMPTY' })
})

test('leaving the loop frees the subscription', async () => {
  const bus = new Bus()
  const abort = new AbortController()
  bus.subscribe('*', { signal: abort.signal })
  abort.abort()
  assert.equal(bus.stats.subscribers, 0)
})

const PYTHON = '/usr/bin/python3'

test("globs match exactly as Python's fnmatch", needs(PYTHON), () => {
  const letter = fc.constantFrom(...'ab/*?[]!-c')
  const patterns = fc
    .sample(fc.array(letter, { maxLength: 8 }), { numRuns: 4000, seed: 1 })
    .map((p) => p.join(''))
  const tags = fc
    .sample(fc.array(fc.constantFrom(...'ab/*[]!-c'), { maxLength: 8 }), { numRuns: 4000, seed: 2 })
    .map((t) => t.join(''))
  const script =
    'import fnmatch,json,sys\nfor line in sys.stdin:\n p,t=json.loads(line)\n print(int(fnmatch.fnmatchcase(t,p)))'
  const input = patterns.map((pattern, i) => JSON.stringify([pattern, tags[i]])).join('\n')
  const answers = execFileSync(PYTHON, ['-c', script], {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  })
    .trim()
    .split('\n')
  assert.equal(answers.length, patterns.length)
  for (const [i, pattern] of patterns.entries())
    assert.equal(tagMatcher(pattern)(tags[i] ?? ''), answers[i] === '1', `${pattern} on ${tags[i]}`)
})

test('a hostile glob costs no exponential time', () => {
  assert.equal(tagMatcher(`${'*a'.repeat(50)}b`)('a'.repeat(5000)), false)
})
