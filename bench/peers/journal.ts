/**
 * A bus with its journal as the daemon has them: journal.ts DIR EVENTS. First it publishes so many events, or what it can in 150 s,
 * then it opens the journal that is left, reads it, and takes lines, one JSON object each: `{"pattern", "since", "until", "newestFirst",
 * "count"}` answers with `{"found", "ms", "firstMs"}`.
 *
 * The events are those of 200 hosts with 20 kinds each, between them jobs, each with a tag of its own, and a few of `bench/rare/…`.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { BusEvent, Journal } from '../../src/bus/index.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { Daemon, msgpackCodec } from '../../src/daemon/index.ts'
import { StampClock } from '../../src/salt/index.ts'

const HOSTS = 200
const KINDS = 20
/** Every so many events one is of a job, or rare. */
const JOB = 100
const RARE = 200_000
/** Events in one turn of the loop. */
const BATCH = 250
/** What may wait for the disk before the source waits, less than half of what may before events are lost. */
const WAITING_MAX = 100_000
/** Events replayed, at most. */
const REPLAY_MAX = 2_000_000

const FILL_MS_MAX = 150_000

const [dir = '', amount = '0'] = process.argv.slice(2)
const total = Number(amount)

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const tags = Array.from(
  { length: HOSTS * KINDS },
  (_, index) =>
    `salt/engines/libvirt_events/kvm${index % HOSTS}.example/domain/kind${Math.floor(index / HOSTS)}`,
)

function tagOf(number: number): string {
  if (number % RARE === RARE / 2) return `bench/rare/${(number / RARE) | 0}`
  if (number % JOB === 0)
    return `salt/job/${20_261_121_000_000 + ((number / JOB / 10) | 0)}/ret/web${(number / JOB) % 50}`
  return tags[(number * 7919) % tags.length] ?? ''
}

const settings = { max_age: 7 * 86_400_000, max_size: 64 * 1024 ** 3 }

/** 200 bytes, with what the journal keeps beside it. */
function payloadOf(): Buffer {
  const sample = {
    uri: 'qemu+tls://kvm17.example/system',
    domain: { name: 'web-frontend-03', id: 42, uuid: '5d7a5f1c-8a77-4a3e-9d35-0f1f4f6c2a11' },
    event: 'started',
    detail: 'booted',
    _stamp: new StampClock().now(),
    padding: '',
  }
  return msgpackCodec.encode({ ...sample, padding: 'x'.repeat(200 - msgpackCodec.encode(sample).length - 1) })
}

/** As in `virbus up`, with nobody at its sockets; gives how many events there are. */
async function fill(): Promise<number> {
  await using daemon = await Daemon.start({
    ...{ sockDir: dir, stateDir: dir, wire: 'split', engines: [], journal: settings, log: silentLogger },
  })
  const payload = payloadOf()
  const waiting = (): number => daemon.stats.journal?.waiting ?? 0
  const { user, system } = process.cpuUsage()
  const began = performance.now()
  const beganMs = Date.now()
  let number = 0
  while (number < total && performance.now() - began < FILL_MS_MAX) {
    for (const end = Math.min(total, number + BATCH); number < end; number++)
      daemon.bus.publish(BusEvent.ofPayload(tagOf(number), payload, msgpackCodec))
    await new Promise(setImmediate)
    while (waiting() > WAITING_MAX) await delay(1)
  }
  while (waiting() > 0) await delay(1)
  const ms = performance.now() - began
  const cpu = process.cpuUsage({ user, system })
  const { journal, bus } = daemon.stats
  say({
    ...{ filled: number, ms, cpuMs: (cpu.user + cpu.system) / 1000, bytes: payload.length },
    ...{ lost: journal?.lost, dropped: bus.dropped, beganMs, endedMs: Date.now() },
  })
  return number
}

async function replay(journal: Journal, total: number): Promise<void> {
  const upTo = Math.min(total, REPLAY_MAX)
  const began = performance.now()
  let count = 0
  let bytes = 0
  for await (const { payload } of journal.history({ upTo })) {
    count++
    bytes += payload.length
  }
  say({ replayed: count, bytes, ms: performance.now() - began, wanted: upTo })
}

interface Question {
  readonly pattern: string
  readonly since?: number
  readonly until?: number
  readonly newestFirst?: boolean
  readonly count: number
}

/** As `virbus events --since … --until …` asks. */
async function search(
  journal: Journal,
  { pattern, since, until, newestFirst, count }: Question,
): Promise<void> {
  const began = performance.now()
  const after = since === undefined ? 0 : await journal.sequenceBefore(since)
  const upTo = until === undefined ? undefined : await journal.sequenceBefore(until + 1)
  let found = 0
  let firstMs = Number.NaN
  for await (const _ of journal.history({ pattern, after, upTo, newestFirst })) {
    if (found++ === 0) firstMs = performance.now() - began
    if (found >= count) break
  }
  say({ found, ms: performance.now() - began, firstMs })
}

const filled = await fill()
await using journal = await Journal.open({
  path: join(dir, 'journal.sqlite'),
  ageMaxMs: settings.max_age,
  bytesMax: settings.max_size,
  log: silentLogger,
})
await replay(journal, filled)
for await (const line of createInterface({ input: process.stdin })) await search(journal, JSON.parse(line))
