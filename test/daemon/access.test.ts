import assert from 'node:assert/strict'
import { chmodSync, lstatSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { BusEvent } from '../../src/bus/index.ts'
import type { AccessConfig } from '../../src/config/index.ts'
import { type Logger, silentLogger } from '../../src/core/logger.ts'
import { Daemon, type DaemonOptions } from '../../src/daemon/index.ts'
import { askControl } from '../../src/http/index.ts'
import { asRoot, runAs } from '../support/as-user.ts'
import { needs, SALT_RELEASES, saltPython, tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'

const FIRE = join(import.meta.dirname, '../support/fire-as-user.ts')
const SALT_PEER = join(import.meta.dirname, '../support/salt_peer.py')
const STRANGER = 64_021
const FRIEND = 64_022
/** Salt's library wants a user with a name: every Linux has daemon. */
const DAEMON = 1
const OPEN: AccessConfig = { pull: { mode: 0o666 }, pub: { mode: 0o666 } }

interface Served extends AsyncDisposable {
  readonly daemon: Daemon
  readonly dir: string
  /** The tags of what clients fired, in order. */
  readonly tags: string[]
  /** Waits for so many events in all. */
  readonly came: (count: number) => Promise<void>
}

async function serve(access: AccessConfig, options: Partial<DaemonOptions> = {}): Promise<Served> {
  await using stack = new AsyncDisposableStack()
  const { path: dir } = stack.use(tempDir())
  chmodSync(dir, 0o755)
  const daemon = stack.use(
    await Daemon.start({ sockDir: dir, wire: 'split', engines: [], log: silentLogger, access, ...options }),
  )
  const events: AsyncIterator<BusEvent> = daemon.bus.subscribe('*')
  const tags: string[] = []
  const all = stack.move()
  return {
    daemon,
    dir,
    tags,
    async came(count) {
      while (tags.length < count) {
        const { value } = await events.next()
        tags.push(value.tag)
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

function fireAs(id: number, dir: string, bytes: number, ...tags: string[]): LineProcess {
  return runAs(id, process.execPath, [FIRE, dir, `${bytes}`, ...tags])
}

const ask = async (daemon: Daemon): Promise<unknown> =>
  JSON.parse(await askControl(daemon.sockets.control, '/v1/stats'))

test('the sockets are their owner’s alone, or have the mode that the configuration gives each', async () => {
  {
    await using served = await serve({})
    for (const path of Object.values(served.daemon.sockets))
      assert.equal(lstatSync(path).mode & 0o777, 0o600, path)
  }
  const access = { pub: { mode: 0o644 }, pull: { mode: 0o620 }, control: { mode: 0o666 } }
  await using served = await serve(access)
  const modes = Object.values(served.daemon.sockets).map((path) => lstatSync(path).mode & 0o777)
  assert.deepEqual(modes, [0o644, 0o620, 0o666])
  assert.ok(await ask(served.daemon))
})

test('sockets are given to users and groups, by name or number', asRoot, async () => {
  const { username } = userInfo()
  const access = {
    pub: { owner: STRANGER, group: 'daemon' },
    pull: { group: FRIEND },
    control: { owner: username },
  }
  await using served = await serve(access)
  const { pub, pull, control } = served.daemon.sockets
  const { uid, gid } = lstatSync(pub)
  assert.equal(uid, STRANGER)
  assert.notEqual(gid, process.getgid?.())
  assert.deepEqual([lstatSync(pull).uid, lstatSync(pull).gid], [process.getuid?.(), FRIEND])
  assert.equal(lstatSync(control).uid, process.getuid?.())
})

test('users and groups that do not exist are named, and nothing is left behind', async () => {
  for (const [access, name] of [
    [{ pub: { owner: 'vb-nobody' } }, "user 'vb-nobody'"],
    [{ control: { group: 'vb-none' } }, "group 'vb-none'"],
    [{ reserved: { users: ['root:x'] } }, "user 'root:x'"],
  ] as const)
    await assert.rejects(serve({ ...access, reserved: { users: [], ...Object(access).reserved } }), {
      code: 'ERR_DAEMON_USER',
      message: `there is no ${name}`,
    })
})

test('virbus says at its start that it may not give a socket away', asRoot, async () => {
  using dir = tempDir()
  chmodSync(dir.path, 0o777)
  const config = join(dir.path, 'virbus.yaml')
  writeFileSync(config, `sock_dir: ${dir.path}\nengines: []\naccess:\n  pull: {owner: root}\n`)
  await using up = runAs(STRANGER, VIRBUS, ['up', '--config', config])
  assert.equal(await up.exit(), 2)
  assert.match(up.stderr.join('\n'), /_pull\.ipc cannot be given to user 0: EPERM \(ERR_SALT_SOCKET_OWNER\)/)
})

test('a stranger forges no reserved tag, is counted, and goes on firing', asRoot, async () => {
  const warnings: Record<string, unknown>[] = []
  const log: Logger = {
    ...silentLogger,
    warn: (fields, message) => message.includes('reserved') && warnings.push(fields),
  }
  await using served = await serve(OPEN, { log })
  const forged = ['salt/auth', 'salt/key', 'salt/job/20261120/ret/web1', 'virbus', 'virbus/simulator']
  const fine = ['salt/authority', 'salt', 'salt/minion/web1/start', 'my/salt/job', 'virbus2/x']
  await using stranger = fireAs(STRANGER, served.dir, 0, ...forged, ...fine)
  await stranger.lines(/fired/)
  await served.came(fine.length)
  stranger.child.stdin?.write('salt/job/2\n')
  await stranger.lines(/fired/, 2)
  stranger.child.stdin?.write('last\n')
  await served.came(fine.length + 1)
  assert.deepEqual(served.tags, [...fine, 'last'])
  const { puller } = served.daemon.stats
  assert.deepEqual([puller.forged, puller.accepted, puller.refused, puller.clients], [6, 6, 0, 1])
  // One line for all of them, until ten seconds have gone by.
  assert.equal(warnings.length, 1)
  assert.deepEqual(
    [warnings[0]?.['tag'], warnings[0]?.['uid'], warnings[0]?.['gid']],
    ['salt/auth', STRANGER, STRANGER],
  )
  assert.ok(Number(warnings[0]?.['pid']) > 0)
})

test('root, virbus’s own user and who is named fire every tag', asRoot, async () => {
  await using served = await serve({ ...OPEN, reserved: { users: [FRIEND] } })
  const tags = ['salt/job/1/new', 'virbus/x']
  for (const id of [0, FRIEND]) {
    await using client = fireAs(id, served.dir, 0, ...tags)
    await client.lines(/fired/)
  }
  await served.came(4)
  await using stranger = fireAs(STRANGER, served.dir, 0, ...tags, 'end')
  await served.came(5)
  assert.deepEqual(served.tags, [...tags, ...tags, 'end'])
  assert.equal(served.daemon.stats.puller.forged, 2)
  assert.equal(await stranger.end('SIGKILL'), null)
})

test('a virbus that is not root takes its own user for one who may', asRoot, async () => {
  using dir = tempDir()
  chmodSync(dir.path, 0o777)
  const config = join(dir.path, 'virbus.yaml')
  writeFileSync(
    config,
    `sock_dir: ${dir.path}\nengines: []\naccess:\n  pub: {mode: '0666'}\n  pull: {mode: '0666'}\n`,
  )
  await using up = runAs(FRIEND, VIRBUS, ['up', '--config', config])
  await up.lines(/"msg":"ready"/, 1, 'stderr')
  await using watch = new LineProcess(VIRBUS, ['watch', '--sock-dir', dir.path])
  await watch.lines(/watching/, 1, 'stderr')
  await using stranger = fireAs(STRANGER, dir.path, 0, 'salt/job/forged', 'stranger/end')
  await watch.lines(/^stranger\/end/)
  await using own = fireAs(FRIEND, dir.path, 0, 'salt/job/real', 'own/end')
  await watch.lines(/^own\/end/)
  await using root = fireAs(0, dir.path, 0, 'salt/job/root')
  await watch.lines(/^salt\/job\/root/)
  const seen = watch.stdout.map((line) => line.split('\t')[0])
  assert.deepEqual(seen, ['stranger/end', 'salt/job/real', 'own/end', 'salt/job/root'])
  for (const client of [stranger, own, root]) await client.end('SIGKILL')
})

test('the reserved tags can be others, or nobody’s', asRoot, async () => {
  {
    await using served = await serve({ ...OPEN, reserved: { tags: ['my', 'my/own'] } })
    await using _stranger = fireAs(STRANGER, served.dir, 0, 'my/tag', 'my', 'salt/job/1', 'end')
    await served.came(2)
    assert.deepEqual(served.tags, ['salt/job/1', 'end'])
  }
  await using served = await serve({ ...OPEN, reserved: { users: 'any' } })
  await using _stranger = fireAs(STRANGER, served.dir, 0, 'salt/job/1', 'end')
  await served.came(2)
  assert.deepEqual(served.tags, ['salt/job/1', 'end'])
})

const python = saltPython(SALT_RELEASES.prefixed)

test(
  'the library of Salt fires as another user what is not reserved, and as root all',
  asRoot.skip ? asRoot : needs(python),
  async () => {
    await using served = await serve(OPEN, { wire: 'prefixed' })
    const salt = (id: number, tag: string): LineProcess =>
      runAs(id, python, ['-u', SALT_PEER, served.dir, 'fire', tag])
    await using forger = salt(DAEMON, 'salt/job/1/ret/web1')
    await using other = salt(DAEMON, 'python/tag')
    await using root = salt(0, 'salt/job/2/ret/web1')
    const peers = [forger, other, root]
    await Promise.all(peers.map((peer) => peer.lines(/"tag"/, 11)))
    await served.came(22)
    assert.deepEqual([...new Set(served.tags)].sort(), ['python/tag', 'salt/job/2/ret/web1'])
    const { forged, clients } = served.daemon.stats.puller
    assert.deepEqual([forged, clients], [11, 3])
    for (const peer of peers) await peer.end('SIGKILL')
  },
)

test('who fires more than he may is not read for a while, loses nothing and delays nobody', async () => {
  const count = 150
  await using served = await serve({ limits: { events_per_second: 50 } })
  const tags = Array.from({ length: count }, (_, n) => `greedy/${n}`)
  await using modest = new LineProcess(process.execPath, [FIRE, served.dir, '0', 'modest/1'])
  await served.came(1)
  const begun = performance.now()
  await using greedy = new LineProcess(process.execPath, [FIRE, served.dir, '60000', ...tags])
  await served.came(10)
  modest.child.stdin?.write('modest/2\n')
  await served.came(count + 2)
  const tookMs = performance.now() - begun
  await greedy.lines(/fired/)
  assert.deepEqual(
    served.tags.filter((tag) => tag.startsWith('greedy')),
    tags,
  )
  assert.notEqual(served.tags.at(-1), 'modest/2')
  // A second's worth comes at once.
  assert.ok(tookMs > (1000 * (count - 50)) / 50, `${tookMs} ms`)
  const { throttled, clientsCut, accepted } = served.daemon.stats.puller
  assert.ok(throttled > 0)
  assert.deepEqual([clientsCut, accepted], [0, count + 2])
})

test('bytes are limited too', async () => {
  await using served = await serve({ limits: { bytes_per_second: 1_000_000 } })
  const tags = Array.from({ length: 30 }, (_, n) => `greedy/${n}`)
  const begun = performance.now()
  await using _greedy = new LineProcess(process.execPath, [FIRE, served.dir, '100000', ...tags])
  await served.came(30)
  assert.ok(performance.now() - begun > 1900)
  assert.deepEqual(served.tags, tags)
})

/** As if the optional package were not installed. */
const WITHOUT_KOFFI = `import { registerHooks } from 'node:module'
registerHooks({ resolve(name, context, next) {
  if (name === 'koffi') throw new Error("Cannot find package 'koffi'")
  return next(name, context)
} })`

test('without koffi virbus runs, and says what is missing only where users have to be told apart', async () => {
  using dir = tempDir()
  const config = join(dir.path, 'virbus.yaml')
  const env = { NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(WITHOUT_KOFFI)}"` }
  const begin = (access: string): LineProcess => {
    writeFileSync(config, `sock_dir: ${dir.path}\nengines: []\n${access}`)
    return new LineProcess(VIRBUS, ['up', '--config', config], env)
  }
  for (const fine of [
    '',
    "access: {pub: {mode: '0666'}}\n",
    "access: {pull: {mode: '0666'}, reserved: {users: any}}\n",
  ]) {
    await using up = begin(fine)
    await up.lines(/"msg":"ready"/, 1, 'stderr')
    assert.equal(await up.end('SIGTERM'), 0)
  }
  await using up = begin("access: {pull: {mode: '0666'}}\n")
  assert.equal(await up.exit(), 2)
  assert.match(up.stderr.join('\n'), /without the optional package koffi: .* \(ERR_SALT_CREDENTIALS\)/)
})

test('a configuration with a user that does not exist ends virbus with the code of a wrong one', async () => {
  using dir = tempDir()
  const config = join(dir.path, 'virbus.yaml')
  writeFileSync(config, `sock_dir: ${dir.path}\naccess: {pub: {owner: vb-nobody}}\n`)
  const { code, stderr } = await virbus('up', '--config', config)
  assert.equal(code, 2)
  assert.match(stderr, /there is no user 'vb-nobody' \(ERR_DAEMON_USER\)/)
})
