import { connectBus } from './bus-options.ts'
import { type Format, type FormatOptions, format, type ShownEvent, subjectOf } from './event-format.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import type { PastOptions } from './past-events.ts'
import { untilSignalled } from './signals.ts'
import { tagExpression } from './tag-match.ts'
import { parseWhere } from './where.ts'

export interface WatchOptions extends PastOptions {
  readonly where?: string
  readonly format?: Format
  readonly template?: string
  readonly fields?: string
  readonly pretty?: boolean
  readonly json?: boolean
  readonly time?: boolean
  readonly utc?: boolean
  readonly quiet?: boolean
  readonly count?: number
  /** In milliseconds. */
  readonly timeout?: number
}

/** Events read before they are printed; a pipe that stays behind loses the oldest, which is said on standard error. */
const QUEUED_MAX = 65_536

/**
 * `virbus watch`: prints the events of a bus as `salt-run state.event` does, or in other forms; with `--since` or `--last` first those of
 * the past. Ends with 3 when `--timeout` passed before `--count` events came.
 */
export async function watch(patterns: readonly string[], options: WatchOptions): Promise<number> {
  const isOfPast = options.since !== undefined || options.last !== undefined
  return await show(patterns, options, (signal) =>
    isOfPast ? past(patterns, options, signal, true) : live(patterns, options, signal),
  )
}

/** `virbus events`: prints the events of the past that the journal has, and with `--follow` goes on. */
export async function events(patterns: readonly string[], options: WatchOptions): Promise<number> {
  return await show(patterns, options, (signal) => past(patterns, options, signal, options.follow ?? false))
}

async function show(
  patterns: readonly string[],
  options: WatchOptions,
  source: (signal: AbortSignal) => AsyncIterable<ShownEvent>,
): Promise<number> {
  using stop = untilSignalled()
  const isWanted = wantedBy(patterns, options)
  const how = formatOf(options)
  onReaderGone(process.stdout, stop.abort)
  const timeout = options.timeout === undefined ? undefined : AbortSignal.timeout(options.timeout)
  const signal = timeout ? AbortSignal.any([stop.signal, timeout]) : stop.signal
  let left = options.count ?? Number.POSITIVE_INFINITY
  try {
    for await (const event of source(signal)) {
      if (!isWanted(event)) continue
      if (!options.quiet) await write(process.stdout, format(event, how))
      if (--left <= 0) return EXIT.OK
    }
  } catch (error) {
    if (!timeout?.aborted) throw error
  }
  return timeout?.aborted && Number.isFinite(left) ? EXIT.TIMEOUT : EXIT.OK
}

function wantedBy(patterns: readonly string[], { where }: WatchOptions): (event: ShownEvent) => boolean {
  const tags = patterns.map(tagExpression)
  const condition = where === undefined ? undefined : parseWhere(where)
  return (event) => tags.some((matches) => matches(event.tag)) && (condition?.(subjectOf(event)) ?? true)
}

function formatOf(options: WatchOptions): FormatOptions {
  const { template, fields, time, utc } = options
  const plain = options.json ? 'json' : options.pretty ? 'pretty' : (options.format ?? 'text')
  const isTimed = time || utc || plain === 'tsv' || template !== undefined
  return {
    format: plain,
    template,
    fields: fields?.split(','),
    time: isTimed ? (utc ? 'utc' : 'local') : undefined,
    stream: process.stdout,
  }
}

async function* live(
  patterns: readonly string[],
  options: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<ShownEvent> {
  const tags = patterns.map(tagExpression)
  await using client = await connectBus(options, signal)
  const filter = (tag: string): boolean => tags.some((matches) => matches(tag))
  const events = client.events({ filter, limit: QUEUED_MAX, signal })
  process.stderr.write(`virbus: watching ${patterns.join(' ')}\n`)
  let dropped = 0
  for await (const { tag, payload } of events) {
    if (events.dropped > dropped) {
      const lost = events.dropped - dropped
      process.stderr.write(`virbus: ${lost} events lost: the output was not read in time\n`)
      dropped = events.dropped
    }
    yield { tag, payload, timeMs: Date.now() }
  }
}

/** What asks a running virbus is loaded only by those who want the past: it is most of the program. */
async function* past(
  patterns: readonly string[],
  options: WatchOptions,
  signal: AbortSignal,
  follows: boolean,
): AsyncGenerator<ShownEvent> {
  const { eventsOfPast } = await import('./past-events.ts')
  yield* eventsOfPast(patterns, { ...options, follow: follows }, signal)
}
