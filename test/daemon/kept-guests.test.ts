import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Inventory } from '../../src/guests/index.ts'
import { askControl } from '../../src/http/index.ts'
import { connect } from '../../src/libvirt/index.ts'
import { Activity, Simulator } from '../../src/simulator/index.ts'
import { Random } from '../../src/simulator/random.ts'
import { type Told, WORDS } from '../bridges/told.ts'
import { LIBVIRTD, startLibvirtd, VIRSH } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'
import { LineProcess } from '../support/processes.ts'
import { virsh } from '../support/virsh.ts'

const HISTORIES = 8
const PROGRAM = join(import.meta.dirname, 'keeping-daemon.ts')

/** A virbus with its events on standard output, in a process that can be killed. */
class Run extends LineProcess {
  readonly #control: string

  constructor(dir: string, uri: string) {
    super(process.execPath, [PROGRAM, dir, uri])
    this.#control = join(dir, 'master_event_control.sock')
  }

  get told(): Told[] {
    return this.stdout.map((line) => JSON.parse(line))
  }

  /** Waits until what was told is taken for told. */
  async untilKept(): Promise<void> {
    for (;;) {
      const { kept } = JSON.parse(await askControl(this.#control, '/v1/stats'))
      if (kept.uncertain === 0) return
    }
  }
}

test(
  'a virbus that is killed and comes back tells exactly what changed meanwhile',
  needs(LIBVIRTD, VIRSH),
  async () => {
    await using libvirtd = await startLibvirtd()
    using dir = tempDir()
    // The test driver forgets everything when its last connection closes.
    await using _holder = await connect({ uri: libvirtd.uri })
    const define = async (name: string): Promise<void> => {
      const xml = join(dir.path, `${name}.xml`)
      writeFileSync(
        xml,
        `<domain type='test'><name>${name}</name><uuid>${randomUUID()}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>`,
      )
      assert.equal((await virsh(libvirtd.uri, 'define', xml)).code, 0)
    }
    for (const name of ['stays', 'goes', 'stops', 'starts']) await define(name)
    for (const name of ['stays', 'goes', 'stops']) await virsh(libvirtd.uri, 'start', name)
    {
      await using first = new Run(dir.path, libvirtd.uri)
      await first.lines(/connection\/up/)
      await virsh(libvirtd.uri, 'suspend', 'stays')
      await first.lines(/"suspended"/)
      await first.untilKept()
      await first.end('SIGKILL')
      assert.ok(!first.told.some(({ tag }) => tag.endsWith('/connection/resync')))
    }
    await virsh(libvirtd.uri, 'destroy', 'goes')
    await virsh(libvirtd.uri, 'undefine', 'goes')
    await virsh(libvirtd.uri, 'destroy', 'stops')
    await virsh(libvirtd.uri, 'start', 'starts')
    await define('new')
    await using second = new Run(dir.path, libvirtd.uri)
    await second.lines(/connection\/resync/)
    const resynced = second.told.filter(({ data }) => data['resync'] === true)
    assert.deepEqual(resynced.map(({ data }) => `${Object(data['domain']).name} ${data['event']}`).sort(), [
      'goes stopped',
      'goes undefined',
      'new defined',
      'starts started',
      'stops stopped',
    ])
    const about = second.told.find(({ tag }) => tag.endsWith('/connection/resync'))?.data
    assert.deepEqual([about?.['events'], about?.['guests']], [5, 5])
    assert.ok(Number(about?.['gap']) > 0)
  },
)

test(`after ${HISTORIES} random histories with kills of virbus, the last state that was told is the state`, async () => {
  const histories = Array.from({ length: HISTORIES }, (_, seed) => history(seed))
  assert.ok((await Promise.all(histories)).reduce((sum, count) => sum + count) > 0, 'nothing was resynced')
})

async function history(seed: number): Promise<number> {
  using dir = tempDir()
  await using simulator = await Simulator.listen({ path: join(dir.path, 'libvirt'), domains: 6 })
  const random = new Random(seed)
  await using activity = new Activity(simulator.hypervisor, { seed, eventsPerSecond: 0 })
  const live = (): void => {
    for (let step = 1 + random.integer(30); step > 0; step--) activity.step()
  }
  const told: Told[] = []
  const heard = new Inventory()
  for (let run = 0; run < 3; run++) {
    await using virbus = new Run(dir.path, simulator.uri)
    await virbus.lines(/connection\/up/)
    if (run === 0) heard.resync(simulator.hypervisor.domains.list())
    live()
    // An event that all others precede; only what was told can have been kept.
    const secret = { uuid: `00000000-0000-4000-8000-00000000000${run}`, usageType: 0, usageID: '' }
    simulator.hypervisor.emit({ object: 'secret', kind: 'value_changed', secret })
    await virbus.lines(new RegExp(secret.uuid))
    if (random.integer(2) === 0) await virbus.untilKept()
    await virbus.end('SIGKILL')
    told.push(...virbus.told)
    live()
  }
  await using last = new Run(dir.path, simulator.uri)
  await last.lines(/connection\/resync/)
  told.push(...last.told)
  for (const { tag, data } of told) {
    if (!tag.endsWith('/domain/lifecycle')) continue
    const { name, uuid, id } = Object(data['domain'])
    heard.apply({ guest: { name, uuid, id }, event: WORDS.indexOf(String(data['event'])), detail: 0 })
  }
  const byUuid = (a: { uuid: string }, b: { uuid: string }): number => (a.uuid < b.uuid ? -1 : 1)
  const states = simulator.hypervisor.domains
    .list()
    .map(({ uuid, name, id, state, persistent }) => ({ uuid, name, id, state, persistent }))
  assert.deepEqual(heard.list().sort(byUuid), states.sort(byUuid), `seed ${seed}`)
  return told.filter(({ data }) => data['resync'] === true).length
}
