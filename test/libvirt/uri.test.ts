import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../src/libvirt/index.ts'
import { type Route, resolveTarget } from '../../src/libvirt/uri.ts'
import { tempDir } from '../support/peers.ts'

const ROOT = { env: {}, uid: 0 }
const RUN = '/nonexistent-run'

function resolve(
  uri: string | undefined,
  options: { readOnly?: boolean; env?: Record<string, string>; uid?: number; systemRunDir?: string } = {},
) {
  const { readOnly = false, env = {}, uid = 0, systemRunDir = RUN } = options
  return resolveTarget(uri, { readOnly, environment: { env, uid }, systemRunDir })
}

async function socketOf(...args: Parameters<typeof resolve>): Promise<string> {
  const { route } = await resolve(...args)
  assert.equal(route.transport, 'unix')
  return route.transport === 'unix' ? route.socketPath : ''
}

async function routeOf(...args: Parameters<typeof resolve>): Promise<Route> {
  return (await resolve(...args)).route
}

test('the daemon gets the URI without transport and without the parameters of the client', async () => {
  const cases: [string, string][] = [
    ['test+unix:///default?socket=/s', 'test:///default'],
    ['qemu+unix:///system?socket=/s&mode=legacy&other=1', 'qemu:///system?other=1'],
    ['remote+unix:///?socket=/s', ''],
    ['qemu:///system?socket=/s&name=lxc:///', 'lxc:///'],
  ]
  for (const [uri, name] of cases) {
    const target = await resolve(uri)
    assert.deepEqual([target.uri, target.name, await socketOf(uri)], [uri, name, '/s'])
  }
})

test('sockets are those of the system for root, of the user otherwise, read-only where there is such a one', async () => {
  assert.equal(await socketOf('qemu:///system'), `${RUN}/libvirt-sock`)
  assert.equal(await socketOf('qemu:///system', { readOnly: true }), `${RUN}/libvirt-sock-ro`)
  assert.equal(await socketOf('qemu:///system', { uid: 1000 }), `${RUN}/libvirt-sock`)
  const env = { XDG_RUNTIME_DIR: '/x' }
  assert.equal(await socketOf('qemu:///session', { uid: 1000, env }), '/x/libvirt/libvirt-sock')
  assert.equal(await socketOf('qemu:///session?mode=direct', { uid: 1000, env }), '/x/libvirt/virtqemud-sock')
})

test('the socket of a modular daemon is taken where it exists', async () => {
  using dir = tempDir()
  writeFileSync(join(dir.path, 'virtlxcd-sock'), '')
  const options = { systemRunDir: dir.path }
  assert.equal(await socketOf('lxc:///system', options), join(dir.path, 'virtlxcd-sock'))
  assert.equal(await socketOf('qemu:///system', options), join(dir.path, 'libvirt-sock'))
  const found = await resolve(undefined, options)
  assert.deepEqual([found.uri, found.name], ['lxc:///system', 'lxc:///system'])
  assert.equal(await socketOf(undefined, options), join(dir.path, 'virtlxcd-sock'))
})

test('without a URI: the environment, then libvirt.conf, then the local daemon', async () => {
  using home = tempDir()
  mkdirSync(join(home.path, 'libvirt'))
  const conf = join(home.path, 'libvirt/libvirt.conf')
  const env = { XDG_CONFIG_HOME: home.path, XDG_RUNTIME_DIR: '/x' }
  writeFileSync(
    conf,
    '#uri_default = "xen:///"\nuri_default = "lxc:///system"\nuri_aliases = [\n  "hail=qemu:///system?socket=/hail",\n]\n',
  )
  assert.equal((await resolve(undefined, { uid: 1000, env })).uri, 'lxc:///system')
  assert.equal(
    await socketOf(undefined, { uid: 1000, env: { ...env, LIBVIRT_DEFAULT_URI: 'hail' } }),
    '/hail',
  )
  writeFileSync(conf, '')
  const local = await resolve(undefined, { uid: 1000, env })
  assert.deepEqual([local.uri, local.name], [undefined, ''])
  assert.equal(await socketOf(undefined, { uid: 1000, env }), '/x/libvirt/libvirt-sock')
})

test('what cannot be reached is refused with the reason', async () => {
  await assert.rejects(resolve('test:///default'), {
    code: 'ERR_LIBVIRT_URI',
    message: /test\+unix:\/\/\/default/,
  })
  await assert.rejects(resolve('qemu+carrier-pigeon:///'), { code: 'ERR_LIBVIRT_URI' })
  await assert.rejects(resolve('qemu+libssh2://host/system'), {
    code: 'ERR_LIBVIRT_URI',
    message: /use \+ssh/,
  })
  await assert.rejects(resolve('qemu+unix://host/system'), {
    code: 'ERR_LIBVIRT_URI',
    message: /has no host/,
  })
  await assert.rejects(resolve('qemu://system'), { code: 'ERR_LIBVIRT_URI', message: /qemu:\/\/\/system/ })
  await assert.rejects(resolve('qemu+ext:///system'), { code: 'ERR_LIBVIRT_URI', message: /command=/ })
  await assert.rejects(resolve('qemu:///system?mode=odd'), {
    code: 'ERR_LIBVIRT_URI',
    message: /auto, legacy/,
  })
  await assert.rejects(resolve('qemu+ssh://h/system?proxy=odd'), {
    code: 'ERR_LIBVIRT_URI',
    message: /netcat/,
  })
  await assert.rejects(resolve('qemu+tcp://h/?x=%zz'), { code: 'ERR_LIBVIRT_URI' })
  await assert.rejects(resolve('nonsense'), { code: 'ERR_LIBVIRT_URI' })
  await assert.rejects(resolve('esx://host/'), { code: 'ERR_LIBVIRT_URI' })
})

