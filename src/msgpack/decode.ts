import { isUtf8 } from 'node:buffer'
import { MsgpackError } from './errors.ts'
import { KeyCache } from './key-cache.ts'
import { DEPTH_MAX, Ext, Float, ITEMS_MAX, type MsgpackValue, RawString } from './values.ts'

const TWO_32 = 0x1_0000_0000

/** V8's longest string; more bytes than this cannot become text. */
const STRING_BYTES_MAX = 0x1fff_ffe8

/** A `Map` of V8 holds no more entries than this. */
const MAP_ENTRIES_MAX = 16_777_215

/**
 * Up to this size the bytes are turned into one string whose slices are the texts: a call into Node's native code for each
 * text costs more. A slice keeps the whole string alive, hence the limit.
 */
const SLICED_BYTES_MAX = 4096

const keys = new KeyCache()

/** How to decode, and the limits against hostile bytes. */
export interface DecodeOptions {
  /**
   * What a double with a whole value becomes: `'number'` (default) gives 1 for 1.0, which encodes as an integer again;
   * `'exact'` gives a {@link Float}, so that 1.0 stays 1.0.
   */
  readonly floats?: 'number' | 'exact'
  /** What a map becomes: `'plain'` (default) an object where all keys are text; `'ordered'` a `Map`, whose entries are in the wire's order. */
  readonly maps?: 'plain' | 'ordered'
  /** Default and most useful: {@link DEPTH_MAX}. */
  readonly depthMax?: number
  /** Default {@link ITEMS_MAX}; never above 16,777,215. */
  readonly itemsMax?: number
}

class Reader {
  readonly #bytes: Buffer
  readonly #exact: boolean
  readonly #ordered: boolean
  readonly #depthMax: number
  #itemsLeft: number
  #at: number
  /** All bytes as Latin-1; from the first text on, if they are few. */
  #latin1: string | undefined

  constructor(bytes: Buffer, offset: number, options: DecodeOptions | undefined) {
    this.#bytes = bytes
    this.#at = offset
    this.#exact = options?.floats === 'exact'
    this.#ordered = options?.maps === 'ordered'
    this.#depthMax = options?.depthMax ?? DEPTH_MAX
    this.#itemsLeft = Math.min(options?.itemsMax ?? ITEMS_MAX, MAP_ENTRIES_MAX)
  }

  get at(): number {
    return this.#at
  }

  value(depth: number): MsgpackValue {
    const byte = this.#uint8()
    if (byte < 0x80) return byte
    if (byte < 0x90) return this.#map(byte & 0x0f, depth + 1)
    if (byte < 0xa0) return this.#array(byte & 0x0f, depth + 1)
    if (byte < 0xc0) return this.#text(byte & 0x1f)
    if (byte >= 0xe0) return byte - 0x100
    return byte < 0xd4 ? this.#scalar(byte) : this.#compound(byte, depth)
  }

