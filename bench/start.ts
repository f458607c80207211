/** How long virbus takes from its start to the first event, as bus and as watcher, and what it holds in memory when nothing happens. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { Simulator } from '../src/simulator/index.ts'
import { tempDir } from '../test/support/peers.ts'
import { residentMb } from './proc.ts'
import { percentile, printRows, type Row } from './report.ts'
import { startPeer, startVirbus, writeSettings } from './virbus.ts'

const PROGRAM = join(import.meta.dirname, '../bin/virbus')
const RUNS = 5
const START_MS = 10_000
const IDLE_MS = 3000
const GOAL_START_MS = 1000
const GOAL_WATCH_MS = 150
const GOAL_IDLE_MB = 100
/** Events a second that are on the way all the time while `virbus watch` starts. */
const TICKS = 100

/** Starts virbus and settles when a line of `stream` matches. */
async function started(
  args: readonly string[],
  stream: 'stdout' | 'stderr',
  line: RegExp,
): Promise<{ child: ChildProcess; ms: number }> {
  const from = performance.now()
  const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS)
  for await (const text of createInterface({ input: child[stream] })) {
    if (!line.test(text)) continue
    clearTimeout(timer)
    return { child, ms: performance.now() - from }
  }
  throw new Error(`virbus ${args.join(' ')} ended before a line matched ${line}`)
}

async function stopped(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGINT')
  await exit
}

/** The median time from the start of a program to its first line that matches, one start after the other. */
async function medianMs(args: readonly string[], line: RegExp): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const { child, ms } = await started(args, 'stdout', line)
    times.push(ms)
    await stopped(child)
  }
  return percentile(times, 0.5)
}

/** From the start of `virbus watch` to the first event that it has printed, and to nothing but its version beside it. */
async function watchMs(dir: string): Promise<{ watch: number; version: number }> {
  const state = join(dir, 'state')
  await using _up = await startVirbus(
    ['--config', writeSettings(dir), '--sock-dir', dir, '--state-dir', state],
    0,
  )
  await using _ticker = startPeer('ticker.ts', [dir, TICKS])
  const watch = await medianMs(['watch', '--sock-dir', dir], /^bench\/tick\t/)
  const version = await medianMs(['--version'], /^\d/)
  return { watch, version }
}

/** Resident memory of `virbus up` with one connection after a while without events. */
async function idleMb(dir: string): Promise<number> {
  await using simulator = await Simulator.listen({ path: join(dir, 'libvirt-sock') })
  const uri = `test+unix:///default?socket=${simulator.path}`
  const { child } = await started(
    ['up', '--uri', uri, '--sock-dir', dir, '--state-dir', join(dir, 'state')],
    'stderr',
    /libvirt events registered/,
  )
  await delay(IDLE_MS)
  const megabytes = residentMb(child.pid)
  await stopped(child)
  return megabytes
}

function row(what: string, value: number, goal: number, unit: string): Row {
  const [ours, peer] = [`${value.toFixed(0)} ${unit}`, `${goal} ${unit} (limit)`]
  return { what, ours, peer, ratio: goal / value, goal: 1 }
}

/** @returns the times to the first event printed (medians of 5), and the resident memory of `virbus up` after 3 s without events. */
export async function benchStart(): Promise<Row[]> {
  using dir = tempDir()
  const { path } = dir
  const demo = await medianMs(
    ['demo', '--rate', '200', '--sock-dir', path],
    /^salt\/engines\/libvirt_events\/.*\/(domain|network|pool|nodedev|secret)\//,
  )
  const { watch, version } = await watchMs(path)
  console.log(
    `virbus watch to its first line ${watch.toFixed(0)} ms, virbus --version ${version.toFixed(0)} ms`,
  )
  return [
    row('start to first event on the simulator', demo, GOAL_START_MS, 'ms'),
    row(`\`virbus watch\`: start to the first line, of ${TICKS} events a second`, watch, GOAL_WATCH_MS, 'ms'),
    row('resident memory of `virbus up` with its journal, idle', await idleMb(path), GOAL_IDLE_MB, 'MB'),
  ]
}

if (import.meta.main) printRows(await benchStart())
