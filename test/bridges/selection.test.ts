import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { LibvirtToBus, type LibvirtToBusOptions } from '../../src/bridges/index.ts'
import { Bus } from '../../src/bus/index.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { msgpackCodec } from '../../src/daemon/index.ts'
import { connect, type Domain, enums } from '../../src/libvirt/index.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { LIBVIRTD, startLibvirtd } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'
import type { Told } from './told.ts'

const { VIR_DOMAIN_METADATA_TITLE, VIR_DOMAIN_METADATA_ELEMENT } = enums.virDomainMetadataType
const OWNER = 'http://example.org/owner'
const live = needs(LIBVIRTD)

/** Runs an engine while `drive` makes events, and returns what it published about guests until the secret or pool at the end. */
async function published(
  uri: string,
  options: Partial<LibvirtToBusOptions>,
  drive: (untilTold: (count: number) => Promise<void>) => Promise<void>,
): Promise<{ told: Told[]; filtered: number }> {
  await using bus = new Bus()
  const events = bus.subscribe('*')
  await using engine = new LibvirtToBus({
    bus,
    codec: msgpackCodec,
    stamp: () => '',
    log: silentLogger,
    uri,
    ...options,
  })
  engine.start()
  await engine.ready
  const told: Told[] = []
  let news = Promise.withResolvers<void>()
  const untilTold = async (count: number): Promise<void> => {
    while (told.length < count) await news.promise
  }
  let driving: Promise<void> | undefined
  for await (const { tag, data } of events) {
    if (tag.endsWith('/connection/up')) driving = drive(untilTold)
    if (tag.includes('/pool/')) break
    if (!tag.includes('/domain/')) continue
    told.push({ tag, data })
    news.resolve()
    news = Promise.withResolvers()
  }
  await driving
  return { told, filtered: engine.stats.filtered }
}

test(
  'guests are picked by name, by UUID and by metadata, and events of other objects stay',
  live,
  async () => {
    await using daemon = await startLibvirtd()
    await using connection = await connect({ uri: daemon.uri })
    const guests = new Map<string, Domain>()
    for (const name of ['web1', 'web2', 'db1', 'ops1', 'dev1']) {
      const xml = `<domain type='test'><name>${name}</name><memory>8192</memory><os><type>hvm</type></os></domain>`
      const guest = await connection.defineXML(xml)
      guests.set(name, guest)
      const owner = name.slice(0, 3)
      const metadata = { key: 'o', uri: OWNER }
      if (owner !== 'web')
        await guest.setMetadata(VIR_DOMAIN_METADATA_ELEMENT, `<owner>${owner}</owner>`, metadata)
    }
    const drive = async (): Promise<void> => {
      for (const guest of guests.values()) await (await guest.create()).destroy()
      await refreshPool()
    }
    const refreshPool = async (): Promise<void> => {
      const [pool] = await connection.listAllStoragePools()
      await pool?.refresh()
    }
    const names = (told: readonly Told[]): string[] => [
      ...new Set(told.map(({ data }) => String(Object(data['domain']).name))),
    ]
    const pick = (filter: NonNullable<LibvirtToBusOptions['guests']>) =>
      published(daemon.uri, { guests: filter }, drive)
    assert.deepEqual(names((await pick({ names: ['web*'] })).told), ['web1', 'web2'])
    const uuid = guests.get('db1')?.uuid ?? ''
    assert.deepEqual(names((await pick({ uuids: [uuid.toUpperCase()], names: ['web1'] })).told), [
      'web1',
      'db1',
    ])
    assert.deepEqual(names((await pick({ metadata: [{ uri: OWNER }] })).told), ['db1', 'ops1', 'dev1'])
    const ops = await pick({ metadata: [{ uri: OWNER, text: 'o*' }] })
    assert.deepEqual(names(ops.told), ['ops1'])
    assert.deepEqual([ops.told.length, ops.filtered], [2, 8])

    // A guest that is tagged from now on, and one that is gone when it is asked for.
    const [web2, ops1] = [guests.get('web2'), guests.get('ops1')]
    const later = await published(
      daemon.uri,
      { guests: { metadata: [{ uri: OWNER, text: 'o*' }] } },
      async () => {
        await (await web2?.create())?.destroy()
        await web2?.setMetadata(VIR_DOMAIN_METADATA_ELEMENT, '<owner>ours</owner>', { key: 'o', uri: OWNER })
        await (await web2?.create())?.destroy()
        await (await ops1?.create())?.destroy()
        await ops1?.undefine()
        await refreshPool()
      },
    )
    assert.deepEqual(
      later.told.map(({ data }) => `${Object(data['domain']).name} ${data['event']}`).slice(-5),
      ['web2 started', 'web2 stopped', 'ops1 started', 'ops1 stopped', 'ops1 undefined'],
    )
  },
)

