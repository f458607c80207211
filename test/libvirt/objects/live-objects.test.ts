import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { type Connection, connect, enums } from '../../../src/libvirt/index.ts'
import { LIBVIRTD, startLibvirtd, type TestDaemon, VIRSH } from '../../support/libvirtd.ts'
import { needs, PYTHON, PYTHON_LIBVIRT, QEMU } from '../../support/peers.ts'

const run = promisify(execFile)
const live = needs(LIBVIRTD, VIRSH, QEMU, PYTHON_LIBVIRT)
let daemon: TestDaemon
let connection: Connection
let qemu: Connection

before(async () => {
  if (live.skip) return
  daemon = await startLibvirtd()
  connection = await connect({ uri: daemon.uri })
  qemu = await connect({ uri: `qemu+unix:///system?socket=${daemon.socketPath}` })
})
after(async () => {
  await connection?.close()
  await qemu?.close()
  await daemon?.[Symbol.asyncDispose]()
})

/** What libvirt-python says of the same: `code` prints JSON of what it finds with `c`, an open connection. */
async function python(uri: string, code: string): Promise<unknown> {
  const program = `import json, sys, libvirt\nc = libvirt.open(sys.argv[1])\nprint(json.dumps(${code}))`
  const { stdout } = await run(PYTHON, ['-c', program, uri])
  return JSON.parse(stdout)
}

async function virsh(on: Connection, ...args: string[]): Promise<string> {
  return (await run(VIRSH, ['-q', '-c', on.uri, ...args])).stdout.trim()
}

const GUEST = (name: string): string =>
  `<domain type='test'><name>${name}</name><memory>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>`

test('a connection tells about its host as libvirt-python does', live, async () => {
  const info = await connection.getInfo()
  const ours = [
    await connection.getHostname(),
    await connection.getType(),
    await connection.getVersion(),
    await connection.getLibVersion(),
    [
      info.model,
      Number(info.memory) >> 10,
      info.cpus,
      info.mhz,
      info.nodes,
      info.sockets,
      info.cores,
      info.threads,
    ],
  ]
  const code = '[c.getHostname(), c.getType(), c.getVersion(), c.getLibVersion(), c.getInfo()]'
  assert.deepEqual(ours, await python(daemon.uri, code))
  assert.ok((await connection.getCapabilities())['capabilities'])
  // What is free changes between the two questions.
  const { total } = await qemu.getNodeMemoryStats()
  assert.equal(total, await python(qemu.uri, "c.getMemoryStats(-1)['total']"))
})

test('a guest is defined, found, started, changed, stopped and removed', live, async () => {
  const defined = await connection.defineXML(GUEST('one'))
  assert.deepEqual([defined.name, defined.id, await defined.isActive()], ['one', undefined, false])
  const started = await defined.create()
  assert.equal(typeof started.id, 'number')
  const found = [
    await connection.lookupByName('one'),
    await connection.lookupByUUIDString(defined.uuid.toUpperCase().replaceAll('-', '')),
    await connection.lookupByID(started.id ?? -1),
  ]
  for (const each of found) assert.deepEqual(each.dom, started.dom)
  const info = await started.info()
  const code =
    "[c.lookupByName('one').info(), c.lookupByName('one').state(), c.lookupByName('one').isPersistent()]"
  const state = await started.state()
  const ours = [
    [info.state, info.maxMem, info.memory, info.nrVirtCpu],
    [state.state, state.reason],
    (await started.isPersistent()) ? 1 : 0,
  ]
  const theirs = (await python(daemon.uri, code)) as [number[], ...unknown[]] // as printed above
  assert.deepEqual(ours, [theirs[0].slice(0, 4), ...theirs.slice(1)])
  await started.suspend()
  assert.equal(await virsh(connection, 'domstate', 'one'), 'paused')
  await started.resume()
  await started.setMemory(32_768)
  assert.equal((await started.info()).memory, 32_768)
  await started.setAutostart(true)
  assert.equal(await started.autostart(), true)
  const { VIR_DOMAIN_METADATA_TITLE } = enums.virDomainMetadataType
  await started.setMetadata(VIR_DOMAIN_METADATA_TITLE, 'A title')
  assert.equal(await started.metadata(VIR_DOMAIN_METADATA_TITLE), 'A title')
  assert.equal(await virsh(connection, 'desc', '--title', 'one'), 'A title')
  const description = await started.description()
  assert.equal(Object(description['domain'])['name'], 'one')
  await started.shutdown()
  assert.equal(await started.isActive(), false)
  const renamed = await started.rename('two')
  assert.equal(await virsh(connection, 'domuuid', 'two'), renamed.uuid)
  await renamed.undefine()
  await assert.rejects(connection.lookupByName('two'), { remoteCode: enums.virErrorNumber.VIR_ERR_NO_DOMAIN })
  await assert.rejects(connection.lookupByUUIDString('not one'), { code: 'ERR_LIBVIRT_ARGUMENT' })
})

