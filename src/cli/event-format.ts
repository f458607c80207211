import type { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { decode } from '../msgpack/index.ts'
import { formatEvent, formatJsonEvent, formatValue } from './event-text.ts'
import { at, type Subject } from './where.ts'

/** Forms of printed events. */
export type Format = 'text' | 'pretty' | 'json' | 'tsv'

/** An event to be printed; from the journal with its place and time. */
export interface ShownEvent {
  readonly tag: string
  readonly payload: Buffer
  readonly sequence?: number | undefined
  /** When it was published, or when it came here, in milliseconds since 1970. */
  readonly timeMs: number
}

/** How events are printed. */
export interface FormatOptions {
  readonly format: Format
  /** `{tag}`, `{time}`, `{sequence}`, `{data.domain.name}` are replaced; goes before `format`. */
  readonly template?: string | undefined
  /** Columns of `tsv`. */
  readonly fields?: readonly string[] | undefined
  /** The time before the text and pretty forms; always in UTC, or in the machine's zone. */
  readonly time?: 'local' | 'utc' | undefined
  readonly stream: Writable
}

const FIELDS: readonly string[] = ['time', 'sequence', 'tag', 'data.event']

/** One event, with its line feed. */
export function format(event: ShownEvent, options: FormatOptions): string {
  const { template, stream } = options
  if (template !== undefined)
    return `${template.replaceAll(/\{([^{}]+)\}/g, (_, field: string) => cell(event, field, options))}\n`
  switch (options.format) {
    case 'json':
      return formatJsonEvent(event, placeOf(event))
    case 'tsv':
      return `${(options.fields ?? FIELDS).map((field) => cell(event, field, options)).join('\t')}\n`
    default: {
      const pretty = options.format === 'pretty'
      const before =
        options.time === undefined ? '' : `${styleText('dim', timeText(event, options), { stream })} `
      return before + formatEvent(event, { pretty, stream })
    }
  }
}

/** What a condition looks at. */
export function subjectOf({ tag, payload }: ShownEvent): Subject {
  return { tag, data: decode(payload, { floats: 'exact' }) }
}

function timeText({ timeMs }: ShownEvent, { time }: FormatOptions): string {
  const date = new Date(timeMs)
  if (time === 'utc') return date.toISOString()
  const minutes = -date.getTimezoneOffset()
  const local = new Date(timeMs + minutes * 60_000).toISOString().slice(0, -1)
  const sign = minutes < 0 ? '-' : '+'
  const two = (value: number): string => String(Math.floor(Math.abs(value))).padStart(2, '0')
  return `${local}${sign}${two(minutes / 60)}:${two(minutes % 60)}`
}

/** A field as one word of a line: empty when it is not there, JSON for what is no text. */
function cell(event: ShownEvent, field: string, options: FormatOptions): string {
  if (field === 'time') return timeText(event, options)
  if (field === 'sequence') return String(event.sequence ?? '')
  const value = field === 'data' ? subjectOf(event).data : at(subjectOf(event), pathOf(field))
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : formatValue(value)
  return text.replaceAll(/[\t\r\n\p{Cc}]/gu, ' ')
}

/** Where and when, of an event of the journal. */
function placeOf({ sequence, timeMs }: ShownEvent): Record<string, unknown> {
  return sequence === undefined ? {} : { sequence, time: new Date(timeMs).toISOString() }
}

function pathOf(field: string): string[] {
  return field.split('.')
}
