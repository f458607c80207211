/**
 * A bus with its journal as the daemon has them: journal.ts DIR EVENTS. First it publishes so many events, then it opens the journal
 * that is left and takes lines, one JSON object each: `{"pattern", "since", "until", "newestFirst", "count"}` answers with
 * `{"found", "ms", "firstMs"}`.
 *
 * The events are those of 200 hosts with 20 kinds each, between them jobs, each with a tag of its own, and a few of `bench/rare/…`.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

/** As in `virbus up`; nobody is connected to the sockets. */
async function fill(): Promise<void> {
  await using daemon = await Daemon.start({
    ...{ sockDir: dir, stateDir: dir, wire: 'split', engines: [], journal: settings, log: silentLogger },
  })
  const clock = new StampClock()
  const sample = {
    uri: 'qemu+tls://kvm17.example/system',
    domain: { name: 'web-frontend-03', id: 42, uuid: '5d7a5f1c-8a77-4a3e-9d35-0f1f4f6c2a11' },
    event: 'started',
    detail: 'booted',
    _stamp: clock.now(),
  }
  const payload = msgpackCodec.encode({
    ...sample,
    padding: 'x'.repeat(200 - msgpackCodec.encode(sample).length - 11),
  })
  const began = performance.now()
  const beganMs = Date.now()
  for (let number = 0; number < total; ) {
    for (const end = Math.min(total, number + BATCH); number < end; number++)
      daemon.bus.publish(BusEvent.ofPayload(tagOf(number), payload, msgpackCodec))
    await new Promise(setImmediate)
    while ((daemon.stats.journal?.waiting ?? 0) > WAITING_MAX)
      await new Promise((resolve) => setTimeout(resolve, 1))
  }
  while ((daemon.stats.journal?.waiting ?? 0) > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const ms = performance.now() - began
  const { journal, bus } = daemon.stats
  say({
    filled: total,
    ms,
    bytes: payload.length,
    lost: journal?.lost,
    dropped: bus.dropped,
    beganMs,
    endedMs: Date.now(),
  })
}

async function replay(journal: Journal): Promise<void> {
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

await fill()
await using journal = await Journal.open({
  path: join(dir, 'journal.sqlite'),
  ageMaxMs: settings.max_age,
  bytesMax: settings.max_size,
  log: silentLogger,
})
await replay(journal)
for await (const line of createInterface({ input: process.stdin })) await search(journal, JSON.parse(line))
