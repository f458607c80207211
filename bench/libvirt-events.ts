/** A suspend/resume loop on a real libvirtd, watched at the same time by our client and by libvirt-python. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { startLibvirtd } from '../test/support/libvirtd.ts'
import { perSecond, printRows, type Row } from './report.ts'

const PAIRS = 15_000
const PYTHON = '/usr/bin/python3'
const LIMIT_MS = 60_000
const peers = join(import.meta.dirname, 'peers')

interface Result {
  count: number
  inOrder: boolean
  cpuMs: number
  totalCpuMs: number
  wallMs: number
  rssMb: number
}

/** Starts a receiver; `ready` when it has registered, `result` when it has all events. */
function receiver(
  command: string,
  args: readonly string[],
): { child: ChildProcess; ready: Promise<void>; result: Promise<Result> } {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: LIMIT_MS })
  const ready = Promise.withResolvers<void>()
  const result = Promise.withResolvers<Result>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'ready') ready.resolve()
    else result.resolve(JSON.parse(line))
  })
  child.once('exit', (code) => {
    const error = new Error(`${command} ended with ${code} and no result`)
    ready.reject(error)
    result.reject(error)
  })
  return { child, ready: ready.promise, result: result.promise }
}

/** @returns CPU time of the events in both processes, and the order and number of the events. */
export async function benchLibvirtEvents(): Promise<Row[]> {
  await using daemon = await startLibvirtd()
  const count = String(PAIRS * 2)
  const ours = receiver(process.execPath, [join(peers, 'libvirt-receiver.ts'), daemon.uri, count])
  const python = receiver(PYTHON, [join(peers, 'libvirt_receiver.py'), daemon.uri, count])
  try {
    await Promise.all([ours.ready, python.ready])
    await promisify(execFile)(PYTHON, [join(peers, 'libvirt_driver.py'), daemon.uri, String(PAIRS)], {
      timeout: LIMIT_MS,
    })
    const [mine, theirs] = await Promise.all([ours.result, python.result])
    for (const { count: got, inOrder } of [mine, theirs])
      if (got !== PAIRS * 2 || !inOrder) throw new Error(`${got} of ${count} events, in order: ${inOrder}`)
    const each = (ms: number): string => `${((ms / mine.count) * 1000).toFixed(1)} µs`
    console.log(
      `${mine.count} lifecycle events, all arrived in order, ${perSecond(mine.count, mine.wallMs)}; ` +
        `whole process, start included: ours ${mine.totalCpuMs.toFixed(0)} ms CPU and ${mine.rssMb.toFixed(0)} MB, ` +
        `libvirt-python ${theirs.totalCpuMs.toFixed(0)} ms and ${theirs.rssMb.toFixed(0)} MB`,
    )
    return [
      {
        what: 'CPU time for one libvirt event',
        ours: each(mine.cpuMs),
        peer: `${each(theirs.cpuMs)} (libvirt-python)`,
        ratio: theirs.cpuMs / mine.cpuMs,
        goal: 1,
      },
    ]
  } finally {
    ours.child.kill()
    python.child.kill()
  }
}

if (import.meta.main) printRows(await benchLibvirtEvents())
