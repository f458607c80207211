import type { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { decode, Ext, Float, RawString } from '../msgpack/index.ts'
import { decodeDatetime } from '../salt/index.ts'
import { dumps, float, Verbatim } from './python-json.ts'

/** An event as it came: what is printed is decoded from its bytes, so that nothing is rounded on the way. */
export interface RawEvent {
  readonly tag: string
  readonly payload: Buffer
}

/**
 * One event as `salt-run state.event` prints it: tag, tab, data as Python's json prints it; bytes as their UTF-8 text,
 * or in base64 where they are none. The tag is coloured where `stream` is a terminal, which Salt does not do.
 */
export function formatEvent(event: RawEvent, options: { pretty: boolean; stream?: Writable }): string {
  const data = decode(event.payload, { floats: 'exact', maps: 'ordered' })
  const layout = options.pretty ? { indent: 4, sortKeys: true } : {}
  // Coloured on a terminal only, and not with NO_COLOR: styleText looks at both.
  const tag = options.stream ? styleText('cyan', event.tag, { stream: options.stream }) : event.tag
  return `${tag}\t${dumps(data, { ...layout, fallback: (value) => plain(value, false) })}\n`
}

/**
 * One event as a JSON object on one line, `{"tag": …, "data": …}`, without loss: bytes are `{"__bytes__": BASE64}`, other
 * extension types `{"__ext__": TYPE, "data": BASE64}`, integers and floats exact. `more`: what comes behind.
 */
export function formatJsonEvent(event: RawEvent, more: Readonly<Record<string, unknown>> = {}): string {
  const data = decode(event.payload, { floats: 'exact', maps: 'ordered' })
  return `${dumps({ tag: event.tag, data, ...more }, { fallback: (value) => plain(value, true) })}\n`
}

/** One value of an event as in {@link formatEvent}. */
export function formatValue(value: unknown): string {
  return dumps(value, { fallback: (inner) => plain(inner, false) })
}

function plain(value: unknown, lossless: boolean): unknown {
  if (value instanceof Float) return new Verbatim(float(value.value))
  if (value instanceof RawString)
    return lossless ? { __bytes__: value.bytes.toString('base64') } : value.toString()
  if (value instanceof Uint8Array) return bytesText(Buffer.from(value), lossless)
  if (value instanceof Ext) {
    const datetime = decodeDatetime(value)
    // `isoformat` of Python leaves out a fraction that is zero.
    if (datetime !== undefined) return datetime.replace(/\.000000$/, '')
    return { __ext__: value.type, data: value.data.toString('base64') }
  }
  return String(value)
}

function bytesText(bytes: Buffer, lossless: boolean): unknown {
  if (lossless) return { __bytes__: bytes.toString('base64') }
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : bytes.toString('base64')
}
