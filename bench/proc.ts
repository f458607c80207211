import { readdirSync, readFileSync } from 'node:fs'

/** What Linux counts in 1/100 s for every program, whatever the kernel's own tick is (`getconf CLK_TCK`, proc(5)). */
const TICK_MS = 10

/** User and system time of a process so far, all its threads, in milliseconds. */
export function cpuMs(pid: number | undefined): number {
  const [, ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').slice(-1)[0]?.split(' ') ?? []
  // Fields 14 and 15; the name, which ends at the last parenthesis, is the second.
  return (Number(fields[10]) + Number(fields[11])) * TICK_MS
}

/** How long threads ran, and how long they could have but no core was free (the run queue, `schedstat` of proc(5)), in milliseconds. */
export interface ThreadTime {
  readonly ran: number
  readonly queued: number
}

/** What the main thread and all threads of a process did so far; those that have ended are left out. */
export function threadTimes(pid: number | undefined): { main: ThreadTime; all: ThreadTime } {
  const times = new Map(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')
      const [ran = Number.NaN, queued = Number.NaN] = text.split(' ').map(Number)
      return [thread, { ran: ran / 1e6, queued: queued / 1e6 }]
    }),
  )
  const all = { ran: 0, queued: 0 }
  for (const { ran, queued } of times.values()) {
    all.ran += ran
    all.queued += queued
  }
  return { main: times.get(String(pid)) ?? all, all }
}

/** Resident memory of a process. */
export function residentMb(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

/** The processes whose command line has all of these in it. */
export function processesWith(...words: readonly string[]): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      return words.every((word) => command.includes(word)) ? [Number(name)] : []
    } catch {
      // It has ended since it was listed.
      return []
    }
  })
}
