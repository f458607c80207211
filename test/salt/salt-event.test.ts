import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  EventPublisher,
  EventPuller,
  getEvent,
  MasterEvent,
  type MatchType,
  MinionEvent,
  SaltEvent,
  socketPaths,
} from '../../src/salt/index.ts'
import { tempDir } from '../support/peers.ts'
import { coded, startBus, until } from './support.ts'

test('the three ways to a bus give the same kind of thing, and data or the whole event', async () => {
  await using bus = await startBus('split')
  const { sockDir } = bus
  await using event = await getEvent('master', { sockDir })
  assert.ok(event instanceof MasterEvent && event.connected)
  await using firer = new MasterEvent(sockDir)
  assert.equal(firer.connected, false)
  assert.equal(await firer.fireEvent({ load: 3 }, 'my/tag'), true)
  const full = await event.getEvent({ tag: 'my/', full: true })
  assert.equal(full?.tag, 'my/tag')
  assert.equal(await firer.fireEvent(new Map([['load', 4]]), 'my/tag'), true)
  const data = await event.getEvent({ tag: 'my/' })
  assert.equal(Object(data)['load'], 4)
  const minion = await getEvent('minion', { sockDir, id: 'web1', listen: false })
  assert.ok(minion instanceof MinionEvent && minion instanceof SaltEvent)
  await minion.destroy()
})

test("a minion's bus: fireMaster asks the minion to pass the event on", async () => {
  using dir = tempDir()
  const { pub, pull } = socketPaths(dir.path, { node: 'minion', id: 'web1' })
  await using publisher = new EventPublisher({ path: pub, dialect: 'prefixed' })
  await publisher.listen()
  await using puller = new EventPuller({ path: pull, onEvent: ({ body }) => publisher.publishBody(body) })
  await puller.listen()
  await using event = new MinionEvent({ sockDir: dir.path, id: 'web1' })
  assert.equal(await event.connectPub(), true)
  assert.equal(await event.fireMaster({ x: 1 }, 'to/master'), true)
  const { _stamp, ...asked } = Object(await event.getEvent({ tag: 'fire_master' }))
  assert.deepEqual(asked, { tag: 'to/master', data: { x: 1 }, events: null, pretag: null })
})

test('what is no event is refused by its code, and what was given is left as it is', async () => {
  await using bus = await startBus('split')
  await using event = await getEvent('master', { sockDir: bus.sockDir, listen: false })
  await assert.rejects(event.fireEvent({}, ''), coded('ERR_SALT_TAG_EMPTY'))
  // What a caller without types can pass.
  const list = [] as unknown as Record<string, unknown>
  await assert.rejects(event.fireEvent(list, 'a'), coded('ERR_SALT_DATA_NOT_MAP'))
  const data = { x: 1 }
  await event.fireEvent(data, 'a')
  assert.deepEqual(data, { x: 1 })
  await assert.rejects(event.getEvent({ tag: '(', matchType: 'regex' }), coded('ERR_SALT_MATCH'))
  const unknown = 'contains' as MatchType // as above
  await assert.rejects(event.getEvent({ matchType: unknown }), coded('ERR_SALT_MATCH'))
  assert.throws(() => event.subscribe('a', unknown), coded('ERR_SALT_MATCH'))
})

test('without a bus nothing is thrown: false and null, and it works once the bus is there', async () => {
  using dir = tempDir()
  await using event = await getEvent('master', { sockDir: dir.path })
  assert.equal(event.connected, false)
  assert.equal(await event.fireEvent({}, 'a', 30), false)
  assert.equal(await event.fireEvent({}, 'a', null), false)
  assert.equal(await event.getEvent({ wait: 0.03 }), null)
  assert.equal(await event.getEvent({ wait: 0 }), null)
  assert.equal(await event.getEventNoblock(), null)
  assert.equal(await event.getEventBlock(), null)
  await using raising = new MasterEvent(dir.path, { raiseErrors: true })
  await assert.rejects(raising.connectPub(), coded('ERR_SALT_NO_BUS'))
  await assert.rejects(raising.getEvent({ wait: 0.03 }), coded('ERR_SALT_NO_BUS'))
  await assert.rejects(raising.fireEvent({}, 'a', 30), coded('ERR_SALT_NO_BUS'))
  assert.equal(await raising.getEvent({ wait: 0.03, autoReconnect: true }), null)
  const fired = event.fireEvent({ late: true }, 'a', 30_000)
  await using bus = await startBus('split', { sockDir: dir.path })
  assert.equal(await fired, true)
  await until(() => bus.received.length === 1, 'the event')
})

