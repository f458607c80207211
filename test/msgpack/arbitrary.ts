import fc from 'fast-check'
import { Ext, Float, type MsgpackValue, RawString } from '../../src/msgpack/index.ts'

const integer = fc.oneof(
  fc.integer({ min: -70, max: 300 }),
  fc.maxSafeInteger(),
  fc.constantFrom(127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.constantFrom(
    -32,
    -33,
    -128,
    -129,
    -32_768,
    -32_769,
    -(2 ** 31),
    -(2 ** 31) - 1,
    Number.MIN_SAFE_INTEGER,
  ),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
)
const double = fc.double().map((value) => (Number.isInteger(value) ? new Float(value) : value))
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '10',
    '2',
    'x'.repeat(31),
    'x'.repeat(32),
    'é'.repeat(16),
    'x'.repeat(300),
  ),
)
const bytes = fc.oneof(fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)))
const rawString = fc
  .uint8Array({ maxLength: 40 })
  .map((array) => new RawString(Buffer.from([0xff, ...array])))
const ext = fc
  // Python's library has no type below 0 but for its own timestamps.
  .tuple(fc.integer({ min: 0, max: 127 }), fc.uint8Array({ maxLength: 20 }))
  .map(([type, data]) => new Ext(type, Buffer.from(data)))
const key = fc.oneof(text, integer, fc.constant(null))

/** Any value of the wire, in the form in which decoding with `floats: 'exact'` gives it. */
export const anyValue: fc.Arbitrary<MsgpackValue> = fc.letrec<{ value: MsgpackValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      {
        arbitrary: fc.oneof(fc.constantFrom(null, true, false), integer, double, text, bytes, rawString, ext),
        weight: 100,
      },
      { arbitrary: fc.constantFrom('x'.repeat(66_000), Buffer.alloc(66_000, 7)), weight: 1 },
    ),
    fc.array(tie('value'), { maxLength: 8 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 8 }).map(record),
    fc
      .array(fc.tuple(key, tie('value')), { maxLength: 5 })
      .map((entries): MsgpackValue => new Map([[1, null], ...entries])),
  ),
})).value

/** Any map with text as keys. */
export const anyRecord: fc.Arbitrary<MsgpackValue> = fc
  .array(fc.tuple(text, anyValue), { maxLength: 8 })
  .map(record)

function record(entries: [string, MsgpackValue][]): MsgpackValue {
  const result: { [key: string]: MsgpackValue } = {}
  for (const [name, value] of entries) {
    Object.defineProperty(result, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return result
}
