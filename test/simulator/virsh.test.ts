import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { VirshWatch, virsh, virshSkip } from '../support/virsh.ts'
import { TestSimulator } from './support.ts'

const GUEST_XML = `<domain type='test'>
  <name>lv-t</name>
  <title>A &amp; B</title>
  <memory unit='MiB'>8</memory>
  <vcpu>3</vcpu>
  <os><type>hvm</type></os>
</domain>`

describe('real virsh on the simulator', { skip: virshSkip }, () => {
  let folder: string
  let guestFile: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'virbus-virsh-'))
    guestFile = join(folder, 'guest.xml')
    await writeFile(guestFile, GUEST_XML)
  })
  after(() => rm(folder, { recursive: true }))

  async function ok(uri: string, ...args: string[]): Promise<string> {
    const result = await virsh(uri, ...args)
    assert.deepEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: '' }, args.join(' '))
    return result.stdout
  }

  async function refused(uri: string, ...args: string[]): Promise<string> {
    const result = await virsh(uri, ...args)
    assert.equal(result.code, 1, args.join(' '))
    return result.stderr
  }

  test('lists guests with their states', async () => {
    await using started = await TestSimulator.start()
    const out = await ok(started.simulator.uri, 'list', '--all')
    assert.match(out, /^ 1 {4}web-1 +running$/m)
    assert.match(out, /^ - {4}queue-1 +shut off$/m)
    const rows = out.trim().split('\n').length - 2
    assert.equal(rows, 8)
    assert.equal((await ok(started.simulator.uri, 'list', '--name', '--inactive')).trim(), 'proxy-1\nqueue-1')
  })

  test('starts, suspends, resumes, reboots, shuts down and destroys, as virsh event sees it', async () => {
    await using started = await TestSimulator.start()
    const { uri, stats } = started.simulator
    await using watch = new VirshWatch(uri, 'event', '--all', '--loop')
    await until(() => stats.registrations, 27)
    await ok(uri, 'start', 'queue-1')
    assert.equal((await ok(uri, 'domstate', 'queue-1', '--reason')).trim(), 'running (booted)')
    await ok(uri, 'suspend', 'queue-1')
    assert.equal((await ok(uri, 'domstate', 'queue-1', '--reason')).trim(), 'paused (user)')
    await ok(uri, 'resume', 'queue-1')
    await ok(uri, 'reboot', 'queue-1')
    await ok(uri, 'shutdown', 'queue-1')
    assert.equal((await ok(uri, 'domstate', 'queue-1', '--reason')).trim(), 'shut off (shutdown)')
    await ok(uri, 'start', 'queue-1', '--paused')
    await ok(uri, 'destroy', 'queue-1')
    await watch.matching(/^event/, 8)
    assert.equal(await watch.interrupt(), 0)
    const events = watch.lines.filter((line) => line.startsWith("event '"))
    assert.deepEqual(
      events.map((line) => line.replace("for domain 'queue-1'", '').replace(/ +/g, ' ').trim()),
      [
        "event 'lifecycle' : Started Booted",
        "event 'lifecycle' : Suspended Paused",
        "event 'lifecycle' : Resumed Unpaused",
        "event 'reboot'",
        "event 'lifecycle' : Stopped Shutdown",
        "event 'lifecycle' : Started Booted",
        "event 'lifecycle' : Suspended Paused",
        "event 'lifecycle' : Stopped Destroyed",
      ],
    )
    assert.equal(stats.registrations, 0)
    assert.equal(stats.protocolErrors, 0)
  })

  test('defines, renames, changes and undefines a guest, and shows what it was given', async () => {
    await using started = await TestSimulator.start({ domains: 0 })
    const { uri, stats } = started.simulator
    await using watch = new VirshWatch(uri, 'event', '--all', '--loop')
    await until(() => stats.registrations, 27)
    await ok(uri, 'define', guestFile)
    const xml = await ok(uri, 'dumpxml', 'lv-t')
    assert.match(xml, /<title>A &amp; B<\/title>/)
    assert.match(xml, /<memory unit='KiB'>8192<\/memory>/)
    const info = await ok(uri, 'dominfo', 'lv-t')
    assert.match(info, /^CPU\(s\): +3$/m)
    assert.match(info, /^Max memory: +8192 KiB$/m)
    assert.match(info, /^Security model: testSecurity$/m)
    assert.equal((await ok(uri, 'desc', 'lv-t', '--title')).trim(), 'A & B')
    await ok(uri, 'desc', 'lv-t', 'hello')
    assert.equal((await ok(uri, 'desc', 'lv-t')).trim(), 'hello')
    await ok(uri, 'metadata', 'lv-t', 'http://example.org/', '--key', 'x', '--set', '<a/>')
    assert.equal((await ok(uri, 'metadata', 'lv-t', 'http://example.org/')).trim(), '<a/>')
    assert.match(await ok(uri, 'dumpxml', 'lv-t'), /<a xmlns='http:\/\/example.org\/'\/>/)
    await ok(uri, 'autostart', 'lv-t')
    await ok(uri, 'domrename', 'lv-t', 'lv-u')
    await ok(uri, 'start', 'lv-u')
    await ok(uri, 'setmem', 'lv-u', '4M')
    await ok(uri, 'managedsave', 'lv-u')
    await ok(uri, 'start', 'lv-u')
    await ok(uri, 'dompmsuspend', 'lv-u', 'mem')
    await ok(uri, 'dompmwakeup', 'lv-u')
    await ok(uri, 'destroy', 'lv-u')
    await ok(uri, 'undefine', 'lv-u')
    assert.equal((await ok(uri, 'list', '--all', '--name')).trim(), '')
    const lines = await watch.matching(/^event/, 15)
    assert.deepEqual(
      lines.map((line) =>
        line
          .replace(/for domain '[^']+'/, '')
          .replace(/ +/g, ' ')
          .trim(),
      ),
      [
        "event 'lifecycle' : Defined Added",
        "event 'metadata-change' : type description, uri <null>",
        "event 'metadata-change' : type element, uri http://example.org/",
        "event 'lifecycle' : Undefined Renamed",
        "event 'lifecycle' : Defined Renamed",
        "event 'lifecycle' : Started Booted",
        "event 'balloon-change' : 4096KiB",
        "event 'lifecycle' : Stopped Saved",
        "event 'lifecycle' : Started Restored",
        "event 'lifecycle' : PMSuspended Memory",
        "event 'pm-suspend'",
        "event 'lifecycle' : Started Event wakeup",
        "event 'pm-wakeup'",
        "event 'lifecycle' : Stopped Destroyed",
        "event 'lifecycle' : Undefined Removed",
      ],
    )
  })

  test('a guest that was created and not defined is gone when it stops', async () => {
    await using started = await TestSimulator.start({ domains: 0 })
    const { uri } = started.simulator
    await ok(uri, 'create', guestFile)
    assert.match(await ok(uri, 'dominfo', 'lv-t'), /^Persistent: +no$/m)
    await ok(uri, 'destroy', 'lv-t')
    assert.match(await refused(uri, 'domstate', 'lv-t'), /failed to get domain 'lv-t'/)
  })

  test('gives statistics of one guest and of all', async () => {
    await using started = await TestSimulator.start()
    const { uri } = started.simulator
    const one = await ok(uri, 'domstats', 'db-1')
    assert.match(one, /^ {2}state\.state=1$/m)
    assert.match(one, /^ {2}balloon\.maximum=2097152$/m)
    assert.match(one, /^ {2}vcpu\.1\.time=\d+$/m)
    assert.equal([...(await ok(uri, 'domstats')).matchAll(/^Domain:/gm)].length, 8)
    assert.equal(
      [...(await ok(uri, 'domstats', '--list-inactive', '--state')).matchAll(/^Domain:/gm)].length,
      2,
    )
  })

  test('networks, pools, devices and secrets can be listed and changed', async () => {
    await using started = await TestSimulator.start()
    const { uri, stats } = started.simulator
    await using nets = new VirshWatch(uri, 'net-event', '--event', 'lifecycle', '--loop')
    await using pools = new VirshWatch(uri, 'pool-event', '--event', 'lifecycle', '--loop')
    await using refreshes = new VirshWatch(uri, 'pool-event', '--event', 'refresh', '--loop')
    await using devices = new VirshWatch(uri, 'nodedev-event', '--event', 'update', '--loop')
    await using secrets = new VirshWatch(uri, 'secret-event', '--event', 'lifecycle', '--loop')
    await until(() => stats.registrations, 5)
    assert.match(await ok(uri, 'net-list', '--all'), /^ default +active +no +yes$/m)
    await ok(uri, 'net-destroy', 'default')
    await ok(uri, 'net-start', 'default')
    await ok(uri, 'net-autostart', 'default')
    assert.match(await ok(uri, 'net-dumpxml', 'default'), /<name>default<\/name>/)
    assert.match(
      await ok(uri, 'pool-list', '--all', '--details'),
      /^ default +running +no +yes +100\.00 GiB/m,
    )
    await ok(uri, 'pool-refresh', 'default')
    await ok(uri, 'pool-destroy', 'default')
    await ok(uri, 'pool-undefine', 'default')
    assert.match(await ok(uri, 'nodedev-list'), /^net_eth0_52_54_00_12_34_56$/m)
    assert.match(await ok(uri, 'nodedev-list', '--cap', 'usb_device'), /^usb_1_1\n\n$/)
    assert.match(await ok(uri, 'nodedev-dumpxml', 'usb_1_1'), /<parent>computer<\/parent>/)
    started.simulator.hypervisor.nodeDevices.update('usb_1_1')
    const file = join(folder, 'secret.xml')
    await writeFile(file, `<secret><usage type='ceph'><name>client secret</name></usage></secret>`)
    await ok(uri, 'secret-define', file)
    assert.match(await ok(uri, 'secret-list'), /ceph +client secret/)
    await nets.matching(/'lifecycle' for network default: (Stopped|Started)/, 2)
    await pools.matching(/'lifecycle' for storage pool default: (Stopped|Undefined)/, 2)
    await refreshes.matching(/'refresh' for storage pool default/, 1)
    await devices.matching(/'update' for node device usb_1_1/, 1)
    await secrets.matching(/'lifecycle' for secret .*: Defined/, 1)
  })

  test('tells about itself', async () => {
    await using started = await TestSimulator.start({ hostname: 'sim-host', libVersion: '9.0.0' })
    const { uri } = started.simulator
    assert.equal((await ok(uri, 'uri')).trim(), uri)
    assert.equal((await ok(uri, 'hostname')).trim(), 'sim-host')
    assert.match(await ok(uri, 'version', '--daemon'), /Running against daemon: 9\.0\.0/)
    const nameless = uri.replace('test+unix:///default', 'remote+unix:///')
    assert.equal((await ok(nameless, 'uri')).trim(), nameless)
  })

  test('refuses what a driver of libvirt refuses', async () => {
    await using started = await TestSimulator.start()
    const { uri } = started.simulator
    assert.match(await refused(uri, 'dominfo', 'nope'), /failed to get domain 'nope'/)
    assert.match(await refused(uri, 'start', 'web-1'), /Domain is already active/)
    assert.match(await refused(uri, 'resume', 'web-1'), /is not paused: it is running/)
    assert.match(await refused(uri, 'suspend', 'queue-1'), /is not running: it is shut off/)
    assert.match(await refused(uri, 'destroy', 'queue-1'), /is not running/)
    assert.match(await refused(uri, 'net-start', 'default'), /is already active/)
    assert.match(await refused(uri, 'pool-start', 'nope'), /failed to get pool 'nope'/)
    assert.match(await refused(uri, '-r', 'destroy', 'web-1'), /read only access prevents/)
    assert.match(await refused(uri, 'iface-list'), /unknown procedure|not supported/)
    const file = join(folder, 'bad.xml')
    await writeFile(file, '<!DOCTYPE x [<!ENTITY a "b">]><domain><name>&a;</name></domain>')
    assert.match(await refused(uri, 'define', file), /document type is not accepted/)
    const other = uri.replace('test+unix:///default', 'qemu+unix:///system')
    assert.match(await refused(other, 'list'), /no connection driver available for qemu:\/\/\/system/)
  })

  test('answers the keepalive of an idle connection, and gets the events of the one guest it asked for', async () => {
    await using started = await TestSimulator.start({ keepaliveIntervalMs: 30, keepaliveCount: 2 })
    const { simulator } = started
    const { stats } = simulator
    await using watch = new VirshWatch(simulator.uri, 'event', 'web-1', '--event', 'lifecycle', '--loop')
    await until(() => stats.registrations, 1)
    const { domains } = simulator.hypervisor
    // More pings than may stay unanswered, so the others were answered.
    await until(() => stats.pings, stats.pings + 10)
    domains.suspend(domains.byName('db-1'))
    domains.suspend(domains.byName('web-1'))
    assert.deepEqual(await watch.matching(/^event/, 1), [
      "event 'lifecycle' for domain 'web-1': Suspended Paused",
    ])
    assert.equal(stats.keepaliveTimeouts, 0)
  })

  test('tells virsh when it goes away', async () => {
    await using started = await TestSimulator.start()
    const { simulator } = started
    await using watch = new VirshWatch(simulator.uri, 'event', '--all', '--loop')
    await until(() => simulator.stats.registrations, 27)
    await simulator[Symbol.asyncDispose]()
    await watch.matching(/Disconnected from|connection/i, 1)
  })
})

/** Counters grow by what another process does: looked at on each turn of the loop until they have. */
async function until(count: () => number, wanted: number): Promise<void> {
  const signal = AbortSignal.timeout(10_000)
  while (count() < wanted) {
    signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    setImmediate(resolve)
    await promise
  }
}
