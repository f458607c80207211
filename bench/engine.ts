/**
 * From libvirt's events to a subscriber of the event bus: `virbus up` beside the engine `libvirt_events` of a real salt-master.
 * Both are watched by the same subscriber, and have the same two sources: a real libvirtd, and a simulated host that is faster.
 */
import { join } from 'node:path'
import { startLibvirtd } from '../test/support/libvirtd.ts'
import { PYTHON, SALT_RELEASES, tempDir } from '../test/support/peers.ts'
import { startSaltMaster } from '../test/support/salt-master.ts'
import { Part } from './part.ts'
import { cpuMs, processesWith, residentMb } from './proc.ts'
import { percentile, perSecond, printRows, type Row } from './report.ts'
import { droppedBy, startPeer, startVirbus, untilSeen } from './virbus.ts'

const SALT = SALT_RELEASES.prefixed
/** Guests of libvirtd that are suspended and resumed at the same time, each by a process of its own. */
const GUESTS = ['bench-a', 'bench-b'] as const
const RATE = 7500
const PACED_MS = 10_000
const FULL_EVENTS = 40_000
const PEER_EVENTS = 3000
/** At over 200 bytes each these are less than may wait for a subscriber, however the cores are shared. */
const BURST_EVENTS = 200_000
const GOAL = { ratio: 20, cpu: 10, p99Ms: 20, pace: 0.99 }

/** What a subscriber got, and what that took. */
interface Run {
  readonly wanted: number
  readonly got: number
  /** Of these, how many came before or after their turn. */
  readonly outOfOrder: number
  /** From the first call or event of the source to the last event at the subscriber. */
  readonly ms: number
  /** What the source made of the pace that it was asked for, events a second. */
  readonly pace: number
  /** From just before the call to the subscriber, empty where it was not measured. */
  readonly latenciesMs: readonly number[]
  readonly cpuMs: number
  readonly residentMb: number
}

/** Who is measured: its processes and the folder of its sockets. */
interface Contestant {
  readonly pids: readonly number[]
  readonly sockDir: string
}

/** Sockets and processes of an engine on this URI while `measure` runs. */
type Engine = <T>(uri: string, measure: (who: Contestant) => Promise<T>) => Promise<T>

const virbus: Engine = async (uri, measure) => {
  using dir = tempDir()
  await using up = await startVirbus(
    ['--uri', uri, '--sock-dir', dir.path, '--state-dir', join(dir.path, 'state')],
    1,
  )
  const result = await measure({ pids: [up.child.pid ?? 0], sockDir: dir.path })
  const dropped = await droppedBy(up)
  if (dropped > 0) throw new Error(`virbus says that it has dropped ${dropped}`)
  return result
}

