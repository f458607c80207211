import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { encode } from '../../src/msgpack/index.ts'
import {
  EventPublisher,
  EventPuller,
  MessageSplitter,
  type ReceivedEvent,
  type SlowSubscriber,
} from '../../src/salt/index.ts'
import { tempDir } from '../support/peers.ts'
import { coded, frame, rawClient, startBus, until } from './support.ts'

test('sockets are their owner’s alone, or have the mode that was asked for, and are removed at the end', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pub')
  {
    await using publisher = new EventPublisher({ path, dialect: 'split' })
    await publisher.listen()
    assert.equal(lstatSync(path).mode & 0o777, 0o600)
  }
  assert.equal(existsSync(path), false)
  await using publisher = new EventPublisher({ path, dialect: 'split', mode: 0o660 })
  await publisher.listen()
  assert.equal(lstatSync(path).mode & 0o777, 0o660)
})

test('a socket that somebody serves is refused and goes on working', async () => {
  await using bus = await startBus('classic')
  const path = join(bus.sockDir, 'master_event_pub.ipc')
  await using other = new EventPublisher({ path, dialect: 'classic' })
  await assert.rejects(other.listen(), coded('ERR_SALT_SOCKET_IN_USE'))
  await other[Symbol.asyncDispose]()
  using client = await rawClient(path)
  assert.ok(client.writable)
})

test('of two that start at once one wins and the other is told', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pub')
  const all = Array.from({ length: 8 }, () => new EventPublisher({ path, dialect: 'classic' }))
  const results = await Promise.allSettled(all.map((publisher) => publisher.listen()))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results)
    if (result.status === 'rejected') assert.ok(coded('ERR_SALT_SOCKET_IN_USE')(result.reason))
  using client = await rawClient(path)
  assert.ok(client.writable)
  for (const publisher of all) await publisher[Symbol.asyncDispose]()
  assert.equal(existsSync(path), false)
})

test('the socket of a process that was killed is replaced', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pub')
  const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.ok(lstatSync(path).isSocket())
  await using publisher = new EventPublisher({ path, dialect: 'classic' })
  await publisher.listen()
  using client = await rawClient(path)
  assert.ok(client.writable)
})

test('what is no socket is left as it is, and impossible paths say so', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pub')
  writeFileSync(path, 'precious')
  for (const bad of [path, join(dir.path, 'no/such/folder'), join(dir.path, 'x'.repeat(100))]) {
    const publisher = new EventPublisher({ path: bad, dialect: 'classic' })
    await assert.rejects(publisher.listen(), coded('ERR_SALT_SOCKET_PATH'))
    await publisher[Symbol.asyncDispose]()
  }
  assert.equal(readFileSync(path, 'utf8'), 'precious')
})

test('the events of one turn reach every subscriber in order', async () => {
  await using bus = await startBus('prefixed')
  const path = join(bus.sockDir, 'master_event_pub.ipc')
  const tags: string[][] = [[], [], []]
  const clients = await Promise.all(tags.map(() => rawClient(path)))
  for (const [index, client] of clients.entries()) {
    const splitter = new MessageSplitter({
      onBody: (body) => tags[index]?.push(body.toString('latin1').split('\n')[0] ?? ''),
    })
    client.on('data', (chunk) => splitter.push(chunk))
  }
  await until(() => bus.publisher.stats.subscribers === 3, 'three subscribers')
  const expected = Array.from({ length: 5000 }, (_, index) => `tag/${index}`)
  for (const tag of expected) bus.publisher.publish(tag, encode({ x: 'y'.repeat(100) }))
  await until(() => tags.every(({ length }) => length === expected.length), 'all events')
  for (const got of tags) assert.deepEqual(got, expected)
  for (const client of clients) client.destroy()
})

test('a subscriber that does not read is cut, and the others and the memory are not harmed', async () => {
  const pendingBytesMax = 4_000_000
  await using bus = await startBus('split', { pendingBytesMax })
  const path = join(bus.sockDir, 'master_event_pub.ipc')
  using reader = await rawClient(path)
  using sleeper = await rawClient(path)
  sleeper.pause()
  let bytes = 0
  reader.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  await until(() => bus.publisher.stats.subscribers === 2, 'two subscribers')
  const payload = encode({ x: 'y'.repeat(100_000) })
  const before = process.memoryUsage().arrayBuffers
  let published = 0
  let most = 0
  for (let turn = 0; turn < 2000; turn++) {
    bus.publisher.publish('big', payload)
    published += frame('bare', 'big', { x: 'y'.repeat(100_000) }).length
    await until(() => bytes === published, 'the reader got it')
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  assert.equal(bus.publisher.stats.subscribersCut, 1)
  assert.equal(bus.publisher.stats.subscribers, 1)
  assert.ok(most < 80_000_000, `${most} bytes for 200 MB of events`)
})

test('a slow subscriber loses the oldest events where that is wanted, which is counted and told once', async () => {
  const told: SlowSubscriber[] = []
  await using bus = await startBus('prefixed', {
    slow: 'drop',
    pendingEventsMax: 500,
    onSlow: (slow) => told.push(slow),
  })
  const path = join(bus.sockDir, 'master_event_pub.ipc')
  using sleeper = await rawClient(path)
  sleeper.pause()
  using reader = await rawClient(path)
  let read = 0
  const counter = new MessageSplitter({ onBody: () => read++ })
  reader.on('data', (chunk: Buffer) => counter.push(chunk))
  await until(() => bus.publisher.stats.subscribers === 2, 'two subscribers')
  const payload = encode({ x: 'y'.repeat(10_000) })
  const count = 3000
  for (let n = 0; n < count; n++) {
    bus.publisher.publish(`tag/${n}`, payload)
    await new Promise(setImmediate)
  }
  await until(() => read === count, 'the reader has all')
  const { dropped, subscribersCut } = bus.publisher.stats
  assert.equal(subscribersCut, 0)
  assert.ok(dropped > 1000)
  assert.equal(told.length, 1)
  assert.deepEqual([told[0]?.subscriber, told[0]?.policy], [1, 'drop'])
  // What it gets when it wakes up is whole and in order, and the newest.
  const tags: number[] = []
  const splitter = new MessageSplitter({
    onBody: (body) => tags.push(Number(body.toString('latin1').split('\n')[0]?.slice(4))),
  })
  sleeper.on('data', (chunk: Buffer) => splitter.push(chunk))
  sleeper.resume()
  await until(() => tags.at(-1) === count - 1, 'the newest')
  assert.equal(tags.length, count - dropped)
  assert.deepEqual(
    tags,
    tags.toSorted((a, b) => a - b),
  )
})

test('what subscribers send is thrown away', async () => {
  await using bus = await startBus('split')
  using client = await rawClient(join(bus.sockDir, 'master_event_pub.ipc'))
  client.write(Buffer.alloc(5_000_000))
  await once(client, 'drain')
  const first = once(client, 'data')
  bus.publisher.publish('a', encode({}))
  assert.deepEqual((await first)[0], frame('bare', 'a', {}))
})

test('connections above the limit are closed and counted', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pub')
  await using publisher = new EventPublisher({ path, dialect: 'split', subscribersMax: 1 })
  await publisher.listen()
  using first = await rawClient(path)
  await until(() => publisher.stats.subscribers === 1, 'one subscriber')
  const second = connect(path)
  second.on('error', () => {})
  await once(second, 'close')
  assert.equal(publisher.stats.subscribersRefused, 1)
  assert.ok(first.writable)
})

