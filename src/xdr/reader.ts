import { XdrError } from './errors.ts'
import type { XdrType } from './type.ts'

/**
 * Reads XDR values (RFC 4506) in order from one message body.
 * Values do not refer to the given buffer, which may be used again.
 *
 * Every method throws {@link XdrError}: `ERR_XDR_SHORT` when the body ends inside the value,
 * `ERR_XDR_LIMIT` when a length is over the given limit; the length is checked before anything is allocated.
 */
export class XdrReader {
  readonly #bytes: Buffer
  readonly #end: number
  #offset: number

  /** Reads `bytes` from `start` (default 0) to `end` (default: all), offsets in bytes. */
  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.#bytes = bytes
    this.#offset = start
    this.#end = end
  }

  /** Signed 32-bit integer, RFC 4506 §4.1. */
  int(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  /** Unsigned 32-bit integer, RFC 4506 §4.2. */
  uint(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  /** Boolean, RFC 4506 §4.4. @throws {XdrError} `ERR_XDR_VALUE` when it is neither 0 nor 1. */
  bool(): boolean {
    const value = this.uint()
    if (value > 1) throw new XdrError('ERR_XDR_VALUE', `boolean of value ${value}`)
    return value === 1
  }

  /** Signed 64-bit integer, RFC 4506 §4.5; a bigint where a number would be rounded. */
  hyper(): number | bigint {
    const at = this.#take(8)
    const high = this.#bytes.readInt32BE(at)
    // 2**21 * 2**32 = 2**53: inside it every integer is exact.
    if (high >= -0x200000 && high < 0x200000) {
      const value = high * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4)
      if (Number.isSafeInteger(value)) return value
    }
    return this.#bytes.readBigInt64BE(at)
  }

  /** Unsigned 64-bit integer, RFC 4506 §4.5; a bigint where a number would be rounded. */
  unsignedHyper(): number | bigint {
    const at = this.#take(8)
    const high = this.#bytes.readUInt32BE(at)
    if (high < 0x200000) return high * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4)
    return this.#bytes.readBigUInt64BE(at)
  }

  /** IEEE 754 double, RFC 4506 §4.7. */
  double(): number {
    return this.#bytes.readDoubleBE(this.#take(8))
  }

  /** Fixed-length opaque of `length` bytes, RFC 4506 §4.9; a copy. */
  fixedOpaque(length: number): Buffer {
    const at = this.#take(length)
    this.#pad(length)
    return Buffer.from(this.#bytes.subarray(at, at + length))
  }

  /** Variable-length opaque of at most `bytesMax` bytes, RFC 4506 §4.10; a copy. */
  opaque(bytesMax: number): Buffer {
    return this.fixedOpaque(this.#length(bytesMax))
  }

  /** String of at most `bytesMax` bytes, RFC 4506 §4.11, read as UTF-8; bytes that are not become U+FFFD. */
  string(bytesMax: number): string {
    const length = this.#length(bytesMax)
    const at = this.#take(length)
    this.#pad(length)
    return this.#bytes.toString('utf8', at, at + length)
  }

  /** 16 opaque bytes as a UUID in its canonical text form, lower case (RFC 9562 §4). */
  uuid(): string {
    const at = this.#take(16)
    const hex = this.#bytes.toString('hex', at, at + 16)
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  /** Variable-length array of `char`: one 4-byte unit for each byte (RFC 4506 §4.1 has no smaller integer). */
  chars(countMax: number): Buffer {
    const count = this.#length(countMax)
    this.#require(count * 4)
    const bytes = Buffer.allocUnsafe(count)
    for (let i = 0; i < count; i++) bytes[i] = this.int() & 0xff
    return bytes
  }

  /** Fixed-length array of `char`: `count` 4-byte units. */
  fixedChars(count: number): Buffer {
    this.#require(count * 4)
    const bytes = Buffer.allocUnsafe(count)
    for (let i = 0; i < count; i++) bytes[i] = this.int() & 0xff
    return bytes
  }

  /** Optional value, RFC 4506 §4.19. */
  optional<T>(type: XdrType<T>): T | null {
    return this.bool() ? type.decode(this) : null
  }

  /** Variable-length array of at most `countMax` elements, RFC 4506 §4.13. */
  array<T>(type: XdrType<T>, countMax: number): T[] {
    const count = this.#length(countMax)
    // No element of any array in libvirt's protocol is shorter than one unit.
    this.#require(count * 4)
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(type.decode(this))
    return items
  }

  /** Asserts that the whole body was read: bytes left over mean that the layout is wrong. */
  end(): void {
    const left = this.#end - this.#offset
    if (left > 0) throw new XdrError('ERR_XDR_TRAILING', `${left} bytes after the last value`)
  }

  #length(max: number): number {
    const length = this.uint()
    if (length > max) throw new XdrError('ERR_XDR_LIMIT', `length ${length}, limit ${max}`)
    return length
  }

  /** Skips the pad to a multiple of 4; unread, because no value depends on it (RFC 4506 §4.11 says zero). */
  #pad(length: number): void {
    const rest = length & 3
    if (rest !== 0) this.#take(4 - rest)
  }

  #require(length: number): void {
    if (this.#offset + length > this.#end)
      throw new XdrError(
        'ERR_XDR_SHORT',
        `need ${length} bytes at ${this.#offset}, have ${this.#end - this.#offset}`,
      )
  }

  #take(length: number): number {
    this.#require(length)
    const at = this.#offset
    this.#offset += length
    return at
  }
}
