/** How long virbus takes from its start to the first event, and what it holds in memory when nothing happens. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { Simulator } from '../src/simulator/index.ts'
import type { Row } from './report.ts'

const PROGRAM = join(import.meta.dirname, '../bin/virbus')
const RUNS = 5
const START_MS = 10_000
const IDLE_MS = 3000
const GOAL_START_MS = 1000
const GOAL_IDLE_MB = 100

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

/** @returns the time to the first event printed (median of 5), and the resident memory of `virbus up` after 3 s without events. */
export async function benchStart(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'vb-'))
  try {
    const times: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const { child, ms } = await started(
        ['demo', '--rate', '200', '--sock-dir', dir],
        'stdout',
        /^salt\/engines\/libvirt_events\/.*\/(domain|network|pool|nodedev|secret)\//,
      )
      times.push(ms)
      await stopped(child)
    }
    const startMs = times.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)] ?? Number.NaN
    await using simulator = await Simulator.listen({ path: join(dir, 'libvirt-sock') })
    const uri = `test+unix:///default?socket=${simulator.path}`
    const { child } = await started(
      ['up', '--uri', uri, '--sock-dir', dir, '--state-dir', join(dir, 'state')],
      'stderr',
      /libvirt events registered/,
    )
    await delay(IDLE_MS)
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
    const residentMb = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
    await stopped(child)
    return [
      {
        what: 'start to first event on the simulator',
        ours: `${startMs.toFixed(0)} ms`,
        peer: `goal ${GOAL_START_MS} ms`,
        ratio: GOAL_START_MS / startMs,
        goal: 1,
      },
      {
        what: 'resident memory of `virbus up`, idle',
        ours: `${residentMb.toFixed(0)} MB`,
        peer: `goal ${GOAL_IDLE_MB} MB`,
        ratio: GOAL_IDLE_MB / residentMb,
        goal: 1,
      },
    ]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
