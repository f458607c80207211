import { XdrError } from './errors.ts'
import type { XdrType } from './type.ts'

const INITIAL_BYTES = 512
const UUID_TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * Writes XDR values (RFC 4506) one after the other into a growing buffer.
 *
 * Methods that take a limit throw {@link XdrError} `ERR_XDR_LIMIT` when the value is longer;
 * integers outside their width are `ERR_XDR_VALUE`.
 */
export class XdrWriter {
  #bytes: Buffer
  #length = 0

  constructor() {
    this.#bytes = Buffer.allocUnsafe(INITIAL_BYTES)
  }

  /** What was written so far; a view that later writes may leave behind. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** Overwrites 4 bytes at `offset`, for a length that is known only after its value. */
  patchUint(offset: number, value: number): void {
    this.#bytes.writeUInt32BE(value, offset)
  }

  int(value: number): void {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0x7fff_ffff)
      throw new XdrError('ERR_XDR_VALUE', `${value} is not a signed 32-bit integer`)
    const at = this.#reserve(4)
    this.#bytes.writeInt32BE(value, at)
  }

  uint(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new XdrError('ERR_XDR_VALUE', `${value} is not an unsigned 32-bit integer`)
    const at = this.#reserve(4)
    this.#bytes.writeUInt32BE(value, at)
  }

  bool(value: boolean): void {
    this.uint(value ? 1 : 0)
  }

  hyper(value: number | bigint): void {
    const exact = toBigInt(value)
    if (BigInt.asIntN(64, exact) !== exact)
      throw new XdrError('ERR_XDR_VALUE', `${value} is not a signed 64-bit integer`)
    const at = this.#reserve(8)
    this.#bytes.writeBigInt64BE(exact, at)
  }

  unsignedHyper(value: number | bigint): void {
    const exact = toBigInt(value)
    if (BigInt.asUintN(64, exact) !== exact)
      throw new XdrError('ERR_XDR_VALUE', `${value} is not an unsigned 64-bit integer`)
    const at = this.#reserve(8)
    this.#bytes.writeBigUInt64BE(exact, at)
  }

  double(value: number): void {
    const at = this.#reserve(8)
    this.#bytes.writeDoubleBE(value, at)
  }

  fixedOpaque(value: Uint8Array, length: number): void {
    if (value.length !== length)
      throw new XdrError('ERR_XDR_LIMIT', `opaque of ${value.length} bytes, not ${length}`)
    this.raw(value)
    this.#pad(length)
  }

  opaque(value: Uint8Array, bytesMax: number): void {
    this.#count(value.length, bytesMax)
    this.raw(value)
    this.#pad(value.length)
  }

  string(value: string, bytesMax: number): void {
    const length = Buffer.byteLength(value, 'utf8')
    this.#count(length, bytesMax)
    const at = this.#reserve(length)
    this.#bytes.write(value, at, 'utf8')
    this.#pad(length)
  }

  uuid(value: string): void {
    if (!UUID_TEXT.test(value)) throw new XdrError('ERR_XDR_VALUE', `'${value}' is not a UUID`)
    const at = this.#reserve(16)
    this.#bytes.write(value.replaceAll('-', ''), at, 'hex')
  }

  chars(value: Uint8Array, countMax: number): void {
    this.#count(value.length, countMax)
    for (const byte of value) this.uint(byte)
  }

  fixedChars(value: Uint8Array, count: number): void {
    if (value.length !== count) throw new XdrError('ERR_XDR_LIMIT', `${value.length} chars, not ${count}`)
    for (const byte of value) this.uint(byte)
  }

  optional<T>(type: XdrType<T>, value: T | null): void {
    this.bool(value !== null)
    if (value !== null) type.encode(this, value)
  }

  array<T>(type: XdrType<T>, value: readonly T[], countMax: number): void {
    this.#count(value.length, countMax)
    for (const item of value) type.encode(this, item)
  }

  /** Bytes as they are, without length or pad. */
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length)
    this.#bytes.set(value, at)
  }

  #count(length: number, max: number): void {
    if (length > max) throw new XdrError('ERR_XDR_LIMIT', `length ${length}, limit ${max}`)
    this.uint(length)
  }

  #pad(length: number): void {
    const rest = length & 3
    if (rest === 0) return
    const at = this.#reserve(4 - rest)
    this.#bytes.fill(0, at, this.#length)
  }

  #reserve(length: number): number {
    const at = this.#length
    const end = at + length
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#length = end
    return at
  }
}

function toBigInt(value: number | bigint): bigint {
  if (typeof value === 'bigint') return value
  if (!Number.isSafeInteger(value)) throw new XdrError('ERR_XDR_VALUE', `${value} is not an exact integer`)
  return BigInt(value)
}
