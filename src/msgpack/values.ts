/** Arrays and maps inside each other, at most; Salt's data is a few levels deep, and Python's own decoder stops at 512. */
export const DEPTH_MAX = 100

/** Array elements and map entries of one value together, at most; each costs memory far above its one byte on the wire. */
export const ITEMS_MAX = 4_194_304

/**
 * A number that is a double on the wire even where it is whole: `new Float(1)` is 1.0, the number `1` is an integer.
 * Numbers that are not whole, not safe, infinite, NaN or −0 are doubles without it.
 */
export class Float {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  valueOf(): number {
    return this.value
  }

  /** JSON that keeps the difference cannot come from here: `JSON.stringify` prints 1. A printer that needs 1.0 looks for the class. */
  toJSON(): number {
    return this.value
  }
}

/** A string of the wire whose bytes are not UTF-8, kept as they came; encodes to the same bytes. */
export class RawString {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** The text with U+FFFD in the place of what is not UTF-8. */
  toString(): string {
    return this.bytes.toString('utf8')
  }
}

/** An extension value: an application's type (−128 … 127) and its bytes. */
export class Ext {
  readonly type: number
  readonly data: Buffer

  constructor(type: number, data: Buffer) {
    this.type = type
    this.data = data
  }
}

/**
 * What decoding gives.
 *
 * Integers are `number` when safe, else `bigint`, never rounded. A map whose keys are all strings is a plain object, on which
 * every key, `__proto__` too, is an own property; any other map is a `Map`. Of equal keys the last one counts, as in Python.
 * A plain object lists keys that look like array indexes first, which is JavaScript's order and not the wire's.
 */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | Float
  | RawString
  | Ext
  | MsgpackValue[]
  | Map<MsgpackValue, MsgpackValue>
  | { [key: string]: MsgpackValue }
