import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { LibvirtToBus } from '../../src/bridges/index.ts'
import { Bus } from '../../src/bus/index.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { msgpackCodec } from '../../src/daemon/index.ts'
import { type Guest, Inventory } from '../../src/guests/index.ts'
import { Activity, Simulator } from '../../src/simulator/index.ts'
import { Random } from '../../src/simulator/random.ts'
import { LIBVIRTD, startLibvirtd, VIRSH } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'
import { type Told, WORDS } from './told.ts'

const HISTORIES = 100
const AT_ONCE = 20
/** An engine on a bus, and all that it publishes. */
class Watched implements AsyncDisposable {
  readonly told: Told[] = []
  readonly engine: LibvirtToBus
  readonly #bus = new Bus()
  readonly #reading: Promise<void>
  #news = Promise.withResolvers<void>()

  constructor(uri: string) {
    const published = this.#bus.subscribe('*')
    this.#reading = (async () => {
      for await (const { tag, data } of published) {
        this.told.push({ tag, data })
        this.#news.resolve()
        this.#news = Promise.withResolvers()
      }
    })()
    this.engine = new LibvirtToBus({
      bus: this.#bus,
      codec: msgpackCodec,
      stamp: () => '',
      log: silentLogger,
      uri,
    })
    this.engine.start()
  }

  /** Waits until so many events with this end of their tag have come. */
  async until(end: string, count: number): Promise<Told[]> {
    for (;;) {
      const found = this.told.filter(({ tag }) => tag.endsWith(end))
      if (found.length >= count) return found
      await this.#news.promise
    }
  }

  /** Waits until an event about the secret with this UUID has come. */
  async untilLast(uuid: string): Promise<void> {
    while (!this.told.some(({ data }) => Object(data['secret']).uuid === uuid)) await this.#news.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]()
    await this.#bus[Symbol.asyncDispose]()
    await this.#reading
  }
}

function statesOf(simulator: Simulator): Guest[] {
  return simulator.hypervisor.domains
    .list()
    .map(({ uuid, name, id, state, persistent }) => ({ uuid, name, id, state, persistent }))
    .sort((a, b) => (a.uuid < b.uuid ? -1 : 1))
}

/** What somebody knows who saw the start and then only heard events. */
function heard(first: readonly Guest[], told: readonly Told[]): Guest[] {
  const inventory = new Inventory()
  inventory.fill(first)
  for (const { tag, data } of told) {
    if (!tag.endsWith('/domain/lifecycle')) continue
    const { name, uuid, id } = Object(data['domain'])
    inventory.apply({ guest: { name, uuid, id }, event: WORDS.indexOf(String(data['event'])), detail: 0 })
  }
  return inventory.list().sort((a, b) => (a.uuid < b.uuid ? -1 : 1))
}

async function history(seed: number): Promise<number> {
  using dir = tempDir()
  await using simulator = await Simulator.listen({ path: join(dir.path, 's'), domains: 6 })
  const random = new Random(seed)
  await using activity = new Activity(simulator.hypervisor, { seed, eventsPerSecond: 0 })
  const live = (): void => {
    for (let step = random.integer(30); step > 0; step--) activity.step()
  }
  await using watched = new Watched(simulator.uri)
  await watched.until('/connection/up', 1)
  const first = statesOf(simulator)
  for (let gap = 1; gap <= 2; gap++) {
    live()
    simulator.dropClients()
    live()
    await watched.until('/connection/down', gap)
    live()
    await watched.until('/connection/up', gap + 1)
    live()
    await watched.until('/connection/resync', gap)
    live()
  }
  // An event that all others precede.
  const secret = { uuid: '00000000-0000-4000-8000-000000000000', usageType: 0, usageID: 'the last' }
  simulator.hypervisor.emit({ object: 'secret', kind: 'value_changed', secret })
  await watched.untilLast(secret.uuid)
  assert.deepEqual(heard(first, watched.told), statesOf(simulator), `seed ${seed}`)
  return watched.told.filter(({ data }) => data['resync'] === true).length
}

test(`after ${HISTORIES} random histories with losses, the last state that was told is the state`, async () => {
  let resynced = 0
  for (let from = 0; from < HISTORIES; from += AT_ONCE) {
    const seeds = Array.from({ length: AT_ONCE }, (_, n) => from + n)
    for (const count of await Promise.all(seeds.map(history))) resynced += count
  }
  assert.ok(resynced > HISTORIES, `${resynced} events told after the fact`)
})

test('what a killed libvirtd forgets is told when it is back', needs(LIBVIRTD, VIRSH), async () => {
  const first = await startLibvirtd()
  const xml = join(first.dir, 'gone.xml')
  writeFileSync(
    xml,
    "<domain type='test'><name>gone</name><memory>8192</memory><os><type>hvm</type></os></domain>",
  )
  const virsh = (...args: string[]): Promise<unknown> =>
    promisify(execFile)(VIRSH, ['-c', first.uri, ...args])
  await using watched = new Watched(first.uri)
  await watched.until('/connection/up', 1)
  await virsh('define', xml)
  await virsh('start', 'gone')
  await virsh('suspend', 'test')
  await watched.until('/domain/lifecycle', 3)
  await using _second = await first.restart('SIGKILL')
  const [resync] = await watched.until('/connection/resync', 1)
  const told = watched.told
    .filter(({ data }) => data['resync'] === true)
    .map(({ data }) => `${Object(data['domain']).name} ${data['event']}`)
  assert.deepEqual(told.sort(), ['gone stopped', 'gone undefined', 'test resumed'])
  assert.deepEqual([resync?.data['events'], resync?.data['guests']], [3, 1])
  assert.ok(Number(resync?.data['gap']) > 0)
})