test('a lost bus gives null, or is thrown, or is waited for', async () => {
  using dir = tempDir()
  const bus = await startBus('split', { sockDir: dir.path })
  const { path: sockDir } = dir
  await using plain = await getEvent('master', { sockDir })
  await using raising = await getEvent('master', { sockDir, raiseErrors: true })
  await using patient = await getEvent('master', { sockDir })
  plain.subscribe('kept/')
  await plain.fireEvent({}, 'kept/1')
  assert.equal(await plain.getEvent({ tag: 'other', wait: 0.05 }), null)
  const waiting = patient.getEvent({ tag: 'back', wait: 0, autoReconnect: true, full: true })
  await bus[Symbol.asyncDispose]()
  assert.equal(await plain.getEvent({ tag: 'other', wait: 0 }), null)
  assert.equal(plain.connected, false)
  await assert.rejects(raising.getEvent({ tag: 'other' }), coded('ERR_SALT_CONNECTION_LOST'))
  await using again = await startBus('split', { sockDir })
  await until(() => again.publisher.stats.subscribers === 1, 'the patient one')
  assert.equal(await plain.fireEvent({}, 'back'), true)
  assert.equal((await waiting)?.tag, 'back')
  assert.deepEqual(
    plain.pendingEvents.map(({ tag }) => tag),
    ['kept/1'],
  )
})

test('calls at the same time get one event each, in turn', async () => {
  await using bus = await startBus('split')
  await using event = await getEvent('master', { sockDir: bus.sockDir })
  const calls = [1, 2, 3].map(() => event.getEvent({ full: true, wait: 30 }))
  for (const tag of ['a', 'b', 'c']) await event.fireEvent({}, tag)
  assert.deepEqual(
    (await Promise.all(calls)).map((one) => one?.tag),
    ['a', 'b', 'c'],
  )
})

test('a call that gave up loses no event, and a signal ends a call and an iteration', async () => {
  await using bus = await startBus('split')
  await using event = await getEvent('master', { sockDir: bus.sockDir })
  assert.equal(await event.getEvent({ wait: 0.01 }), null)
  assert.equal(await event.getEvent({ noBlock: true }), null)
  assert.equal(await event.getEvent({ wait: -1 }), null)
  const abort = new AbortController()
  const waiting = assert.rejects(event.getEvent({ wait: 0, signal: abort.signal }), { name: 'AbortError' })
  abort.abort()
  await waiting
  await event.fireEvent({}, 'a')
  assert.equal((await event.getEvent({ wait: 0, full: true }))?.tag, 'a')
  const end = new AbortController()
  const tags: string[] = []
  for (const tag of ['i/1', 'j', 'i/2']) await event.fireEvent({}, tag)
  for await (const { tag } of event.iterEvents({ tag: 'i/', full: true, signal: end.signal })) {
    tags.push(tag)
    if (tags.length === 2) end.abort()
  }
  assert.deepEqual(tags, ['i/1', 'i/2'])
})

test('destroying ends what waits and what iterates, and connects to nothing again', async () => {
  await using bus = await startBus('split')
  const event = await getEvent('master', { sockDir: bus.sockDir })
  const patient = await getEvent('master', { sockDir: bus.sockDir })
  const waiting = event.getEvent({ wait: 0 })
  const iterating = Array.fromAsync(patient.iterEvents({ autoReconnect: true }))
  await until(() => bus.publisher.stats.subscribers === 2, 'both')
  await event.destroy()
  await patient.destroy()
  assert.equal(await waiting, null)
  assert.deepEqual(await iterating, [])
  await assert.rejects(event.getEvent(), coded('ERR_SALT_CLOSED'))
  await assert.rejects(event.fireEvent({}, 'a'), coded('ERR_SALT_CLOSED'))
  await until(() => bus.publisher.stats.subscribers === 0, 'nobody')
})

test('events beyond the limit are dropped and counted, those kept for a subscription too', async () => {
  await using bus = await startBus('split')
  await using event = await getEvent('master', { sockDir: bus.sockDir, limit: 3 })
  await using all = await getEvent('master', { sockDir: bus.sockDir })
  event.subscribe('a/')
  for (let index = 0; index < 5; index++) {
    await event.fireEvent({}, `a/${index}`)
    await all.getEvent({ tag: `a/${index}`, wait: 30 })
    assert.equal(await event.getEvent({ tag: 'none', wait: 0.02 }), null)
  }
  assert.deepEqual(
    event.pendingEvents.map(({ tag }) => tag),
    ['a/2', 'a/3', 'a/4'],
  )
  assert.equal(event.dropped, 2)
  for (let index = 0; index < 6; index++) await event.fireEvent({}, `b/${index}`)
  await until(() => event.dropped > 2, 'more than are kept')
  const { dropped } = event
  await event.closePub()
  assert.deepEqual(event.pendingEvents, [])
  assert.equal(event.dropped, dropped)
})
