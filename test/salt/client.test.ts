import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { encode } from '../../src/msgpack/index.ts'
import { type Dialect, EventPublisher, type Framing, SaltEventClient } from '../../src/salt/index.ts'
import { tempDir } from '../support/peers.ts'
import { coded, onlyPull, startBus, until } from './support.ts'

for (const dialect of ['classic', 'prefixed', 'split'] as const) {
  test(`events that are fired on a ${dialect} bus of ours come back, and no probe is seen`, async () => {
    await using bus = await startBus(dialect)
    await using client = await SaltEventClient.connect({ sockDir: bus.sockDir })
    await using all = client.events()
    await using some = client.events({ tag: 'b', matchType: 'endswith' })
    const data = { x: 1, list: ['ü'], _stamp: 'mine' }
    await client.fire('a', data)
    await client.fireMaster({ y: 2 }, 'a/b')
    await client.fire('a/b', new Map([[1, 2]]))
    const events = [await all.next(), await all.next(), await all.next()].map(({ value }) => value)
    assert.deepEqual(
      events.map((event) => event?.tag),
      ['a', 'fire_master', 'a/b'],
    )
    assert.match(String(Object(events[0]?.data)['_stamp']), /^2\d{3}-/)
    assert.equal(data._stamp, 'mine')
    assert.deepEqual({ ...Object(events[0]?.data), _stamp: 0 }, { ...data, _stamp: 0 })
    assert.deepEqual(Object(events[1]?.data)['data'], { y: 2 })
    assert.equal(events[2]?.data instanceof Map, true)
    assert.equal((await some.next()).value?.tag, 'a/b')
    assert.equal(bus.received.length, 3)
  })
}

test('what is no event is refused', async () => {
  await using bus = await startBus('split')
  await using client = await SaltEventClient.connect({ sockDir: bus.sockDir })
  await assert.rejects(client.fire('', {}), coded('ERR_SALT_TAG_EMPTY'))
  await assert.rejects(client.fire('a\n\nb', {}), coded('ERR_SALT_TAG'))
  await assert.rejects(client.fire('a\n', {}), coded('ERR_SALT_TAG'))
  for (const data of [null, [], 'text', 5, Buffer.from('x')]) {
    // What a caller without types can pass.
    await assert.rejects(
      client.fire('a', data as unknown as Record<string, unknown>),
      coded('ERR_SALT_DATA_NOT_MAP'),
    )
  }
  assert.throws(() => client.events({ tag: '(', matchType: 'regex' }), coded('ERR_SALT_MATCH'))
})

test('connecting says what is wrong with the path', async () => {
  using dir = tempDir()
  await assert.rejects(SaltEventClient.connect({ sockDir: dir.path }), coded('ERR_SALT_NO_BUS'))
  const path = join(dir.path, 'master_event_pub.ipc')
  await using publisher = new EventPublisher({ path, dialect: 'split' })
  await publisher.listen()
  await using client = await SaltEventClient.connect({ sockDir: dir.path })
  await assert.rejects(client.fire('a', {}), coded('ERR_SALT_NO_BUS'))
})

test('a bus that ends is a typed error after the events that came before', async () => {
  const bus = await startBus('split')
  await using client = await SaltEventClient.connect({ sockDir: bus.sockDir })
  const events = client.events()
  await client.fire('a', {})
  await until(() => events.length === 1, 'the event')
  await bus[Symbol.asyncDispose]()
  assert.equal((await events.next()).value?.tag, 'a')
  await assert.rejects(events.next(), coded('ERR_SALT_CONNECTION_LOST'))
  await assert.rejects(client.events().next(), coded('ERR_SALT_CONNECTION_LOST'))
  await assert.rejects(client.fire('b', {}), coded('ERR_SALT_NO_BUS'))
})

test('aborting and leaving the loop end the iteration', async () => {
  await using bus = await startBus('split')
  await using client = await SaltEventClient.connect({ sockDir: bus.sockDir })
  const abort = new AbortController()
  const waiting = client.events({ signal: abort.signal }).next()
  abort.abort()
  assert.equal((await waiting).done, true)
  await client.fire('a', {})
  const left = client.events({ tag: 'b' })
  await client.fire('b', {})
  for await (const event of left) {
    assert.equal(event.tag, 'b')
    break
  }
  assert.equal((await left.next()).done, true)
})

test('firing in one turn keeps the order, also before the dialect is known', async () => {
  await using bus = await startBus('prefixed')
  await using client = await SaltEventClient.connect({ sockDir: bus.sockDir, listen: false })
  const tags = Array.from({ length: 3000 }, (_, index) => `tag/${index}`)
  await Promise.all(tags.map((tag) => client.fire(tag, { x: 1 })))
  await until(() => bus.received.length === tags.length, 'all events')
  assert.deepEqual(
    bus.received.map(({ tag }) => tag),
    tags,
  )
})

test('a client that ends has written what it fired', async () => {
  await using bus = await startBus('split')
  {
    await using client = await SaltEventClient.connect({ sockDir: bus.sockDir, dialect: 'split' })
    await client.fire('first', {})
    for (let index = 0; index < 100; index++) client.fire('more', { x: 'y'.repeat(1000) }).catch(assert.fail)
  }
  await until(() => bus.received.length === 101, 'all events')
})

for (const [dialect, framing] of [
  ['classic', 'bare'],
  ['prefixed', 'prefixed'],
  ['split', 'prefixed'],
] as const) {
  test(`probing finds the framing of a ${dialect} bus that takes no other`, async () => {
    using dir = tempDir()
    await using publisher = new EventPublisher({
      path: join(dir.path, 'master_event_pub.ipc'),
      dialect: dialect satisfies Dialect,
    })
    await publisher.listen()
    let taken: Framing | undefined
    const path = join(dir.path, 'master_event_pull.ipc')
    const server = onlyPull(path, framing, (body) => {
      // The probe in the framing that such a bus does not read is not an event there.
      if (!body.includes(framing === 'bare' ? '/prefixed\n' : '/bare\n')) publisher.publishBody(body)
      if (body.includes('fired')) taken = framing
    })
    await once(server, 'listening')
    {
      await using client = await SaltEventClient.connect({ sockDir: dir.path, probeMs: 200 })
      await using events = client.events({ tag: 'fired' })
      await client.fire('fired', {})
      assert.equal((await events.next()).value?.tag, 'fired')
      assert.equal(client.dialect, dialect)
      assert.equal(taken, framing)
    }
    server.close()
  })
}

test('a bus that answers no probe is a typed error', async () => {
  using dir = tempDir()
  await using publisher = new EventPublisher({
    path: join(dir.path, 'master_event_pub.ipc'),
    dialect: 'split',
  })
  await publisher.listen()
  const server = createServer((socket) => void socket.on('error', () => {}).resume()).listen(
    join(dir.path, 'master_event_pull.ipc'),
  )
  {
    await using client = await SaltEventClient.connect({ sockDir: dir.path, probeMs: 50 })
    await assert.rejects(client.fire('a', {}), coded('ERR_SALT_DIALECT'))
  }
  server.close()
})

test('a bus that sends lengths is known by its first message, without a probe of the other kind', async () => {
  await using bus = await startBus('prefixed')
  await using client = await SaltEventClient.connect({ sockDir: bus.sockDir })
  await using events = client.events()
  await until(() => bus.publisher.stats.subscribers === 1, 'subscribed')
  bus.publisher.publish('a', encode({}))
  await events.next()
  assert.equal(client.dialect, 'prefixed')
})