test('lists are those of libvirt-python, with the same flags', live, async () => {
  const off = await connection.defineXML(GUEST('off'))
  const names = async (flags?: number): Promise<string[]> =>
    (await connection.listAllDomains({ flags })).map(({ name }) => name).sort()
  const { VIR_CONNECT_LIST_DOMAINS_ACTIVE, VIR_CONNECT_LIST_DOMAINS_INACTIVE } =
    enums.virConnectListAllDomainsFlags
  for (const flags of [0, VIR_CONNECT_LIST_DOMAINS_ACTIVE, VIR_CONNECT_LIST_DOMAINS_INACTIVE])
    assert.deepEqual(
      await names(flags),
      await python(daemon.uri, `sorted(d.name() for d in c.listAllDomains(${flags}))`),
    )
  await off.undefine()
})

test('statistics of all guests are those of libvirt-python', live, async () => {
  const guest = await qemu.defineXML(
    `<domain type='qemu'><name>counted</name><memory unit='MiB'>16</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`,
  )
  // CPU time goes on between the two questions; its names must be the same.
  const still = (params: object): unknown =>
    Object.entries(params).map(([name, value]) => (name.startsWith('cpu.') ? name : [name, value]))
  const ours = (await qemu.getAllDomainStats()).map(({ domain, params }) => [domain.name, still(params)])
  const theirs = (await python(qemu.uri, '[[d.name(), s] for d, s in c.getAllDomainStats()]')) as [
    string,
    object,
  ][] // as printed
  assert.deepEqual(
    ours,
    theirs.map(([name, params]) => [name, still(params)]),
  )
  const { VIR_DOMAIN_STATS_STATE } = enums.virDomainStatsTypes
  const [only] = await qemu.getAllDomainStats({ stats: VIR_DOMAIN_STATS_STATE, domains: [guest] })
  assert.deepEqual(only?.params, { 'state.state': 5, 'state.reason': 0 })
  assert.deepEqual(
    { ...(await guest.schedulerParameters()) },
    await python(qemu.uri, "c.lookupByName('counted').schedulerParameters()"),
  )
  await guest.setSchedulerParameters({ cpu_shares: 512 }, { flags: 2 })
  assert.equal((await guest.schedulerParameters({ flags: 2 }))['cpu_shares'], 512)
  await guest.setSchedulerParameters({ cpu_shares: { type: 'ullong', value: 513 } }, { flags: 2 })
  assert.equal((await guest.schedulerParameters({ flags: 2 }))['cpu_shares'], 513)
  const simple = await connection.lookupByName('test')
  assert.deepEqual(
    { ...(await simple.schedulerParameters()) },
    await python(daemon.uri, "c.lookupByName('test').schedulerParameters()"),
  )
  await guest.undefine()
})

