import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../src/libvirt/index.ts'
import { resolveTarget } from '../../src/libvirt/uri.ts'
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

test('the daemon gets the URI without transport and without the parameters of the client', async () => {
  const cases: [string, string][] = [
    ['test+unix:///default?socket=/s', 'test:///default'],
    ['qemu+unix:///system?socket=/s&mode=legacy&other=1', 'qemu:///system?other=1'],
    ['remote+unix:///?socket=/s', ''],
    ['qemu:///system?socket=/s&name=lxc:///', 'lxc:///'],
  ]
  for (const [uri, name] of cases) assert.deepEqual(await resolve(uri), { uri, name, socketPath: '/s' })
})

test('sockets are those of the system for root, of the user otherwise, read-only where there is such a one', async () => {
  assert.equal((await resolve('qemu:///system')).socketPath, `${RUN}/libvirt-sock`)
  assert.equal((await resolve('qemu:///system', { readOnly: true })).socketPath, `${RUN}/libvirt-sock-ro`)
  assert.equal((await resolve('qemu:///system', { uid: 1000 })).socketPath, `${RUN}/libvirt-sock`)
  const env = { XDG_RUNTIME_DIR: '/x' }
  assert.equal((await resolve('qemu:///session', { uid: 1000, env })).socketPath, '/x/libvirt/libvirt-sock')
  assert.equal(
    (await resolve('qemu:///session?mode=direct', { uid: 1000, env })).socketPath,
    '/x/libvirt/virtqemud-sock',
  )
})

test('the socket of a modular daemon is taken where it exists', async () => {
  using dir = tempDir()
  writeFileSync(join(dir.path, 'virtlxcd-sock'), '')
  const options = { systemRunDir: dir.path }
  assert.equal((await resolve('lxc:///system', options)).socketPath, join(dir.path, 'virtlxcd-sock'))
  assert.equal((await resolve('qemu:///system', options)).socketPath, join(dir.path, 'libvirt-sock'))
  assert.deepEqual(await resolve(undefined, options), {
    uri: 'lxc:///system',
    name: 'lxc:///system',
    socketPath: join(dir.path, 'virtlxcd-sock'),
  })
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
    (await resolve(undefined, { uid: 1000, env: { ...env, LIBVIRT_DEFAULT_URI: 'hail' } })).socketPath,
    '/hail',
  )
  writeFileSync(conf, '')
  assert.deepEqual(await resolve(undefined, { uid: 1000, env }), {
    uri: undefined,
    name: '',
    socketPath: '/x/libvirt/libvirt-sock',
  })
})

test('what cannot be reached is refused with the reason', async () => {
  await assert.rejects(resolve('test:///default'), {
    code: 'ERR_LIBVIRT_URI',
    message: /test\+unix:\/\/\/default/,
  })
  await assert.rejects(resolve('qemu+carrier-pigeon:///'), { code: 'ERR_LIBVIRT_URI' })
  await assert.rejects(resolve('qemu://host/system'), { code: 'ERR_LIBVIRT_URI', message: /transport 'tls'/ })
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
