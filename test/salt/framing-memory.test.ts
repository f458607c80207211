import assert from 'node:assert/strict'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Dialect, EventPublisher, FramingMemory, SaltEventClient } from '../../src/salt/index.ts'
import { needs, SALT_RELEASES, tempDir } from '../support/peers.ts'
import { saltProgram, startSaltMaster } from '../support/salt-master.ts'
import { frame, onlyPull, rawClient, startBus, until } from './support.ts'

const LIMIT_MS = 120_000

test('a socket is asked once, also by many at the same time', async () => {
  await using bus = await startBus('classic')
  const path = join(bus.sockDir, 'master_event_pull.ipc')
  const memory = new FramingMemory()
  let asked = 0
  const find = async (): Promise<'bare'> => {
    asked++
    await new Promise((resolve) => setImmediate(resolve))
    return 'bare'
  }
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => memory.recall(path, find))), [
    'bare',
    'bare',
    'bare',
  ])
  await memory.recall(path, find)
  assert.equal(asked, 1)
})

test('what failed is asked again, and so is a socket that was made anew', async () => {
  using dir = tempDir()
  const memory = new FramingMemory()
  const path = join(dir.path, 'master_event_pull.ipc')
  const fail = (): Promise<'bare'> => Promise.reject(new Error('no answer'))
  await assert.rejects(memory.recall(path, fail), /no answer/)
  const server = createServer().listen(path)
  await once(server, 'listening')
  assert.equal(await memory.recall(path, async () => 'bare'), 'bare')
  assert.equal(await memory.recall(path, fail), 'bare')
  const other = createServer().listen(`${path}2`)
  await once(other, 'listening')
  renameSync(`${path}2`, path)
  assert.equal(await memory.recall(path, async () => 'prefixed'), 'prefixed')
  server.close()
  other.close()
})

test('a bus that comes back with another framing is probed again by the client that knew the old one', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'master_event_pull.ipc')
  await using publisher = new EventPublisher({
    path: join(dir.path, 'master_event_pub.ipc'),
    dialect: 'classic',
  })
  await publisher.listen()
  await using client = await SaltEventClient.connect({ sockDir: dir.path })
  for (const framing of ['bare', 'prefixed'] as const) {
    let taken = 0
    const connections = new Set<Socket>()
    const server = onlyPull(path, framing, (body) => {
      // The probe in the framing that such a bus does not read is not an event there.
      if (!body.includes(framing === 'bare' ? '/prefixed\n' : '/bare\n')) publisher.publishBody(body)
      if (body.includes('fired')) taken++
    })
    server.on('connection', (socket) => connections.add(socket))
    await once(server, 'listening')
    // The first event may be lost with the connection to the bus before.
    await client.fire('fired', {}).catch(() => client.fire('fired', {}))
    await until(() => taken === 1, 'the event')
    assert.equal(client.dialect, framing === 'bare' ? 'classic' : 'split')
    server.close()
    for (const socket of connections) socket.destroy()
    await once(server, 'close')
  }
})

for (const [dialect, version] of Object.entries(SALT_RELEASES))
  test(`a real bus of Salt ${version} is probed once for all clients, and wrong framing on one connection stops nobody`, {
    ...needs(saltProgram(version, 'salt-master')),
    timeout: LIMIT_MS,
  }, async () => {
    await using master = await startSaltMaster(version)
    const { sockDir } = master
    using raw = await rawClient(join(sockDir, 'master_event_pub.ipc'))
    let seen = ''
    raw.on('data', (chunk) => {
      seen += chunk.toString('latin1')
    })
    const memory = new FramingMemory()
    await using watcher = await SaltEventClient.connect({ sockDir, memory })
    await using events = watcher.events({ tag: 'my/' })
    for (let index = 0; index < 5; index++) {
      await using firer = await SaltEventClient.connect({ sockDir, memory, listen: false })
      await firer.fire(`my/${index}`, { index })
      assert.equal(firer.dialect ?? dialect, dialect)
      assert.equal((await events.next()).value?.tag, `my/${index}`)
    }
    await until(() => seen.includes('my/4'), 'the last event')
    assert.equal(seen.match(/virbus\/probe\//g)?.length, 1)
    assert.doesNotMatch(master.log(), /stream|unpack|IPC/i)
    // The master keeps such a connection waiting for 2 GiB, or drops it, and serves all others.
    using bare = await rawClient(join(sockDir, 'master_event_pull.ipc'))
    using prefixed = await rawClient(join(sockDir, 'master_event_pull.ipc'))
    bare.write(frame('bare', 'other/bare', {}))
    prefixed.write(frame('prefixed', 'other/prefixed', {}))
    await using firer = await SaltEventClient.connect({ sockDir, memory, listen: false })
    await firer.fire('my/last', {})
    assert.equal((await events.next()).value?.tag, 'my/last')
    const right = (dialect satisfies string as Dialect) === 'classic' ? 'bare' : 'prefixed' // the keys of SALT_RELEASES
    await until(() => seen.includes(`other/${right}`), 'the event in the framing of the bus')
    assert.equal(seen.includes(`other/${right === 'bare' ? 'prefixed' : 'bare'}\n`), false)
  })