test('snapshots are taken, listed, gone back to and removed', live, async () => {
  const guest = await connection.lookupByName('test')
  const first = await guest.snapshotCreateXML('<domainsnapshot><name>first</name></domainsnapshot>')
  const second = await guest.snapshotCreateXML('<domainsnapshot><name>second</name></domainsnapshot>')
  assert.equal((await second.getParent()).name, 'first')
  assert.equal((await guest.snapshotCurrent()).name, 'second')
  assert.deepEqual(
    (await first.listAllChildren()).map(({ name }) => name),
    ['second'],
  )
  assert.deepEqual([await first.isCurrent(), await second.isCurrent()], [false, true])
  assert.deepEqual((await guest.listAllSnapshots()).map(({ name }) => name).sort(), ['first', 'second'])
  await (await guest.snapshotLookupByName('first')).revert()
  assert.equal(await first.isCurrent(), true)
  for (const snapshot of [second, first]) await snapshot.delete()
  assert.deepEqual(await guest.listAllSnapshots(), [])
})

test('networks are defined, started, described and removed', live, async () => {
  const network = await connection.networkDefineXML(
    "<network><name>net</name><bridge name='virbr7'/><ip address='192.168.77.1' netmask='255.255.255.0'/></network>",
  )
  await network.create()
  assert.deepEqual(
    [await network.isActive(), await network.isPersistent(), await network.bridgeName()],
    [true, true, 'virbr7'],
  )
  assert.ok((await connection.listAllNetworks()).some(({ name }) => name === 'net'))
  assert.equal((await connection.networkLookupByUUIDString(network.uuid)).name, 'net')
  assert.match(await virsh(connection, 'net-info', 'net'), /Active: +yes/)
  const { network: root } = await network.description()
  assert.deepEqual(Object(root)['ip'], [{ '@address': '192.168.77.1', '@netmask': '255.255.255.0' }])
  await network.destroy()
  await network.undefine()
  await assert.rejects(connection.networkLookupByName('net'), { code: 'ERR_LIBVIRT_REMOTE' })
})

test('pools and volumes are made, filled, read and removed on a real directory', live, async () => {
  const path = join(daemon.dir, 'objects')
  mkdirSync(path)
  const pool = await qemu.storagePoolDefineXML(
    `<pool type='dir'><name>objects</name><target><path>${path}</path></target></pool>`,
  )
  await pool.create()
  const volume = await pool.createXML(
    "<volume><name>v.img</name><capacity unit='KiB'>64</capacity><target><format type='raw'/></target></volume>",
  )
  assert.equal((await volume.info()).capacity, 65_536)
  await pipeline(Readable.from([Buffer.from('hello '), Buffer.from('volume')]), await volume.upload())
  const parts = await Array.fromAsync((await volume.download({ length: 12 })) as AsyncIterable<Buffer>)
  assert.equal(Buffer.concat(parts).toString(), 'hello volume')
  await volume.resize(131_072)
  assert.match(await virsh(qemu, 'vol-info', 'v.img', 'objects', '--bytes'), /131072/)
  assert.deepEqual(
    (await pool.listAllVolumes()).map(({ name }) => name),
    ['v.img'],
  )
  assert.equal((await qemu.storageVolLookupByPath(await volume.path())).key, volume.key)
  await volume.delete()
  await pool.refresh()
  assert.deepEqual(await pool.listAllVolumes(), [])
  assert.ok(Number((await pool.info()).capacity) > 0)
  await pool.destroy()
  await pool.undefine()
})

test('secrets keep their values, node devices their places', live, async () => {
  const secret = await qemu.secretDefineXML(
    "<secret ephemeral='yes'><usage type='ceph'><name>key</name></usage></secret>",
  )
  await secret.setValue(Buffer.from([0, 1, 255, 10]))
  assert.deepEqual(await secret.value(), Buffer.from([0, 1, 255, 10]))
  assert.equal((await qemu.secretLookupByUsage(secret.usageType, 'key')).uuid, secret.uuid)
  assert.deepEqual(
    (await qemu.listAllSecrets()).map(({ uuid }) => uuid),
    [secret.uuid],
  )
  await secret.undefine()
  const devices = await qemu.listAllDevices()
  assert.deepEqual(
    devices.map(({ name }) => name).sort(),
    await python(qemu.uri, 'sorted(d.name() for d in c.listAllDevices())'),
  )
  const computer = await qemu.nodeDeviceLookupByName('computer')
  assert.deepEqual([await computer.parent(), await computer.listCaps()], [null, ['system']])
})
