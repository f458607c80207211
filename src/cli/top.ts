import { setTimeout as delay } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { DaemonStats } from '../daemon/index.ts'
import { askControl } from '../http/index.ts'
import { type BusOptions, connectBus } from './bus-options.ts'
import { controlOf } from './control.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import { untilSignalled } from './signals.ts'
import { table } from './table.ts'

export interface TopOptions extends BusOptions {
  /** Milliseconds between two looks. */
  readonly interval: number
  /** Looks before it ends. */
  readonly count?: number
  readonly tags: number
}

/** Tags that are counted apart; of more, all others together. */
const TAGS_MAX = 10_000
/** Home, and everything behind it cleared: the screen does not flicker. */
const HOME = '\u001b[H'
const CLEAR_REST = '\u001b[J'

/** `virbus top`: what a running virbus does, again and again: tags by their rate, hosts, subscribers, drops. */
export async function top(options: TopOptions): Promise<number> {
  using stop = untilSignalled()
  onReaderGone(process.stdout, stop.abort)
  const path = controlOf(options)
  const ask = async (): Promise<DaemonStats> =>
    JSON.parse(await askControl(path, '/v1/stats', stop.signal)) as DaemonStats // what the route of that name gives
  await using client = await connectBus(options, stop.signal)
  const rates = new Map<string, number>()
  const events = client.events({ limit: 65_536, signal: stop.signal })
  const counting = (async () => {
    for await (const { tag } of events) {
      const key = rates.has(tag) || rates.size < TAGS_MAX ? tag : '(others)'
      rates.set(key, (rates.get(key) ?? 0) + 1)
    }
  })()
  counting.catch(() => stop.abort())
  let before = await ask()
  for (let look = 0; look < (options.count ?? Number.POSITIVE_INFINITY) && !stop.signal.aborted; look++) {
    // Only the abort of our own signal ends the wait early.
    await delay(options.interval, undefined, { signal: stop.signal }).catch(() => {})
    if (stop.signal.aborted) break
    const now = await ask()
    const seconds = options.interval / 1000
    const text = [
      overview(before, now, seconds),
      hosts(before, now, seconds),
      tags(rates, seconds, options.tags),
    ]
    rates.clear()
    before = now
    await write(process.stdout, screen(text.join('\n')))
  }
  stop.abort()
  // A bus that has gone is an end, and not one in order.
  return await counting.then(
    () => EXIT.OK,
    () => EXIT.FAILURE,
  )
}

function screen(text: string): string {
  if (!process.stdout.isTTY) return `${text}\n`
  return `${HOME}${text.replaceAll('\n', '\u001b[K\n')}${CLEAR_REST}`
}

function overview(before: DaemonStats, now: DaemonStats, seconds: number): string {
  const { bus, publisher, puller, sockets, journal } = now
  const rate = (to: number, from: number): string => `${Math.round((to - from) / seconds)}/s`
  const lost = bus.dropped + publisher.dropped + sockets.dropped + sockets.refused + (journal?.lost ?? 0)
  const kept = journal ? `${journal.sequence}, ${journal.waiting} wait` : 'no journal'
  return table([
    ['Events', 'Fired by clients', 'Subscribers', 'Cut', 'Lost', 'Journal'],
    [
      rate(bus.published, before.bus.published),
      rate(puller.accepted, before.puller.accepted),
      String(publisher.subscribers),
      String(publisher.subscribersCut),
      String(lost),
      journal?.isBroken ? 'broken' : kept,
    ],
  ])
}

function hosts(before: DaemonStats, now: DaemonStats, seconds: number): string {
  const rows = now.engines.map((engine, at) => {
    const published = engine.published - (before.engines[at]?.published ?? 0)
    const about = 'uri' in engine ? engine.uri : 'error' in engine ? engine.error : ''
    return [engine.state, `${Math.max(0, Math.round(published / seconds))}/s`, String(engine.dropped), about]
  })
  return table([['State', 'Events', 'Lost', 'Host'], ...rows])
}

function tags(rates: ReadonlyMap<string, number>, seconds: number, count: number): string {
  const most = [...rates].sort(([, a], [, b]) => b - a).slice(0, count)
  const rows = most.map(([tag, events]) => [`${(events / seconds).toFixed(1)}/s`, tag])
  const [head = '', ...lines] = table([['Rate', 'Tag'], ...rows]).split('\n')
  return [styleText('bold', head, { stream: process.stdout }), ...lines].join('\n')
}