  /** 0xc0 … 0xd3: nil, booleans, bin, ext 8 … 32, floats, integers. */
  #scalar(byte: number): MsgpackValue {
    switch (byte) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#view(this.#uint8())
      case 0xc5:
        return this.#view(this.#uint16())
      case 0xc6:
        return this.#view(this.#uint32())
      case 0xc7:
        return this.#ext(this.#uint8())
      case 0xc8:
        return this.#ext(this.#uint16())
      case 0xc9:
        return this.#ext(this.#uint32())
      case 0xca:
        return this.#float(this.#bytes.readFloatBE(this.#take(4)))
      case 0xcb:
        return this.#float(this.#bytes.readDoubleBE(this.#take(8)))
      default:
        return this.#integer(byte)
    }
  }

  #integer(byte: number): MsgpackValue {
    switch (byte) {
      case 0xcc:
        return this.#uint8()
      case 0xcd:
        return this.#uint16()
      case 0xce:
        return this.#uint32()
      case 0xcf:
        return this.#uint64()
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1))
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2))
      case 0xd2:
        return this.#bytes.readInt32BE(this.#take(4))
      case 0xd3:
        return this.#int64()
      default:
        throw new MsgpackError('ERR_MSGPACK_TYPE', `byte 0xc1 at ${this.#at - 1} begins no value`)
    }
  }

  /** 0xd4 … 0xdf: fixext, str, arrays and maps with a length of their own. */
  #compound(byte: number, depth: number): MsgpackValue {
    switch (byte) {
      case 0xd9:
        return this.#text(this.#uint8())
      case 0xda:
        return this.#text(this.#uint16())
      case 0xdb:
        return this.#text(this.#uint32())
      case 0xdc:
        return this.#array(this.#uint16(), depth + 1)
      case 0xdd:
        return this.#array(this.#uint32(), depth + 1)
      case 0xde:
        return this.#map(this.#uint16(), depth + 1)
      case 0xdf:
        return this.#map(this.#uint32(), depth + 1)
      default:
        return this.#ext(1 << (byte - 0xd4))
    }
  }

  /** Moves on by `count` bytes that must be there, and gives where they begin. */
  #take(count: number): number {
    const at = this.#at
    if (count > this.#bytes.length - at) {
      throw new MsgpackError(
        'ERR_MSGPACK_SHORT',
        `${count} bytes wanted at ${at}, ${this.#bytes.length - at} are left`,
      )
    }
    this.#at = at + count
    return at
  }

  #uint8(): number {
    const at = this.#take(1)
    return this.#bytes[at] as number // #take checked that the byte is there
  }

  #uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  #uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  #uint64(): number | bigint {
    const at = this.#take(8)
    const high = this.#bytes.readUInt32BE(at)
    if (high < 0x20_0000) return high * TWO_32 + this.#bytes.readUInt32BE(at + 4)
    return this.#bytes.readBigUInt64BE(at)
  }

  #int64(): number | bigint {
    const value = this.#bytes.readBigInt64BE(this.#take(8))
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  #float(value: number): number | Float {
    return this.#exact && Number.isInteger(value) ? new Float(value) : value
  }

  #view(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  #ext(length: number): Ext {
    const type = this.#bytes.readInt8(this.#take(1))
    return new Ext(type, this.#view(length))
  }

  #text(length: number): string | RawString {
    const at = this.#take(length)
    if (length > STRING_BYTES_MAX) {
      throw new MsgpackError('ERR_MSGPACK_LIMIT', `string of ${length} bytes, at most ${STRING_BYTES_MAX}`)
    }
    if (this.#bytes.length <= SLICED_BYTES_MAX && isAscii(this.#bytes, at, at + length)) {
      this.#latin1 ??= this.#bytes.toString('latin1')
      return this.#latin1.slice(at, at + length)
    }
    const text = this.#bytes.toString('utf8', at, at + length)
    // The replacement character is either what the sender wrote or the trace of bytes that are not UTF-8.
    if (!text.includes('\ufffd')) return text
    const view = this.#bytes.subarray(at, at + length)
    return isUtf8(view) ? text : new RawString(view)
  }

  #enter(count: number, depth: number, itemBytes: number): void {
    if (depth > this.#depthMax) {
      throw new MsgpackError('ERR_MSGPACK_DEPTH', `nested deeper than ${this.#depthMax} levels`)
    }
    if (count * itemBytes > this.#bytes.length - this.#at) {
      throw new MsgpackError('ERR_MSGPACK_SHORT', `${count} elements do not fit the bytes that are left`)
    }
    this.#itemsLeft -= count
    if (this.#itemsLeft < 0)
      throw new MsgpackError('ERR_MSGPACK_LIMIT', 'too many array elements and map entries')
  }

  #array(count: number, depth: number): MsgpackValue[] {
    this.#enter(count, depth, 1)
    const items: MsgpackValue[] = []
    for (let index = 0; index < count; index++) items.push(this.value(depth))
    return items
  }

  #map(count: number, depth: number): MsgpackValue {
    this.#enter(count, depth, 2)
    if (this.#ordered) return this.#mixedMap(new Map(), count, depth)
    const record: { [key: string]: MsgpackValue } = {}
    for (let index = 0; index < count; index++) {
      const key = this.#key(depth)
      if (typeof key !== 'string') {
        const map = new Map<MsgpackValue, MsgpackValue>(Object.entries(record)).set(key, this.value(depth))
        return this.#mixedMap(map, count - index - 1, depth)
      }
      const value = this.value(depth)
      if (key === '__proto__') {
        Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
      } else record[key] = value
    }
    return record
  }

  /** The `left` entries that a map still has. */
  #mixedMap(map: Map<MsgpackValue, MsgpackValue>, left: number, depth: number): MsgpackValue {
    for (; left > 0; left--) {
      const key = this.#key(depth)
      map.set(key, this.value(depth))
    }
    return map
  }

  #key(depth: number): MsgpackValue {
    const byte = this.#bytes[this.#at]
    if (byte === undefined || (byte & 0xe0) !== 0xa0) return this.value(depth)
    const length = byte & 0x1f
    if (length >= this.#bytes.length - this.#at) return this.value(depth)
    const cached = keys.get(this.#bytes, this.#at + 1, length)
    if (cached === undefined) return this.value(depth)
    this.#at += 1 + length
    return cached
  }
}

function isAscii(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if ((bytes[at] as number) > 0x7f) return false // the caller checked the length
  return true
}

/** A value and where the next one begins. */
export interface Decoded {
  readonly value: MsgpackValue
  /** Offset of the first byte after the value. */
  readonly end: number
}

/**
 * Decodes the value that begins at `offset`; what follows it is left alone.
 *
 * Binary values, extensions and strings that are no UTF-8 are views into `bytes`: copy what must outlive them.
 *
 * @throws {MsgpackError} for any bytes that are no value within the limits; no other error comes out.
 */
export function decodeAt(bytes: Uint8Array, offset: number, options?: DecodeOptions): Decoded {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const reader = new Reader(buffer, offset, options)
  const value = reader.value(0)
  return { value, end: reader.at }
}

/**
 * Decodes bytes that are exactly one value.
 *
 * Binary values, extensions and strings that are no UTF-8 are views into `bytes`: copy what must outlive them.
 *
 * @throws {MsgpackError} ERR_MSGPACK_TRAILING when bytes are left, and any other code for bytes that are no value within the limits.
 */
export function decode(bytes: Uint8Array, options?: DecodeOptions): MsgpackValue {
  const { value, end } = decodeAt(bytes, 0, options)
  if (end !== bytes.length) {
    throw new MsgpackError('ERR_MSGPACK_TRAILING', `${bytes.length - end} bytes are left after the value`)
  }
  return value
}
