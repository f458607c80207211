import { Ext, encode, Float, RawString } from '../msgpack/index.ts'

/** Salt's `max_event_size`: packed data of an event above this is trimmed by who fires it. */
export const EVENT_BYTES_MAX = 1_048_576

/** What stands in the place of a value that was trimmed. */
export const TRIMMED = 'VALUE_TRIMMED'

/** `sys.getsizeof(b'')` of CPython 3.11: Salt compares sizes of Python objects, not of their bytes. */
const BYTES_OVERHEAD = 33

type Entries = Map<unknown, unknown>

/**
 * Packs the data of an event; above `bytesMax` its large values are replaced by {@link TRIMMED}, as
 * `salt.utils.dicttrim.trim_dict` does: values over half the limit first, then over 40 %, down to 10 %. Maps are entered,
 * lists are not and count without their items. What is still too large after that is sent all the same, as Salt does.
 */
export function packTrimmed(data: object, bytesMax: number): Buffer {
  let packed = encode(data)
  if (packed.length + BYTES_OVERHEAD <= bytesMax) return packed
  const copy = toMaps(data)
  for (let percent = 50; percent > 0; percent -= 10) {
    trim(copy, bytesMax * (percent / 100))
    packed = encode(copy)
    if (packed.length + BYTES_OVERHEAD < bytesMax) break
  }
  return packed
}

/** A copy in which every map that trimming enters is a `Map` of its own. */
function toMaps(value: object): Entries {
  const entries: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value)
  return new Map([...entries].map(([key, item]) => [key, isMap(item) ? toMaps(item) : item]))
}

/** Whether a value packs as a map: a plain object or a `Map`. */
export function isMap(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const other = [Array, Uint8Array, Float, RawString, Ext].some((type) => value instanceof type)
  return !other
}

function trim(entries: Entries, sizeMax: number): void {
  for (const [key, value] of entries) {
    if (value instanceof Map) trim(value, sizeMax)
    else if (pythonSize(value) > sizeMax) entries.set(key, TRIMMED)
  }
}

/** `sys.getsizeof` of CPython 3.11 for what can be large; small things count as 28. */
function pythonSize(value: unknown): number {
  if (typeof value === 'string') return stringSize(value)
  if (value instanceof Uint8Array) return BYTES_OVERHEAD + value.length
  if (Array.isArray(value)) return 56 + 8 * value.length
  if (value instanceof Ext) return BYTES_OVERHEAD + value.data.length
  return 28
}

/** CPython stores a string with 1, 2 or 4 bytes a character, by its widest one (PEP 393). */
function stringSize(text: string): number {
  let widest = 0
  let length = 0
  for (const character of text) {
    widest = Math.max(widest, character.codePointAt(0) ?? 0)
    length++
  }
  if (widest < 0x80) return 49 + length
  if (widest < 0x100) return 73 + length
  return widest < 0x1_0000 ? 74 + 2 * length : 76 + 4 * length
}
