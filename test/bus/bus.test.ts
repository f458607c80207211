import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bus, BusEvent, type PayloadCodec } from '../../src/bus/index.ts'

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
