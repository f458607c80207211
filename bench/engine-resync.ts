/** Many hosts that come back at once, changed: when everything that happened unseen is told, and how late other traffic is meanwhile. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { tempDir } from '../test/support/peers.ts'
import { writeConfig } from './engine-hosts.ts'
import { percentile, printRows, type Row } from './report.ts'
import { droppedBy, startPeer, startVirbus } from './virbus.ts'

const HOSTS = 200
const GUESTS = 50
/** How long the hosts are away, in one storm after the other; those of no time at all are the densest, and short. */
const AWAY_MS = [0, 0, 0, 2000, 10_000]
const TICKS_A_SECOND = 100
const QUIET_MS = 1000
const GOAL_MS = 5000
const GOAL_TICK_MS = 200

interface Storm {
  readonly awayMs: number
  /** From the moment in which the hosts could be reached to the last event at the subscriber. */
  readonly backMs: number
  readonly changes: number
  readonly resynced: number
  /** Latencies of the other traffic in that time. */
  readonly ticksMs: readonly number[]
}

/** One storm after the other on the same hosts and the same process. */
async function measureStorms(awayMs: readonly number[]): Promise<Storm[]> {
  using dir = tempDir()
  await using hosts = startPeer('hosts.ts', [dir.path, HOSTS, GUESTS])
  await hosts.told('ready')
  const sockDir = join(dir.path, 'bus')
  await using up = await startVirbus(
    ['--config', writeConfig(dir.path, HOSTS), '--sock-dir', sockDir, '--state-dir', join(dir.path, 'state')],
    HOSTS,
  )
  await using subscriber = startPeer('resync-subscriber.ts', [sockDir])
  await subscriber.told('ready')
  await using ticker = startPeer('ticker.ts', [sockDir, TICKS_A_SECOND])
  const storms: Storm[] = []
  for (const away of awayMs) {
    await delay(QUIET_MS)
    subscriber.send(`storm ${HOSTS}`)
    hosts.send(`storm ${away}`)
    const { back, changes } = await hosts.line('back')
    const report = await subscriber.line('hosts')
    if (report['dropped'] !== 0) throw new Error('the subscriber has dropped events')
    const ticks = report['ticks'] as [number, number][]
    storms.push({
      awayMs: away,
      backMs: (Number(report['last']) - Number(back)) / 1e6,
      changes: Number(changes),
      resynced: Number(report['resynced']),
      ticksMs: ticks.filter(([sent]) => sent >= Number(back)).map(([, ns]) => ns / 1e6),
    })
  }
  const dropped = await droppedBy(up, subscriber, ticker)
  if (dropped > 0) throw new Error(`virbus says that it has dropped ${dropped}`)
  return storms
}

/** The latencies of other traffic, of storms after the same time away together. */
function latePercentiles(storms: readonly Storm[]): number[] {
  const groups = Map.groupBy(storms, ({ awayMs }) => awayMs).values()
  const latencies = [...groups].map((group) => group.flatMap(({ ticksMs }) => ticksMs))
  return latencies.map((each) => percentile(each, 0.99))
}

/** @returns the longest time to be up to date again, and the latency of other events in these times. */
export async function benchEngineResync(): Promise<Row[]> {
  const storms = await measureStorms(AWAY_MS)
  for (const { awayMs, backMs, changes, resynced, ticksMs } of storms)
    console.log(
      `${HOSTS} hosts away for ${awayMs} ms: ${resynced} of ${changes} changes told within ${backMs.toFixed(0)} ms; ` +
        `other events: p99 ${percentile(ticksMs, 0.99).toFixed(1)} ms, most ${Math.max(...ticksMs).toFixed(1)} ms of ${ticksMs.length}`,
    )
  const longest = Math.max(...storms.map(({ backMs }) => backMs))
  const late = Math.max(...latePercentiles(storms))
  const [changes, resynced] = storms.reduce(
    (sum, storm) => [sum[0] + storm.changes, sum[1] + storm.resynced],
    [0, 0],
  )
  const what = `${HOSTS} hosts of ${GUESTS} guests come back, all changed:`
  return [
    {
      what: `${what} changes told`,
      ours: resynced.toLocaleString('en'),
      peer: `${changes.toLocaleString('en')} (made)`,
      ratio: resynced / changes,
      goal: 1,
    },
    {
      what: `${what} until the last is told`,
      ours: `${longest.toFixed(0)} ms`,
      peer: `${GOAL_MS} ms (limit)`,
      ratio: GOAL_MS / longest,
      goal: 1,
    },
    {
      what: `${what} p99 of other events meanwhile`,
      ours: `${late.toFixed(1)} ms`,
      peer: `${GOAL_TICK_MS} ms (limit)`,
      ratio: GOAL_TICK_MS / late,
      goal: 1,
    },
  ]
}

if (import.meta.main) printRows(await benchEngineResync())