test('a socket that is not there, dead, or closed to us says what to do', async () => {
  using dir = tempDir()
  await assert.rejects(connect({ uri: `test+unix:///default?socket=${dir.path}/none`, environment: ROOT }), {
    code: 'ERR_LIBVIRT_CONNECT',
    message: /is the daemon running/,
  })
  writeFileSync(join(dir.path, 'file'), '')
  await assert.rejects(connect({ uri: `test+unix:///default?socket=${dir.path}/file`, environment: ROOT }), {
    code: 'ERR_LIBVIRT_CONNECT',
    message: /nobody listens/,
  })
  await assert.rejects(connect({ uri: `test+unix:///default?socket=/${'x'.repeat(200)}` }), {
    code: 'ERR_LIBVIRT_CONNECT',
    message: /107 bytes/,
  })
})

test('hosts, ports and users are those of the URI, and the ports those of libvirt otherwise', async () => {
  assert.deepEqual(await routeOf('qemu+tcp://h.example/system'), {
    transport: 'tcp',
    host: 'h.example',
    port: 16509,
  })
  assert.deepEqual(await routeOf('qemu+tcp://[::1]:99/system'), { transport: 'tcp', host: '::1', port: 99 })
  assert.deepEqual(await routeOf('qemu+TCP:///system'), { transport: 'tcp', host: 'localhost', port: 16509 })
  const tls = {
    transport: 'tls',
    host: 'h',
    port: 16514,
    verify: true,
    pkipath: undefined,
    priority: undefined,
  }
  assert.deepEqual(await routeOf('qemu://h/system'), tls)
  assert.deepEqual(await routeOf('remote://h/'), tls)
  assert.deepEqual(await routeOf('qemu+tls://h/system?no_verify=1&pkipath=%2Fp+q&tls_priority=NORMAL'), {
    ...tls,
    verify: false,
    pkipath: '/p+q',
    priority: 'NORMAL',
  })
  const target = await resolve('qemu+tcp://al%40ice@h/system?auth=sasl.digest-md5&authfile=/a;x=1')
  assert.deepEqual(
    [target.username, target.host, target.auth, target.authFile, target.name],
    ['al@ice', 'h', 'sasl.digest-md5', '/a', 'qemu:///system?x=1'],
  )
  assert.deepEqual(await routeOf('qemu+ext:///system?command=/bin/x'), {
    transport: 'ext',
    command: '/bin/x',
    args: [],
    tty: false,
  })
})

test('root has no session of its own, and daemons of a user are started on demand', async () => {
  using dir = tempDir()
  assert.equal(await socketOf('qemu:///session'), `${RUN}/libvirt-sock`)
  writeFileSync(join(dir.path, 'virtqemud'), '', { mode: 0o755 })
  const env = { XDG_RUNTIME_DIR: '/x', PATH: dir.path }
  const direct = await routeOf('qemu:///session?mode=direct', { uid: 1000, env })
  assert.equal(direct.transport === 'unix' && direct.daemon, join(dir.path, 'virtqemud'))
  for (const each of [{ ...env, LIBVIRT_AUTOSTART: '0' }, env]) {
    const uri = 'qemu:///system?mode=direct'
    const route = await routeOf(uri, { uid: each === env ? 0 : 1000, env: each })
    assert.equal(route.transport === 'unix' && route.daemon, undefined)
  }
})

test('ssh is called as libvirt calls it, and cannot ask unless it may', async () => {
  const args = async (uri: string, readOnly = false): Promise<readonly string[]> => {
    const route = await routeOf(uri, { readOnly })
    return route.transport === 'ssh' ? [route.command, ...route.args] : []
  }
  const batch = ['-T', '-e', 'none', '-o', 'BatchMode=yes']
  const [command, ...rest] = await args(
    'qemu+ssh://me@h:2222/system?keyfile=/k&no_verify=1&command=/my/ssh',
    true,
  )
  assert.equal(command, '/my/ssh')
  assert.deepEqual(rest.slice(0, -1), [
    ...['-p', '2222', '-l', 'me', '-i', '/k'],
    ...batch,
    ...['-o', 'StrictHostKeyChecking=no', '--', 'h'],
  ])
  assert.match(
    rest.at(-1) ?? '',
    /virt-ssh-helper -r .*qemu:\/\/\/system.*nc.*-U.*\/var\/run\/libvirt\/libvirt-sock-ro/,
  )
  assert.deepEqual((await args('qemu+ssh://h/system?no_tty=0')).slice(0, -1), [
    'ssh',
    '-T',
    '-e',
    'none',
    '--',
    'h',
  ])
  const last = async (uri: string): Promise<string> => (await args(uri)).at(-1) ?? ''
  assert.doesNotMatch(await last('qemu+ssh://h/system?socket=/s'), /virt-ssh-helper/)
  assert.doesNotMatch(await last('qemu+ssh://h/system?netcat=ncat'), /virt-ssh-helper/)
  assert.doesNotMatch(await last('qemu+ssh://h/system?proxy=native'), /-U/)
  assert.match(await last('qemu+ssh://h/system?mode=legacy&x=1'), /'qemu:\/\/\/system\?mode=legacy&x=1/)
  const quoted = await last("qemu+ssh://h/system?socket=/it's%20here")
  assert.equal(quoted.startsWith("sh -c '"), true)
  assert.ok(
    (await args('qemu+ssh://h/system?sshauth=agent,privkey')).includes('PreferredAuthentications=publickey'),
  )
})
