import { parseDuration } from '../core/duration.ts'
import { VirbusError } from '../core/errors.ts'

/** `ERR_CLI_TIME`: a time on the command line is none. */
class TimeError extends VirbusError<'ERR_CLI_TIME'> {}

/**
 * A time as people write it, in milliseconds since 1970: `10m` (ago; s, m, h, d), `2026-11-21`, `2026-11-21T09:30` (local), with `Z` or
 * `+01:00`, or `@` and seconds since 1970.
 *
 * @throws {TimeError} `ERR_CLI_TIME`.
 */
export function parseTime(text: string, nowMs: number): number {
  const ago = parseDuration(text)
  if (!Number.isNaN(ago)) return nowMs - ago
  const unix = /^@(\d{1,11}(?:\.\d{1,3})?)$/.exec(text)
  if (unix) return Math.round(Number(unix[1]) * 1000)
  const isDate = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[-+]\d{2}:?\d{2})?)?$/.test(text)
  // A day begins at midnight here, not in Greenwich.
  const timeMs = isDate
    ? new Date(text.length === 10 ? `${text}T00:00` : text.replace(' ', 'T')).getTime()
    : Number.NaN
  if (Number.isNaN(timeMs))
    throw new TimeError('ERR_CLI_TIME', `'${text}' is no time; write 10m, 2026-11-21T09:30, or @1795222845`)
  return timeMs
}