/** Domain events only: with its default filter it ends on a driver that lacks a kind, and the test driver lacks secrets. */
const salt: Engine = async (uri, measure) => {
  const engines = [{ libvirt_events: { uri, filters: ['domain'] } }]
  await using master = await startSaltMaster(SALT, { engines })
  const find = async (title: string): Promise<number> => {
    for (let tries = 0; tries < 100; tries++) {
      const [pid] = processesWith(master.confDir, title)
      if (pid !== undefined) return pid
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error(`no process ${title}: ${master.log()}`)
  }
  const pids = [await find('Engine('), await find('EventPublisher')]
  return await measure({ pids, sockDir: master.sockDir })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function cpuOf({ pids }: Contestant): number {
  return sum(pids.map(cpuMs))
}

/** Sends the load to those who make it, and compares what the subscriber got with what they sent. */
async function run(
  who: Contestant,
  subscriber: Part,
  events: number,
  load: () => Promise<{ sent: readonly (readonly number[])[]; pace: number }>,
): Promise<Run> {
  const before = cpuOf(who)
  subscriber.send(`count ${events}`)
  const { sent, pace } = await load()
  const report = await subscriber.line('count')
  const got = Number(report['count'])
  const began = Math.min(...sent.map(([first = Number.NaN]) => first))
  const times = Object(report['times']) as Record<string, number[]>
  const latenciesMs = sent.flatMap((calls, guest) => {
    const seen = times[GUESTS[guest] ?? ''] ?? []
    return got < events ? [] : seen.map((time, index) => (time - (calls[index] ?? Number.NaN)) / 1e6)
  })
  return {
    wanted: events,
    got,
    outOfOrder: Number(report['outOfOrder']),
    ms: (Number(report['last']) - began) / 1e6,
    pace,
    latenciesMs,
    cpuMs: cpuOf(who) - before,
    residentMb: sum(who.pids.map(residentMb)),
  }
}

/** Two guests of a real libvirtd, once for each pair of a number of events and a pace (0: none). */
async function onLibvirtd(engine: Engine, loads: readonly (readonly [number, number])[]): Promise<Run[]> {
  await using daemon = await startLibvirtd()
  return await engine(daemon.uri, async (who) => {
    await using stack = new AsyncDisposableStack()
    const subscriber = stack.use(startPeer('engine-subscriber.ts', [who.sockDir]))
    await subscriber.told('ready')
    const script = join(import.meta.dirname, 'peers/libvirt_paced_driver.py')
    const drivers = GUESTS.map((guest) => stack.use(new Part([PYTHON, script, daemon.uri, guest])))
    for (const driver of drivers) await driver.told('ready')
    for (const driver of drivers) await untilSeen(driver, subscriber)
    const runs: Run[] = []
    for (const [events, rate] of loads)
      runs.push(
        await run(who, subscriber, events, async () => {
          for (const driver of drivers) driver.send(`go ${events / drivers.length} ${rate / drivers.length}`)
          const sent = await Promise.all(
            drivers.map(async (driver) => (await driver.line('sent'))['sent'] as number[]),
          )
          const firsts = sent.map(([first = Number.NaN]) => first)
          const lasts = sent.map((calls) => calls.at(-1) ?? Number.NaN)
          const pace = ((events - drivers.length) / (Math.max(...lasts) - Math.min(...firsts))) * 1e9
          return { sent, pace }
        }),
      )
    return runs
  })
}

/** One simulated host, from which so many events come at once. */
async function onSimulator(engine: Engine, events: number): Promise<Run> {
  using dir = tempDir()
  await using host = startPeer('hosts.ts', [dir.path, 1, 8])
  await host.told('ready')
  return await engine(`test+unix:///default?socket=${join(dir.path, '0')}`, async (who) => {
    await using subscriber = startPeer('engine-subscriber.ts', [who.sockDir])
    await subscriber.told('ready')
    await untilSeen(host, subscriber)
    return await run(who, subscriber, events, async () => {
      host.send(`burst ${events}`)
      const { began, sent } = await host.line('sent')
      return { sent: [[Number(began)]], pace: (events / (Number(sent) - Number(began))) * 1e9 }
    })
  })
}

function usedBy({ got, cpuMs: ms }: Run): number {
  return (ms / got) * 1000
}

function describe(name: string, run: Run): void {
  const { latenciesMs } = run
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => `${percentile(latenciesMs, share).toFixed(2)} ms`)
  const latency = latenciesMs.length === 0 ? '' : `, latency p50 ${p50}, p99 ${p99}, most ${most}`
  console.log(
    `${name}: ${run.got} of ${run.wanted} events in ${(run.ms / 1000).toFixed(2)} s, ${run.outOfOrder} out of order, ` +
      `made at ${perSecond(run.pace, 1000)}, CPU ${usedBy(run).toFixed(1)} µs an event, ${run.residentMb.toFixed(0)} MB${latency}`,
  )
}

/** Ours at a pace, as fast as libvirtd goes, and with a burst; the peer with what waits for it from either source. */
interface Runs {
  readonly paced: Run
  readonly full: Run
  readonly burst: Run
  readonly theirs: Run
  readonly theirBurst: Run
}

async function runAll(): Promise<Runs> {
  const loads = [[(RATE * PACED_MS) / 1000, RATE] as const, [FULL_EVENTS, 0] as const]
  const [paced, full] = (await onLibvirtd(virbus, loads)) as [Run, Run] // one for each load
  describe(`virbus, libvirtd at ${RATE}/s`, paced)
  describe('virbus, libvirtd as fast as it goes', full)
  const [theirs] = (await onLibvirtd(salt, [[PEER_EVENTS, 0]])) as [Run]
  describe(`Salt ${SALT}, libvirtd`, theirs)
  const burst = await onSimulator(virbus, BURST_EVENTS)
  describe('virbus, simulator', burst)
  const theirBurst = await onSimulator(salt, PEER_EVENTS)
  describe(`Salt ${SALT}, simulator`, theirBurst)
  return { paced, full, burst, theirs, theirBurst }
}

function arrivalRows({ paced, full, burst }: Runs): Row[] {
  const all = [paced, full, burst]
  const inOrder = sum(all.map(({ got, outOfOrder }) => got - outOfOrder))
  const wanted = sum(all.map((each) => each.wanted))
  const p99 = percentile(paced.latenciesMs, 0.99)
  return [
    {
      what: 'engine: events that arrive, in order',
      ours: inOrder.toLocaleString('en'),
      peer: `${wanted.toLocaleString('en')} (made)`,
      ratio: inOrder / wanted,
      goal: 1,
    },
    {
      what: 'engine: pace of libvirtd under the next two',
      ours: perSecond(paced.pace, 1000),
      peer: `${perSecond(RATE, 1000)} (wanted)`,
      ratio: paced.pace / RATE,
      goal: GOAL.pace,
    },
    {
      what: 'engine: latency p99, from the call to the subscriber',
      ours: `${p99.toFixed(1)} ms`,
      peer: `${GOAL.p99Ms} ms (limit)`,
      ratio: GOAL.p99Ms / p99,
      goal: 1,
    },
  ]
}

function costRows({ paced, full, burst, theirs, theirBurst }: Runs): Row[] {
  return [
    {
      what: `engine and bus, CPU time for one event, Salt ${SALT}`,
      ours: `${usedBy(paced).toFixed(1)} µs`,
      peer: `${usedBy(theirs).toFixed(0)} µs`,
      ratio: usedBy(theirs) / usedBy(paced),
      goal: GOAL.cpu,
    },
    {
      what: 'engine: events of libvirtd as fast as it makes them, at the subscriber',
      ours: perSecond(full.got, full.ms),
      peer: `${perSecond(full.pace, 1000)} (made)`,
      ratio: full.got / full.ms / (full.pace / 1000),
      goal: GOAL.pace,
    },
    {
      what: `engine and bus: events of a faster source to a subscriber, Salt ${SALT}`,
      ours: perSecond(burst.got, burst.ms),
      peer: perSecond(theirBurst.got, theirBurst.ms),
      ratio: burst.got / burst.ms / (theirBurst.got / theirBurst.ms),
      goal: GOAL.ratio,
    },
  ]
}

/** @returns whether any is lost, how late, how expensive and how fast events are. */
export async function benchEngine(): Promise<Row[]> {
  const runs = await runAll()
  return [...arrivalRows(runs), ...costRows(runs)]
}

if (import.meta.main) printRows(await benchEngine())
