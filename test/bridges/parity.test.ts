import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connect } from '../../src/libvirt/index.ts'
import { LIBVIRTD, startLibvirtd, VIRSH } from '../support/libvirtd.ts'
import { needs, PYTHON, QEMU } from '../support/peers.ts'
import { type Compared, compare, table } from './parity/compare.ts'
import { aboutRealEngine, ENGINE_PYTHON, Engines, kindOf, type Seen } from './parity/engines.ts'
import { LIVES, PROVOKED } from './parity/kinds.ts'
import * as guestsDo from './parity/qemu-guests.ts'
import * as hostDoes from './parity/qemu-host.ts'
import { migrates, nodeDevices } from './parity/qemu-hosts.ts'
import { Stage } from './parity/stage.ts'
import { driveTestDriver } from './parity/test-driver.ts'

const live = needs(LIBVIRTD, VIRSH, QEMU, PYTHON, ENGINE_PYTHON)

/** What all scenarios have told, and how it compares. */
interface Told {
  readonly compared: Compared[]
  readonly seen: Seen[]
}

function assertSame(compared: Compared): void {
  assert.deepEqual(
    compared.differences.filter(({ allowed }) => allowed === undefined),
    [],
  )
}

/** The test driver has no secrets, and refuses to register for them. */
async function testDriver(kinds: readonly string[], told: Told): Promise<void> {
  await using daemon = await startLibvirtd()
  // The test driver forgets everything when its last connection closes.
  await using _holder = await connect({ uri: daemon.uri })
  const has = kinds.filter((kind) => !kind.startsWith('secret/'))
  await using engines = await Engines.watch(daemon.uri, has)
  await driveTestDriver(daemon.uri, daemon.dir, engines)
  const compared = compare(engines.real, engines.ours)
  told.compared.push(compared)
  told.seen.push(...engines.ours)
  assertSame(compared)
}

/** Guests under TCG on two hosts: first what needs one host, all at the same time. */
async function qemu(kinds: readonly string[], told: Told): Promise<void> {
  await using here = await Stage.open(kinds)
  await using there = await Stage.open(kinds, { host: 'there' })
  await here.fill()
  const done = await Promise.allSettled([
    nodeDevices(there),
    ...guestsDo.WATCHDOGS.map((action) => guestsDo.watchdog(here, action)),
    guestsDo.tricks(here),
    guestsDo.sleeps(here),
    guestsDo.hibernates(here),
    guestsDo.switchesOff(here),
    guestsDo.panics(here),
    guestsDo.fullDisks(here),
    ...Object.values(hostDoes).map((happening) => happening(here)),
  ])
  const failed = done.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  if (failed.length > 0) throw new AggregateError(failed, failed.map(String).join('\n'))
  await migrates(here, there)
  for (const stage of [here, there]) {
    const compared = await stage.compared()
    told.compared.push(compared)
    told.seen.push(...stage.engines.ours)
    assertSame(compared)
  }
}

/** Event and detail of guests' lives. */
function lives(seen: readonly Seen[]): Set<string> {
  const own = seen.filter((one) => kindOf(one) === 'domain/lifecycle')
  return new Set(own.map(({ data }) => `${data['event']} ${data['detail']}`))
}

function print(t: TestContext, told: Told): void {
  t.diagnostic('kind | provoked how | events compared | differences (the real engine is ours)')
  for (const line of table(told.compared, PROVOKED)) t.diagnostic(line)
  t.diagnostic(`lives: ${[...lives(told.seen)].sort().join(', ')}`)
}

test(
  'every kind of the real Salt engine has the same tag and data here, event by event, in order',
  live,
  async (t) => {
    const { kinds } = await aboutRealEngine()
    const told: Told = { compared: [], seen: [] }
    await t.test('on the test driver', async () => await testDriver(kinds, told))
    await t.test('on QEMU', async () => await qemu(kinds, told))
    print(t, told)
    const provoked = new Set(told.seen.map(kindOf))
    assert.deepEqual(Object.keys(PROVOKED).sort(), [...kinds].sort())
    assert.deepEqual([...provoked].sort(), [...kinds].sort())
    assert.deepEqual(
      LIVES.filter((life) => !lives(told.seen).has(life)),
      [],
    )
  },
)
