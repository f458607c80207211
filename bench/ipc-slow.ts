/** A subscriber that never reads: what `virbus up` keeps for it, whether others lose anything, and what a real Salt publisher keeps. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type SlowPolicy, socketPaths } from '../src/salt/index.ts'
import { SALT_RELEASES, tempDir } from '../test/support/peers.ts'
import { clientCommand, dialectOf, type Who } from './ipc-run.ts'
import { SAMPLE } from './ipc-sample.ts'
import { Part } from './part.ts'
import { residentMb } from './proc.ts'
import { perSecond, printRows, type Row } from './report.ts'
import { countersOf, startVirbus, writeSettings } from './virbus.ts'

const SALT = SALT_RELEASES.prefixed
const SECONDS = 60
/** At this pace the bound, 64 MiB, is reached after half of a minute. */
const RATE = 10_000
const SALT_EVENTS = 20_000
const SALT_RATE = 1500
/** Salt's publisher is not fed beyond this. */
const SALT_MB_MAX = 1500
const SAMPLE_MS = 1000
/** Samples in which memory settles once the bound is reached: the young generation takes its size. */
const SETTLE = 5
const GROWTH_MB = 20

/** What a run came to. */
export interface SlowResult {
  readonly fired: number
  /** What came to the subscriber that reads, in order. */
  readonly arrived: number
  /** Resident memory of the bus at the start, then every second. */
  readonly megabytes: readonly number[]
  /** The sample at which the bus first told that somebody does not read; none: never. */
  readonly boundAt: number | undefined
  /** By how much it was higher afterwards than until then. */
  readonly growthMb: number
  /** How often the one that never reads was cut; it comes again each time. */
  readonly cut: number
  /** Events dropped for it. */
  readonly dropped: number
  /** Events that are not in the journal. */
  readonly unkept: number
}

interface Load {
  readonly bus: Who
  readonly events: number
  readonly rate: number
  readonly pid: number | undefined
  readonly dir: string
  /** Asked after each sample. */
  readonly onSample: (megabytes: readonly number[]) => 'stop' | undefined
}

/** Fires at a pace beside one who reads and one who does not; gives the samples and what arrived. */
async function load({ bus, events, rate, pid, dir, onSample }: Load): Promise<[number[], number]> {
  await using stack = new AsyncDisposableStack()
  const limitMs = Math.ceil(events / rate) * 1000 + 60_000
  const start = (...args: (string | number)[]): Part =>
    stack.use(new Part(clientCommand('virbus', dir, ...args), limitMs))
  // Salt's publisher does not read what subscribers say, so there it does not look whether it was cut.
  const staller = start('stall', 0, bus === 'virbus' ? 'look' : 'no')
  const reader = start('subscribe', events, 1)
  const firer = start('fire', events, rate, dialectOf(bus))
  for (const part of [staller, reader, firer]) await part.told('ready')
  const megabytes = [residentMb(pid)]
  firer.send(JSON.stringify(SAMPLE))
  const ended = reader.line('ended').then(() => true)
  ended.catch(() => {}) // awaited below
  for (;;) {
    if (await Promise.race([ended, delay(SAMPLE_MS)])) return [megabytes, events]
    megabytes.push(residentMb(pid))
    if (onSample(megabytes) === 'stop') return [megabytes, 0]
  }
}

/** `virbus up` with this policy. */
export async function measureSlow(
  policy: SlowPolicy,
  { seconds, rate }: { seconds: number; rate: number },
): Promise<SlowResult> {
  using dir = tempDir()
  const settings = writeSettings(dir.path, { slow_subscribers: policy })
  const state = join(dir.path, 'state')
  await using up = await startVirbus(['--config', settings, '--sock-dir', dir.path, '--state-dir', state], 0)
  let boundAt: number | undefined
  const onSample = (megabytes: readonly number[]): undefined => {
    if (up.stderr.some((line) => line.includes('a subscriber does not read')))
      boundAt ??= megabytes.length - 1
  }
  const fired = rate * seconds
  const run = { bus: 'virbus' as const, events: fired, rate, pid: up.child.pid, dir: dir.path, onSample }
  const [megabytes, arrived] = await load(run)
  const { publisher, journal } = await countersOf(up)
  const settled = (boundAt ?? Number.NaN) + SETTLE
  return {
    ...{ fired, arrived, megabytes, boundAt },
    growthMb: Math.max(...megabytes.slice(settled)) - Math.max(...megabytes.slice(0, settled)),
    cut: publisher.subscribersCut,
    dropped: publisher.dropped,
    unkept: journal?.lost ?? fired,
  }
}

