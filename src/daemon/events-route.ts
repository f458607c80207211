import { type Bus, BusEvent, Followed, type Journal, type PayloadCodec } from '../bus/index.ts'
import { DaemonError } from './errors.ts'

/** Tags that are told at once. */
const TAGS_MAX = 1000
/** Events that `last` can ask for: they wait in memory until the oldest is found. */
const LAST_MAX = 100_000

/** One event of `/v1/events`: the payload in base64, so that nothing of it is lost on the way. */
export interface EventReport {
  readonly sequence: number | null
  /** Milliseconds since 1970; null for one that is told as it happens. */
  readonly timeMs: number | null
  readonly tag: string
  readonly payload: string
}

interface EventSource {
  readonly bus: Bus
  readonly journal: Journal
  readonly codec: PayloadCodec
}

/** What is asked for, in sequences. */
interface EventQuery {
  readonly pattern: string
  readonly after: number
  readonly upTo: number | undefined
  readonly last: number | undefined
  readonly follows: boolean
  readonly signal: AbortSignal
}

/**
 * `/v1/events?tag=GLOB&after=SEQUENCE&since=MS&until=MS&last=N&follow=1`: events of the journal, and with `follow` those that come. The
 * narrowest of `after`, `since` and `last` decides where it begins.
 */
export async function* eventsRoute(
  source: { readonly bus: Bus; readonly journal: Journal | undefined; readonly codec: PayloadCodec },
  params: URLSearchParams,
  signal: AbortSignal,
): AsyncGenerator<EventReport> {
  const journal = needed(source.journal)
  const query = await queryOf(journal, params, signal)
  for await (const event of events({ ...source, journal }, query)) yield report(event)
}

/** `/v1/tags?prefix=TEXT`: tags of the journal that begin so, at most 1,000. */
export async function tagsRoute(
  journal: Journal | undefined,
  params: URLSearchParams,
): Promise<readonly string[]> {
  return await needed(journal).tags(params.get('prefix') ?? '', TAGS_MAX)
}

function needed(journal: Journal | undefined): Journal {
  if (journal) return journal
  throw new DaemonError(
    'ERR_DAEMON_QUERY',
    'this virbus keeps no events: it has no state folder, or journal.enabled is false',
  )
}

async function* events(source: EventSource, query: EventQuery): AsyncGenerator<BusEvent> {
  const { journal, codec } = source
  const { pattern, upTo, last, follows, signal } = query
  let { after } = query
  if (last !== undefined) {
    // What is published from here on is not among the last.
    const end = upTo ?? journal.stats.sequence
    yield* await newest(source, { ...query, upTo: end, last: Math.min(last, LAST_MAX) })
    after = end
  }
  if (follows) yield* new Followed(source, { pattern, after, signal })
  else if (last === undefined)
    for await (const entry of journal.history({ pattern, after, upTo, signal }))
      yield BusEvent.ofEntry(entry, codec)
}

async function newest(
  { journal, codec }: EventSource,
  { pattern, after, upTo, last, signal }: EventQuery & { readonly last: number },
): Promise<BusEvent[]> {
  const found: BusEvent[] = []
  for await (const entry of journal.history({ pattern, after, upTo, newestFirst: true, signal })) {
    if (found.length >= last) break
    found.push(BusEvent.ofEntry(entry, codec))
  }
  return found.reverse()
}

async function queryOf(journal: Journal, params: URLSearchParams, signal: AbortSignal): Promise<EventQuery> {
  const since = numberIn(params, 'since')
  const until = numberIn(params, 'until')
  const after = numberIn(params, 'after') ?? 0
  return {
    pattern: params.get('tag') ?? '*',
    after: since === undefined ? after : Math.max(after, await journal.sequenceBefore(since)),
    // Up to the end of that millisecond.
    upTo: until === undefined ? undefined : await journal.sequenceBefore(until + 1),
    last: numberIn(params, 'last'),
    follows: params.get('follow') === '1',
    signal,
  }
}

function report({ sequence, timeMs, tag, payload }: BusEvent): EventReport {
  return { sequence: sequence ?? null, timeMs: timeMs ?? null, tag, payload: payload.toString('base64') }
}

function numberIn(params: URLSearchParams, name: string): number | undefined {
  const text = params.get(name)
  if (text === null) return undefined
  const number = Number(text)
  if (text !== '' && Number.isSafeInteger(number) && number >= 0) return number
  throw new DaemonError('ERR_DAEMON_QUERY', `${name} has to be a whole number, not '${text}'`)
}
