import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '../../src/libvirt/index.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { LIBVIRTD, startLibvirtd, type TestDaemon, VIRSH } from '../support/libvirtd.ts'
import { needs, QEMU, tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'
import { virsh } from '../support/virsh.ts'

const live = needs(LIBVIRTD, VIRSH, QEMU)
let daemon: TestDaemon
/** The qemu driver, with one guest that runs without an operating system and one that does not run. */
let qemu: string

const GUEST = (name: string): string =>
  `<domain type='qemu'><name>${name}</name><title>The ${name}</title><memory unit='MiB'>24</memory><currentMemory unit='MiB'>16</currentMemory>
  <vcpu current='1'>2</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`

before(async () => {
  if (live.skip) return
  daemon = await startLibvirtd()
  qemu = `qemu+unix:///system?socket=${daemon.socketPath}`
  for (const name of ['runs', 'rests']) {
    const xml = join(daemon.dir, `${name}.xml`)
    writeFileSync(xml, GUEST(name))
    assert.equal((await virsh(qemu, 'define', xml)).code, 0)
  }
  assert.equal((await virsh(qemu, 'autostart', 'rests')).code, 0)
  const started = await virsh(qemu, 'start', 'runs')
  assert.equal(started.code, 0, started.stderr)
})
after(async () => {
  if (qemu) await virsh(qemu, 'destroy', 'runs')
  await daemon?.[Symbol.asyncDispose]()
})

/** `virsh dominfo` as a map, without what goes on between two questions. */
async function dominfo(uri: string, name: string): Promise<Map<string, string>> {
  const { stdout } = await virsh(uri, 'dominfo', name)
  const pairs = [...stdout.matchAll(/^([^:\n]+): +(.*)$/gm)].map(([, key = '', value = '']) => [key, value])
  return new Map(pairs as [string, string][]) // two strings each
}

interface Report {
  [name: string]: unknown
}

/** A guest of `virbus guests --json` in virsh's words and units. */
function asDominfo(guest: Report): Record<string, unknown> {
  return {
    Id: guest['id'] === null ? '-' : String(guest['id']),
    Name: guest['name'],
    UUID: guest['uuid'],
    State: guest['state'] === 'shutoff' ? 'shut off' : guest['state'],
    'CPU(s)': String(guest['vcpus']),
    'Max memory': `${guest['maxMemoryKiB']} KiB`,
    'Used memory': `${guest['memoryKiB']} KiB`,
    Persistent: guest['persistent'] ? 'yes' : 'no',
    Autostart: guest['autostart'] ? 'enable' : 'disable',
  }
}

async function agreesWithVirsh(uri: string, guests: readonly Report[]): Promise<void> {
  const { stdout } = await virsh(uri, 'list', '--all', '--name')
  const names = stdout.split('\n').filter((name) => name !== '')
  assert.deepEqual(guests.map(({ name }) => name).sort(), names.sort())
  for (const guest of guests) {
    const info = await dominfo(uri, String(guest['name']))
    for (const [key, value] of Object.entries(asDominfo(guest))) assert.equal(value, info.get(key), key)
    const [state, reason] = (await virsh(uri, 'domstate', '--reason', String(guest['name']))).stdout
      .trim()
      .replace(/\)$/, '')
      .split(' (')
    assert.deepEqual([asDominfo(guest)['State'], guest['reason']], [state, reason])
    // virsh rounds up to tenths of a second, and was asked later.
    const cpuTime = Number(info.get('CPU time')?.replace('s', '') ?? 0)
    assert.ok(
      Number(guest['cpuTimeNs']) / 1e9 <= cpuTime + 0.1,
      `${JSON.stringify(guest)} and ${JSON.stringify([...info])}`,
    )
  }
}

test('virbus guests --uri agrees with virsh list --all and virsh dominfo', live, async () => {
  const { code, stdout, stderr } = await virbus('guests', '--uri', qemu, '--json', '--titles')
  assert.equal(code, 0, stderr)
  const guests: Report[] = JSON.parse(stdout)
  assert.deepEqual(guests.map(({ title }) => title).sort(), ['The rests', 'The runs'])
  const runs = guests.find(({ name }) => name === 'runs')
  assert.ok(Number(runs?.['cpuTimeNs']) > 0)
  await agreesWithVirsh(qemu, guests)
})

