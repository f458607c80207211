import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventPublisher, EventPuller } from '../../src/salt/index.ts'
import { loadPeerReader, type PeerCredentials } from '../../src/salt/ipc/peer-credentials.ts'
import { isReserved, RESERVED_TAGS } from '../../src/salt/ipc/reserved-tags.ts'
import { TokenBucket } from '../../src/salt/ipc/token-bucket.ts'
import { UnixServer } from '../../src/salt/ipc/unix-server.ts'
import { asRoot } from '../support/as-user.ts'
import { tempDir } from '../support/peers.ts'
import { coded, frame, rawClient, startBus, until } from './support.ts'

const onLinux = { skip: process.platform === 'linux' ? false : 'only Linux tells who connects' }

test('a tag is reserved with all that is below it, and with nothing beside it', () => {
  for (const tag of [
    'salt/auth',
    'salt/auth/',
    'salt/key/x',
    'salt/job/1/ret/web1',
    'virbus',
    'virbus/simulator',
  ])
    assert.equal(isReserved(tag, RESERVED_TAGS), true, tag)
  for (const tag of ['salt', 'salt/', 'salt/authority', 'Salt/auth', 'x/salt/auth', 'virbus2', 'salt/jobs'])
    assert.equal(isReserved(tag, RESERVED_TAGS), false, tag)
})

test('a bucket gives a second’s worth at once, and lets wait for what was taken in advance', () => {
  const bucket = new TokenBucket(10, 0)
  assert.equal(bucket.take(10, 0), 0)
  assert.equal(bucket.take(1, 0), 100)
  assert.equal(bucket.take(0, 100), 0)
  assert.equal(bucket.take(35, 100), 3500)
  assert.equal(bucket.take(0, 3600), 0)
  // What is saved up is no more than a second's worth, however long it was.
  assert.equal(bucket.take(11, 3_600_000), 100)
})

test('the kernel tells who connects, until the connection is closed', onLinux, async () => {
  using dir = tempDir()
  const path = join(dir.path, 's')
  const readPeer = await loadPeerReader()
  const { promise, resolve } =
    Promise.withResolvers<[PeerCredentials | undefined, PeerCredentials | undefined]>()
  await using server = new UnixServer({
    path,
    connectionsMax: 1,
    onConnection: (socket) => {
      const peer = readPeer(socket)
      socket.destroy()
      socket.once('close', () => resolve([peer, readPeer(socket)]))
    },
    onRefused: () => {},
  })
  await server.listen()
  using _client = await rawClient(path)
  const { pid, getuid, getgid } = process
  assert.deepEqual(await promise, [{ pid, uid: getuid?.(), gid: getgid?.() }, undefined])
})

test(
  'reserved tags of a user who may not fire them are left out and counted; probes are answered',
  onLinux,
  async () => {
    await using bus = await startBus('classic', { reserved: { uids: [] } })
    using client = await rawClient(join(bus.sockDir, 'master_event_pull.ipc'))
    client.write(frame('bare', 'virbus/probe/1/bare', {}))
    await once(client, 'data')
    for (const tag of ['salt/auth', 'a', 'virbus/x', 'b']) client.write(frame('bare', tag, {}))
    await until(() => bus.received.length === 2, 'two events')
    assert.deepEqual(
      bus.received.map(({ tag }) => tag),
      ['a', 'b'],
    )
    const { accepted, refused, forged, clients } = bus.puller.stats
    assert.deepEqual(
      { accepted, refused, forged, clients },
      { accepted: 2, refused: 0, forged: 2, clients: 1 },
    )
  },
)

test('a socket that cannot be given away is not opened', asRoot, async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pub')
  const euid = process.geteuid?.() ?? 0
  process.seteuid?.(64_021)
  try {
    using own = tempDir()
    for (const account of [{ owner: 0 }, { group: 64_022 }]) {
      await using publisher = new EventPublisher({
        path: join(own.path, 'pub'),
        dialect: 'split',
        ...account,
      })
      await assert.rejects(publisher.listen(), coded('ERR_SALT_SOCKET_OWNER'))
    }
  } finally {
    process.seteuid?.(euid)
  }
  await using publisher = new EventPublisher({ path, dialect: 'split', owner: 64_021 })
  await publisher.listen()
})

test('a client that has to wait in the middle of a message is not cut for it', async () => {
  await using bus = await startBus('classic', { stallMs: 100, limits: { bytesPerSecond: 50_000 } })
  using client = await rawClient(join(bus.sockDir, 'master_event_pull.ipc'))
  const event = frame('prefixed', 'big', { x: 'y'.repeat(100_000) })
  client.write(event)
  await until(() => bus.received.length === 1, 'the whole message')
  assert.ok(bus.puller.stats.throttled > 0)
  assert.equal(bus.puller.stats.clientsCut, 0)
  // It is read again, and blamed for its own silence only.
  client.write(event.subarray(0, 100))
  await until(() => bus.puller.stats.clientsCut === 1, 'cut for half a message')
})

test('a puller ends while its clients wait for their turn', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'pull')
  const puller = new EventPuller({ path, onEvent: () => {}, limits: { eventsPerSecond: 1 } })
  await puller.listen()
  using client = await rawClient(path)
  for (let n = 0; n < 1000; n++) client.write(frame('bare', 'a', {}))
  await until(() => puller.stats.throttled === 1, 'throttled')
  await puller[Symbol.asyncDispose]()
  assert.equal(puller.stats.clients, 0)
})
