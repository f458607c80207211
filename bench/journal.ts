/** The journal: how fast events get in and out, and how long a search in ten million of them takes (`JOURNAL_EVENTS`). */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from '../test/support/peers.ts'
import type { Part } from './part.ts'
import { residentMb } from './proc.ts'
import { perSecond, printRows, type Row } from './report.ts'
import { startPeer } from './virbus.ts'

const EVENTS = 10_000_000
const LIMIT_MS = 400_000
/** Hits after which a search is done, as one page of an answer. */
const HITS = 100
const GOAL = { write: 50_000, read: 200_000, searchMs: 200 }

interface Search {
  readonly what: string
  readonly pattern: string
  /** Part of the time of all events, from 0 to 1. */
  readonly window?: readonly [number, number]
  readonly newestFirst?: boolean
  readonly count?: number
  /** Whether anything has to be found. */
  readonly finds: boolean
}

const HOST = 'salt/engines/libvirt_events/kvm7.example'

/** What people ask for, and what is hard: many tags that fit, none in the window, the end of it all. */
const SEARCHES: readonly Search[] = [
  { what: 'all of a rare prefix', pattern: 'bench/rare/*', count: 1000, finds: true },
  { what: 'one rare tag', pattern: 'bench/rare/2', finds: true },
  { what: 'a common prefix', pattern: 'salt/engines/*', finds: true },
  { what: 'a common prefix, the newest', pattern: 'salt/engines/*', newestFirst: true, finds: true },
  { what: 'a host, in a window', pattern: `${HOST}/*`, window: [0.5, 0.51], finds: true },
  {
    what: 'a host, the newest in a window',
    pattern: `${HOST}/*`,
    window: [0.3, 0.31],
    newestFirst: true,
    finds: true,
  },
  { what: 'a kind on all hosts, in a window', pattern: '*/domain/kind7', window: [0.5, 0.51], finds: true },
  { what: 'a kind on all hosts, the newest', pattern: '*/domain/kind7', newestFirst: true, finds: true },
  { what: 'jobs, in a window', pattern: 'salt/job/*', window: [0.7, 0.71], finds: true },
  { what: 'jobs of one minion', pattern: 'salt/job/*/ret/web7', finds: true },
  { what: 'jobs of ten minions', pattern: 'salt/job/*/ret/web1?', finds: true },
  { what: 'jobs of one minion, the newest', pattern: 'salt/job/*/ret/web7', newestFirst: true, finds: true },
  { what: 'a job by its number', pattern: 'salt/job/20261121000500/*', finds: true },
  { what: 'a prefix that there is not', pattern: 'salt/none/*', finds: false },
  { what: 'an end that there is not', pattern: '*/none', finds: false },
  { what: 'a rare prefix, not in the window', pattern: 'bench/rare/*', window: [0.501, 0.502], finds: false },
]

interface Answer {
  readonly search: Search
  readonly found: number
  readonly ms: number
}

async function ask(part: Part, search: Search, began: number, ended: number): Promise<Answer> {
  const { pattern, window, newestFirst = false, count = HITS } = search
  const at = (share: number): number => Math.round(began + share * (ended - began))
  const times = window ? { since: at(window[0]), until: at(window[1]) } : {}
  part.send(JSON.stringify({ pattern, newestFirst, count, ...times }))
  const line = await part.line('found')
  const [found, ms] = [Number(line['found']), Number(line['ms'])]
  console.log(`journal: ${search.what} (${pattern}): ${found} found in ${ms.toFixed(1)} ms`)
  if (found > 0 !== search.finds) throw new Error(`${found} found of ${pattern}`)
  return { search, found, ms }
}

/** @returns how fast the journal is written and read, and the slowest search. */
export async function benchJournal(): Promise<Row[]> {
  const wanted = Number(process.env['JOURNAL_EVENTS'] ?? EVENTS)
  using dir = tempDir()
  await using part = startPeer('journal.ts', [dir.path, wanted], LIMIT_MS)
  const filled = await part.line('filled')
  const events = Number(filled['filled'])
  const [ms, lost] = [Number(filled['ms']), Number(filled['lost']) + Number(filled['dropped'])]
  const size = statSync(join(dir.path, 'journal.sqlite')).size / 1024 ** 2
  const replayed = await part.line('replayed')
  if (replayed['replayed'] !== replayed['wanted'])
    throw new Error(`${replayed['replayed']} replayed of ${replayed['wanted']}`)
  console.log(
    `journal: ${events} events of ${filled['bytes']} bytes in ${(ms / 1000).toFixed(1)} s, CPU ${((Number(filled['cpuMs']) / events) * 1000).toFixed(1)} µs for each, ${lost} lost, file ${size.toFixed(0)} MB, ` +
      `replay of ${replayed['replayed']} in ${(Number(replayed['ms']) / 1000).toFixed(1)} s; ${residentMb(part.pid).toFixed(0)} MB`,
  )
  const answers: Answer[] = []
  for (const search of SEARCHES)
    answers.push(await ask(part, search, Number(filled['beganMs']), Number(filled['endedMs'])))
  return rows(
    events,
    { writeMs: ms, lost, replayed: Number(replayed['replayed']), replayMs: Number(replayed['ms']) },
    answers,
  )
}

function rows(
  events: number,
  {
    writeMs,
    lost,
    replayed,
    replayMs,
  }: { writeMs: number; lost: number; replayed: number; replayMs: number },
  answers: readonly Answer[],
): Row[] {
  const slowest = answers.reduce((a, b) => (a.ms > b.ms ? a : b))
  const [write, read] = [(events / writeMs) * 1000, (replayed / replayMs) * 1000]
  const all = events.toLocaleString('en')
  return [
    {
      what: `journal: ${all} events written`,
      ours: perSecond(write, 1000),
      peer: `${perSecond(GOAL.write, 1000)} (goal)`,
      ratio: write / GOAL.write,
      goal: 1,
    },
    {
      what: 'journal: of these kept',
      ours: (events - lost).toLocaleString('en'),
      peer: `${all} (published)`,
      ratio: (events - lost) / events,
      goal: 1,
    },
    {
      what: 'journal: replay',
      ours: perSecond(read, 1000),
      peer: `${perSecond(GOAL.read, 1000)} (goal)`,
      ratio: read / GOAL.read,
      goal: 1,
    },
    {
      what: `journal: slowest of ${answers.length} searches in ${all}: ${slowest.search.what}`,
      ours: `${slowest.ms.toFixed(0)} ms`,
      peer: `${GOAL.searchMs} ms (limit)`,
      ratio: GOAL.searchMs / slowest.ms,
      goal: 1,
    },
  ]
}

if (import.meta.main) printRows(await benchJournal())