test('host name, title and metadata are added under virbus, and nothing else is changed', live, async () => {
  await using daemon = await startLibvirtd()
  await using connection = await connect({ uri: daemon.uri })
  const guest = await connection.lookupByName('test')
  const drive = async (untilTold: (count: number) => Promise<void>): Promise<void> => {
    await guest.setMetadata(VIR_DOMAIN_METADATA_TITLE, 'First')
    await guest.setMetadata(VIR_DOMAIN_METADATA_ELEMENT, '<o a="1">x<p/></o>', { key: 'o', uri: OWNER })
    await guest.suspend()
    // What is added is of the moment when the event is published.
    await untilTold(3)
    await guest.setMetadata(VIR_DOMAIN_METADATA_TITLE, 'Second')
    await guest.resume()
    await untilTold(5)
    const [pool] = await connection.listAllStoragePools()
    await pool?.refresh()
  }
  const plain = await published(daemon.uri, {}, drive)
  assert.ok(plain.told.every(({ data }) => !('virbus' in data)))
  const enrich = { host: true, title: true, metadata: [OWNER, 'http://example.org/none'] }
  const { told } = await published(daemon.uri, { enrich }, drive)
  assert.deepEqual(
    told.map(({ tag, data: { virbus: _, ...data } }) => ({ tag, data })),
    plain.told,
  )
  const host = await connection.getHostname()
  const metadata = { [OWNER]: { '@a': '1', '#text': 'x', p: '' } }
  const lifecycle = told.filter(({ tag }) => tag.endsWith('/lifecycle')).map(({ data }) => data['virbus'])
  assert.deepEqual(lifecycle, [
    { host, title: 'First', metadata },
    { host, title: 'Second', metadata },
  ])
})

test('one host that hangs and one that talks nonsense do not disturb the others', async () => {
  using dir = tempDir()
  await using good = await Simulator.listen({ path: join(dir.path, 'good'), domains: 1 })
  await using hung = await Simulator.listen({ path: join(dir.path, 'hung'), domains: 1 })
  await using mad = await Simulator.listen({ path: join(dir.path, 'mad'), domains: 1 })
  hung.faults.add({ kind: 'stall' }, { times: Number.POSITIVE_INFINITY })
  mad.faults.add({ kind: 'length', bytes: 7 }, { times: Number.POSITIVE_INFINITY })
  await using bus = new Bus()
  const events = bus.subscribe('*')
  const engines = [hung, mad, good].map(
    ({ uri }) => new LibvirtToBus({ bus, codec: msgpackCodec, stamp: () => '', log: silentLogger, uri }),
  )
  try {
    for (const engine of engines) engine.start()
    await engines[2]?.ready
    const { domains } = good.hypervisor
    const [guest] = domains.list()
    assert.ok(guest)
    let seen = 0
    for await (const { tag } of events) {
      if (!/\/(domain\/lifecycle|up)$/.test(tag)) continue
      if (++seen > 1000) break
      if (guest.state === 3) domains.resume(guest)
      else domains.suspend(guest)
    }
    assert.deepEqual(
      engines.map(({ state }) => state.state === 'ready'),
      [false, false, true],
    )
    assert.ok((engines[1]?.stats.failures ?? 0) > 0, 'the mad one was not heard')
  } finally {
    await Promise.all(engines.map((engine) => engine[Symbol.asyncDispose]()))
  }
})
