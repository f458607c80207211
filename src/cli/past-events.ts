import { askControlLines } from '../http/index.ts'
import type { BusOptions } from './bus-options.ts'
import { controlOf } from './control.ts'
import type { ShownEvent } from './event-format.ts'
import { parseTime } from './time-arg.ts'

/** Which part of the past, as it is on the command line. */
export interface PastOptions extends BusOptions {
  readonly since?: string
  readonly until?: string
  readonly last?: number
  readonly follow?: boolean
}

/**
 * The events of the journal of a running virbus, page by page, and with `follow` those that come. The journal leaves out what surely is not
 * wanted, not all of it.
 */
export async function* eventsOfPast(
  patterns: readonly string[],
  options: PastOptions,
  signal: AbortSignal,
): AsyncGenerator<ShownEvent> {
  const now = Date.now()
  const { since, until, last, follow } = options
  const query = new URLSearchParams({
    tag: `${commonPrefix(patterns)}*`,
    ...(since !== undefined && { since: String(parseTime(since, now)) }),
    ...(until !== undefined && { until: String(parseTime(until, now)) }),
    ...(last !== undefined && { last: String(last) }),
    ...(follow && { follow: '1' }),
  })
  for await (const line of askControlLines(controlOf(options), `/v1/events?${query}`, signal)) {
    const { sequence, timeMs, tag, payload } = JSON.parse(line)
    yield {
      tag,
      payload: Buffer.from(payload, 'base64'),
      sequence: sequence ?? undefined,
      timeMs: timeMs ?? Date.now(),
    }
  }
}

/** What the tags of all that is wanted begin with, as globs and as regular expressions, so that the journal need not send the rest. */
function commonPrefix(patterns: readonly string[]): string {
  const [pattern = '', ...more] = patterns
  if (more.length > 0 || pattern.includes('|')) return ''
  const literal = /^[\p{L}\p{N}_/ :@=,-]*/u.exec(pattern)?.[0] ?? ''
  // What stands before a star or a question mark may be missing in a regular expression.
  return literal === pattern ? literal : literal.slice(0, -1)
}
