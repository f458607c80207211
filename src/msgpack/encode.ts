import { MsgpackError } from './errors.ts'
import { DEPTH_MAX, Ext, Float, RawString } from './values.ts'

const TWO_32 = 0x1_0000_0000
const INT64_MIN = -(2n ** 63n)
const UINT64_MAX = 2n ** 64n - 1n

/** Strings up to here are written character by character, which is faster than a call into Node's native code. */
const SHORT_STRING = 64
/** A scratch buffer larger than this is not kept for the next call. */
const SCRATCH_KEPT_BYTES = 65_536

class Writer {
  #bytes: Buffer = Buffer.allocUnsafeSlow(4096)
  #at = 0

  /** The one way in: writes `value` and gives a copy of its bytes. */
  encode(value: unknown): Buffer {
    this.#at = 0
    this.#value(value, 0)
    const result = Buffer.allocUnsafe(this.#at)
    this.#bytes.copy(result, 0, 0, this.#at)
    return result
  }

  get capacity(): number {
    return this.#bytes.length
  }

  /** Makes room for `count` more bytes. */
  #reserve(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }

  #value(value: unknown, depth: number): void {
    if (typeof value === 'string') this.#string(value)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2)
    else if (value === null) this.#byte(0xc0)
    else if (typeof value === 'object') this.#object(value, depth)
    else if (typeof value === 'bigint') this.#bigint(value)
    else throw new MsgpackError('ERR_MSGPACK_TYPE', `a value of type ${typeof value} has no MessagePack form`)
  }