test('metadata is shown of those that have it, by libvirt itself and by a running virbus', live, async () => {
  const uri = 'http://example.org/owner'
  const set = [
    'metadata',
    'rests',
    '--uri',
    uri,
    '--key',
    'o',
    '--set',
    '<owner since="1">ops</owner>',
    '--config',
  ]
  const done = await virsh(qemu, ...set)
  assert.equal(done.code, 0, done.stderr)
  using dir = tempDir()
  await using up = new LineProcess(VIRBUS, ['up', '--uri', qemu, '--sock-dir', dir.path])
  await up.lines(/libvirt events registered/, 1, 'stderr')
  for (const where of [
    ['--uri', qemu],
    ['--sock-dir', dir.path],
  ]) {
    const { stdout, code, stderr } = await virbus('guests', ...where, '--json', '--metadata', uri)
    assert.equal(code, 0, stderr)
    const guests: Report[] = JSON.parse(stdout)
    const found = guests.map(({ name, metadata }) => [name, metadata])
    assert.deepEqual(Object.fromEntries(found), {
      runs: {},
      rests: { [uri]: { '@since': '1', '#text': 'ops' } },
    })
  }
})

test('so do the guests that a running virbus keeps by events', live, async () => {
  using dir = tempDir()
  // The test driver forgets everything when its last connection closes.
  await using _holder = await connect({ uri: daemon.uri })
  await using up = new LineProcess(VIRBUS, ['up', '--uri', qemu, '--uri', daemon.uri, '--sock-dir', dir.path])
  await up.lines(/libvirt events registered/, 2, 'stderr')
  const ask = async (...args: string[]): Promise<Report[]> => {
    const { code, stdout, stderr } = await virbus('guests', '--json', '--sock-dir', dir.path, ...args)
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
  await until(async () => (await ask('--host', 'qemu*')).length === 2)
  await agreesWithVirsh(qemu, await ask('--host', 'qemu*'))
  await agreesWithVirsh(daemon.uri, await ask('--host', 'test*'))
  await virsh(qemu, 'suspend', 'runs')
  await virsh(daemon.uri, 'destroy', 'test')
  await until(async () => (await ask('--state', 'paused')).length === 1)
  await until(async () => (await ask('--state', 'shut off')).length === 2)
  await agreesWithVirsh(qemu, await ask('--host', 'qemu*'))
  await agreesWithVirsh(daemon.uri, await ask('--host', 'test*'))
  await virsh(qemu, 'resume', 'runs')
  await virsh(daemon.uri, 'start', 'test')
  const { stdout } = await virbus('guests', '--sock-dir', dir.path)
  assert.match(stdout, /^Host +Id +Name +State +vCPUs +Memory +CPU time +Autostart\n/)
  assert.match(stdout, /rests +shut off .*yes$/m)
})

test('hosts that cannot be asked are named, with what the others say', async () => {
  using dir = tempDir()
  await using simulator = await Simulator.listen({ path: join(dir.path, 's'), domains: 2 })
  const away = `test+unix:///default?socket=${dir.path}/nobody`
  const { code, stdout, stderr } = await virbus('guests', '--uri', simulator.uri, '--uri', away, '--json')
  assert.equal(code, 1)
  assert.equal(JSON.parse(stdout).length, 2)
  assert.match(stderr, /nobody/)
})

test('a wrong state, a wrong option and a virbus that does not run are told apart', async () => {
  using dir = tempDir()
  await using simulator = await Simulator.listen({ path: join(dir.path, 's'), domains: 2 })
  const wrong = await virbus('guests', '--uri', simulator.uri, '--state', 'sleeping')
  assert.deepEqual([wrong.code, /no state 'sleeping'; there are .*running/.test(wrong.stderr)], [2, true])
  assert.equal((await virbus('guests', '--stat')).code, 2)
  const absent = await virbus('guests', '--sock-dir', dir.path)
  assert.deepEqual([absent.code, /ERR_HTTP_UNREACHABLE/.test(absent.stderr)], [1, true])
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await condition())) if (performance.now() > deadline) assert.fail('timed out')
}
