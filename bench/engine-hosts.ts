/** Many simulated hosts into one `virbus up`: whether every event arrives, and what that takes in memory over time. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { tempDir } from '../test/support/peers.ts'
import { cpuMs, residentMb } from './proc.ts'
import { perSecond, printRows, type Row } from './report.ts'
import { droppedBy, startPeer, startVirbus, untilSeen } from './virbus.ts'

const HOSTS = 200
const GUESTS = 8
const EVENTS_A_HOST = 50
const SECONDS = 60
const SAMPLES = 10
const LIMIT_MB = 400
/** V8's young generation takes its size in the first minute; only in a longer run what comes on top tells of growth. */
const FLAT = { seconds: 300, sample: 2, ratio: 0.9 }

/** What a run of so many seconds came to. */
export interface HostsResult {
  readonly made: number
  readonly arrived: number
  readonly outOfOrder: number
  /** What virbus and the subscriber say that they have dropped. */
  readonly dropped: number
  /** Events a second that were made. */
  readonly rate: number
  /** Resident memory of virbus at the end of each tenth. */
  readonly residentMb: readonly number[]
  /** Share of one core that virbus used. */
  readonly cpuShare: number
}

/** A configuration for `virbus up` with an engine for each socket in a folder; JSON is YAML. */
export function writeConfig(dir: string, hosts: number): string {
  const path = join(dir, 'config.yml')
  const uris = Array.from({ length: hosts }, (_, n) => `test+unix:///default?socket=${join(dir, String(n))}`)
  writeFileSync(path, JSON.stringify({ engines: uris.map((uri) => ({ libvirt_events: { uri } })) }))
  return path
}

/** 200 hosts with 50 events a second each, all kept by one process, all read by one subscriber. */
export async function measureHosts(seconds: number): Promise<HostsResult> {
  using dir = tempDir()
  const limitMs = seconds * 1000 + 60_000
  await using hosts = startPeer('hosts.ts', [dir.path, HOSTS, GUESTS], limitMs)
  await hosts.told('ready')
  const sockDir = join(dir.path, 'bus')
  await using up = await startVirbus(
    ['--config', writeConfig(dir.path, HOSTS), '--sock-dir', sockDir, '--state-dir', join(dir.path, 'state')],
    HOSTS,
  )
  await using subscriber = startPeer('engine-subscriber.ts', [sockDir], limitMs)
  await subscriber.told('ready')
  await untilSeen(hosts, subscriber)
  const rate = HOSTS * EVENTS_A_HOST
  const made = rate * seconds
  const { pid } = up.child
  const cpuBefore = cpuMs(pid)
  subscriber.send(`tally ${made}`)
  hosts.send(`pace ${made} ${rate}`)
  const samples: number[] = []
  for (let sample = 1; sample <= SAMPLES; sample++) {
    await delay((seconds * 1000) / SAMPLES)
    samples.push(residentMb(pid))
    const at = Math.round((seconds * sample) / SAMPLES)
    console.log(
      `after ${at} s: ${residentMb(pid).toFixed(0)} MB, ${((cpuMs(pid) - cpuBefore) / at / 10).toFixed(0)} % of a core`,
    )
  }
  const { began, sent } = await hosts.line('sent')
  const report = await subscriber.line('count')
  const cpu = cpuMs(pid) - cpuBefore
  return {
    made,
    arrived: Number(report['count']),
    outOfOrder: Number(report['outOfOrder']),
    dropped: Number(report['dropped']) + (await droppedBy(up, subscriber)),
    rate: (made / (Number(sent) - Number(began))) * 1e9,
    residentMb: samples,
    cpuShare: cpu / (seconds * 1000),
  }
}

/** @returns what arrived of the events of 200 hosts, and the most memory. */
export async function benchEngineHosts(
  seconds: number = Number(process.env['BENCH_SECONDS'] ?? SECONDS),
): Promise<Row[]> {
  const result = await measureHosts(seconds)
  const most = Math.max(...result.residentMb)
  const settled = result.residentMb[FLAT.sample - 1] ?? Number.NaN
  const last = result.residentMb.at(-1) ?? Number.NaN
  const good = result.dropped === 0 ? result.arrived - result.outOfOrder : 0
  const hosts = `${HOSTS} hosts, ${perSecond(result.rate, 1000)} for ${seconds} s`
  const rows: Row[] = [
    {
      what: `${hosts}: events that arrive, in order`,
      ours: good.toLocaleString('en'),
      peer: `${result.made.toLocaleString('en')} (made)`,
      ratio: good / result.made,
      goal: 1,
    },
    {
      what: `${hosts}: most resident memory of \`virbus up\``,
      ours: `${most.toFixed(0)} MB`,
      peer: `${LIMIT_MB} MB (limit)`,
      ratio: LIMIT_MB / most,
      goal: 1,
    },
  ]
  if (seconds >= FLAT.seconds)
    rows.push({
      what: `${hosts}: the same at the end, beside that after a fifth of the time`,
      ours: `${last.toFixed(0)} MB`,
      peer: `${settled.toFixed(0)} MB`,
      ratio: settled / last,
      goal: FLAT.ratio,
    })
  return rows
}

if (import.meta.main) printRows(await benchEngineHosts())