test('every dialect is taken, connection by connection', async () => {
  await using bus = await startBus('classic')
  const path = join(bus.sockDir, 'master_event_pull.ipc')
  using bare = await rawClient(path)
  using lengths = await rawClient(path)
  bare.write(Buffer.concat([frame('bare', 'a', { x: 1 }), frame('bare', 'ü', { x: 2 })]))
  lengths.write(frame('prefixed', 'b', { x: 3 }))
  await until(() => bus.received.length === 3, 'three events')
  const byTag = new Map(bus.received.map(({ tag, payload }: ReceivedEvent) => [tag, payload]))
  assert.deepEqual(byTag.get('ü'), encode({ x: 2 }))
  assert.deepEqual(byTag.get('b'), encode({ x: 3 }))
})

test('garbage cuts its client alone, half a message does after a while', async () => {
  await using bus = await startBus('classic', { stallMs: 100 })
  const path = join(bus.sockDir, 'master_event_pull.ipc')
  using good = await rawClient(path)
  using garbage = await rawClient(path)
  using half = await rawClient(path)
  using idle = await rawClient(path)
  const gone = Promise.all([once(garbage, 'close'), once(half, 'close')])
  garbage.write('GET / HTTP/1.1\r\n\r\n')
  half.write(frame('prefixed', 'a', { x: 'y'.repeat(100) }).subarray(0, 60))
  garbage.resume()
  half.resume()
  await gone
  assert.equal(bus.puller.stats.clientsCut, 2)
  good.write(frame('bare', 'a', {}))
  idle.write(frame('prefixed', 'b', {}))
  await until(() => bus.received.length === 2, 'the others go on')
})

test('a message too long cuts its client before it is read', async () => {
  await using bus = await startBus('classic', { messageBytesMax: 1000 })
  const path = join(bus.sockDir, 'master_event_pull.ipc')
  for (const framing of ['bare', 'prefixed'] as const) {
    using client = await rawClient(path)
    client.resume()
    client.write(frame(framing, 'a', { x: 'y'.repeat(2000) }).subarray(0, 30))
    await once(client, 'close')
  }
  assert.equal(bus.puller.stats.clientsCut, 2)
})

test('messages that are no events are left out, and their client stays', async () => {
  await using bus = await startBus('classic')
  using client = await rawClient(join(bus.sockDir, 'master_event_pull.ipc'))
  const bodies = [
    '',
    'no empty line',
    '\n\n\x80',
    'tag\n\n',
    'tag\n\n\x93',
    'tag\n\n\x05',
    'tag\n\n\x81\xa1a',
    'tag\n\n\x80\x80',
  ]
  for (const body of bodies) client.write(encode({ head: {}, body: Buffer.from(body, 'latin1') }))
  client.write(encode({ head: {}, body: Buffer.from('\xff\n\n\x80', 'latin1') }))
  client.write(encode({ head: {}, body: Buffer.from(`${'x'.repeat(5000)}\n\n\x80`, 'latin1') }))
  client.write(frame('bare', 'good', {}))
  await until(() => bus.received.length === 1, 'the good one')
  assert.deepEqual(
    bus.received.map(({ tag }) => tag),
    ['good'],
  )
  const { accepted, refused, clients, clientsCut } = bus.puller.stats
  assert.deepEqual(
    { accepted, refused, clients, clientsCut },
    { accepted: 1, refused: 10, clients: 1, clientsCut: 0 },
  )
})

test('an event that is kept does not keep what came with it', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pull')
  const kept: Buffer[] = []
  await using puller = new EventPuller({ path, onEvent: ({ payload }) => kept.push(payload) })
  await puller.listen()
  using client = await rawClient(path)
  client.write(Buffer.concat(Array.from({ length: 500 }, () => frame('bare', 'a', { x: 'y'.repeat(100) }))))
  await until(() => kept.length === 500, '500 events')
  for (const payload of kept) assert.ok(payload.buffer.byteLength <= Buffer.poolSize)
})