  #object(value: object, depth: number): void {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) {
      this.#record(value as Record<string, unknown>, depth + 1) // a plain object, as its prototype shows
    } else if (Array.isArray(value)) this.#array(value, depth + 1)
    else if (value instanceof Map) this.#map(value, depth + 1)
    else if (value instanceof Uint8Array) this.#binary(value)
    else if (value instanceof Float) this.#double(value.value)
    else if (value instanceof RawString) {
      this.#stringHeader(value.bytes.length)
      this.#raw(value.bytes)
    } else if (value instanceof Ext) this.#ext(value)
    else {
      const name = value.constructor?.name ?? 'unknown'
      throw new MsgpackError('ERR_MSGPACK_TYPE', `an object of class ${name} has no MessagePack form`)
    }
  }

  #array(items: readonly unknown[], depth: number): void {
    this.#enter(depth)
    this.#countHeader(items.length, 0x90, 0xdc)
    for (const item of items) this.#value(item, depth)
  }

  #map(map: ReadonlyMap<unknown, unknown>, depth: number): void {
    this.#enter(depth)
    this.#countHeader(map.size, 0x80, 0xde)
    for (const [key, value] of map) {
      this.#value(key, depth)
      this.#value(value, depth)
    }
  }

  #record(record: Record<string, unknown>, depth: number): void {
    this.#enter(depth)
    const keys = Object.keys(record)
    this.#countHeader(keys.length, 0x80, 0xde)
    for (const key of keys) {
      this.#string(key)
      this.#value(record[key], depth)
    }
  }

  #enter(depth: number): void {
    if (depth > DEPTH_MAX)
      throw new MsgpackError('ERR_MSGPACK_DEPTH', `nested deeper than ${DEPTH_MAX} levels`)
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = byte
  }

  #byteAnd16(byte: number, value: number): void {
    this.#bytes[this.#at++] = byte
    this.#bytes[this.#at++] = value >>> 8
    this.#bytes[this.#at++] = value
  }

  #byteAnd32(byte: number, value: number): void {
    this.#bytes[this.#at++] = byte
    this.#at = this.#bytes.writeUInt32BE(value, this.#at)
  }

  /** Header of an array or map: up to 15 in the byte, else 16 or 32 bits. */
  #countHeader(count: number, fix: number, wide: number): void {
    this.#reserve(5)
    if (count < 16) this.#bytes[this.#at++] = fix | count
    else if (count < 0x1_0000) this.#byteAnd16(wide, count)
    else this.#byteAnd32(wide + 1, count)
  }

  /** Header of a binary or extension: the byte for 8, 16 or 32 bits of length. */
  #lengthHeader(length: number, first: number): void {
    if (length < 0x100) {
      this.#bytes[this.#at++] = first
      this.#bytes[this.#at++] = length
    } else if (length < 0x1_0000) this.#byteAnd16(first + 1, length)
    else this.#byteAnd32(first + 2, checkLength(length))
  }

  #stringHeader(length: number): void {
    this.#reserve(length + 5)
    if (length < 32) this.#bytes[this.#at++] = 0xa0 | length
    else this.#lengthHeader(length, 0xd9)
  }

  #string(text: string): void {
    if (text.length < SHORT_STRING && this.#shortAscii(text)) return
    const length = Buffer.byteLength(text)
    if (length !== text.length && !text.isWellFormed()) {
      throw new MsgpackError('ERR_MSGPACK_TYPE', 'a string with a lone surrogate has no UTF-8 form')
    }
    this.#stringHeader(length)
    this.#at += this.#bytes.write(text, this.#at, length, 'utf8')
  }

  /** Writes text of fewer than 64 ASCII characters; on another character nothing counts as written. */
  #shortAscii(text: string): boolean {
    const { length } = text
    this.#reserve(length + 2)
    const bytes = this.#bytes
    let at = this.#at
    if (length < 32) bytes[at++] = 0xa0 | length
    else {
      bytes[at++] = 0xd9
      bytes[at++] = length
    }
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      if (code > 0x7f) return false
      bytes[at++] = code
    }
    this.#at = at
    return true
  }

  #raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #binary(bytes: Uint8Array): void {
    this.#reserve(bytes.length + 5)
    this.#lengthHeader(bytes.length, 0xc4)
    this.#raw(bytes)
  }

  #ext(ext: Ext): void {
    const { type, data } = ext
    if (!Number.isInteger(type) || type < -128 || type > 127) {
      throw new MsgpackError('ERR_MSGPACK_RANGE', `extension type ${type} is outside -128 to 127`)
    }
    this.#reserve(data.length + 6)
    const fixed = [1, 2, 4, 8, 16].indexOf(data.length)
    if (fixed >= 0) this.#bytes[this.#at++] = 0xd4 + fixed
    else this.#lengthHeader(data.length, 0xc7)
    this.#bytes[this.#at++] = type
    this.#raw(data)
  }

  #number(value: number): void {
    this.#reserve(9)
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#double(value)
    else if (value < 0) this.#negative(value)
    else this.#positive(value)
  }

  #positive(value: number): void {
    if (value < 0x80) this.#bytes[this.#at++] = value
    else if (value < 0x100) {
      this.#bytes[this.#at++] = 0xcc
      this.#bytes[this.#at++] = value
    } else if (value < 0x1_0000) this.#byteAnd16(0xcd, value)
    else if (value < TWO_32) this.#byteAnd32(0xce, value)
    else {
      this.#byteAnd32(0xcf, Math.floor(value / TWO_32))
      this.#at = this.#bytes.writeUInt32BE(value % TWO_32, this.#at)
    }
  }

  #negative(value: number): void {
    if (value >= -32) this.#bytes[this.#at++] = value
    else if (value >= -0x80) {
      this.#bytes[this.#at++] = 0xd0
      this.#bytes[this.#at++] = value
    } else if (value >= -0x8000) this.#byteAnd16(0xd1, value & 0xffff)
    else if (value >= -0x8000_0000) this.#byteAnd32(0xd2, value >>> 0)
    else this.#bigint(BigInt(value))
  }

  #bigint(value: bigint): void {
    if (value < INT64_MIN || value > UINT64_MAX) {
      throw new MsgpackError('ERR_MSGPACK_RANGE', `integer ${value} is outside 64 bits`)
    }
    this.#reserve(9)
    if (value >= -0x8000_0000n && value < 0x1_0000_0000n) this.#number(Number(value))
    else if (value < 0n) {
      this.#bytes[this.#at++] = 0xd3
      this.#at = this.#bytes.writeBigInt64BE(value, this.#at)
    } else {
      this.#bytes[this.#at++] = 0xcf
      this.#at = this.#bytes.writeBigUInt64BE(value, this.#at)
    }
  }

  #double(value: number): void {
    this.#reserve(9)
    this.#bytes[this.#at++] = 0xcb
    this.#at = this.#bytes.writeDoubleBE(value, this.#at)
  }
}

function checkLength(length: number): number {
  if (length < TWO_32) return length
  throw new MsgpackError('ERR_MSGPACK_LIMIT', `${length} bytes do not fit a 32-bit length`)
}

/** Scratch memory of the last call; nothing is remembered in it. A call inside a call (a getter that encodes) makes its own. */
let spare: Writer | undefined

/**
 * The MessagePack form of a value, the same bytes as Python's `msgpack.packb(value, use_bin_type=True)`.
 *
 * Integers take the smallest form. `Buffer` and `Uint8Array` are bin, strings are str, plain objects and `Map` are maps,
 * {@link Float}, {@link RawString} and {@link Ext} are what they say. A number is an integer when it is a safe integer and
 * not −0, else a double.
 *
 * @throws {MsgpackError} ERR_MSGPACK_TYPE when a value has no form: `undefined`, functions, symbols, other classes, lone surrogates.
 * @throws {MsgpackError} ERR_MSGPACK_RANGE when a bigint is outside 64 bits.
 * @throws {MsgpackError} ERR_MSGPACK_DEPTH when nested deeper than {@link DEPTH_MAX}, a cycle included.
 * @example
 * encode({ tag: 'a', size: 2n ** 63n, ratio: new Float(1) })
 */
export function encode(value: unknown): Buffer {
  const writer = spare ?? new Writer()
  spare = undefined
  const bytes = writer.encode(value)
  if (writer.capacity <= SCRATCH_KEPT_BYTES) spare = writer
  return bytes
}