/** A real publisher, for a while: what it has more at the end, in MB, and for how many events. */
async function measureSalt(): Promise<{ growthMb: number; events: number }> {
  using dir = tempDir()
  await using server = new Part(clientCommand(SALT, dir.path, 'server'))
  await server.serves(socketPaths(dir.path, {}).pull)
  const onSample = (megabytes: readonly number[]): 'stop' | undefined =>
    (megabytes.at(-1) ?? 0) > SALT_MB_MAX ? 'stop' : undefined
  const run = { bus: SALT, events: SALT_EVENTS, rate: SALT_RATE, pid: server.pid, dir: dir.path, onSample }
  const [megabytes, arrived] = await load(run)
  const [first = Number.NaN] = megabytes
  const events = arrived || megabytes.length * SALT_RATE
  console.log(`Salt ${SALT}, one who does not read, ${events} events: ${told(megabytes)} MB`)
  return { growthMb: (megabytes.at(-1) ?? Number.NaN) - first, events }
}

function told(megabytes: readonly number[]): string {
  const step = Math.max(1, Math.floor(megabytes.length / 12))
  return megabytes
    .filter((_, sample) => sample % step === 0)
    .map((mb) => mb.toFixed(0))
    .join(', ')
}

/** One line about a run. */
export function describeSlow(policy: SlowPolicy, result: SlowResult): string {
  const { fired, arrived, megabytes, boundAt, growthMb, cut, dropped, unkept } = result
  return (
    `${policy}: ${arrived} of ${fired} events at the other subscriber, ${unkept} not in the journal; bound reached after ${boundAt} s, ` +
    `cut ${cut} times, ${dropped} dropped; ${told(megabytes)} MB, ${growthMb.toFixed(1)} MB more after the bound`
  )
}

function rows(policy: SlowPolicy, result: SlowResult, salt: { growthMb: number; events: number }): Row[] {
  const { fired, arrived, megabytes, growthMb } = result
  const what = `one who never reads, \`${policy}\``
  const taken = (Math.max(...megabytes) - (megabytes[0] ?? Number.NaN)) / fired
  const theirs = salt.growthMb / salt.events
  return [
    {
      what: `${what}: events at the other subscriber`,
      ours: arrived.toLocaleString('en'),
      peer: `${fired.toLocaleString('en')} (fired at ${perSecond(RATE, 1000)})`,
      ratio: arrived / fired,
      goal: 1,
    },
    {
      what: `${what}: growth of resident memory once the bound is reached`,
      ours: `${growthMb.toFixed(1)} MB`,
      peer: `${GROWTH_MB} MB (limit)`,
      // Memory that has become less is no growth.
      ratio: GROWTH_MB / Math.max(growthMb, 1),
      goal: 1,
    },
    {
      what: `${what}: memory for 1,000 events that were fired, Salt ${SALT}`,
      ours: `${(taken * 1000).toFixed(2)} MB`,
      peer: `${(theirs * 1000).toFixed(2)} MB`,
      ratio: theirs / taken,
      goal: 1,
    },
  ]
}

/** @returns what one who never reads costs, with both policies, beside real Salt. */
export async function benchIpcSlow(): Promise<Row[]> {
  const load = { seconds: Number(process.env['BENCH_SECONDS'] ?? SECONDS), rate: RATE }
  const policies = ['disconnect', 'drop'] as const
  const results = await Promise.all(policies.map((policy) => measureSlow(policy, load)))
  const salt = await measureSalt()
  return policies.flatMap((policy, index) => {
    const result = results[index]
    if (!result) return []
    console.log(describeSlow(policy, result))
    return rows(policy, result, salt)
  })
}

if (import.meta.main) printRows(await benchIpcSlow())
