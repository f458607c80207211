import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  DEPTH_MAX,
  decode,
  decodeAt,
  Ext,
  encode,
  Float,
  INCOMPLETE,
  Measurer,
  MsgpackError,
  measure,
  RawString,
} from '../../src/msgpack/index.ts'
import { anyValue } from './arbitrary.ts'

function hex(value: unknown): string {
  return encode(value).toString('hex')
}

function coded(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MsgpackError && error.code === code
}

test('a value comes back from its bytes as it was', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      assert.deepEqual(decode(encode(value), { floats: 'exact' }), value)
    }),
  )
})

test('measuring finds the same end as decoding, at any offset', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(5), (value, offset) => {
      const bytes = encode(value)
      const padded = Buffer.concat([Buffer.alloc(offset, 0xc1), bytes, Buffer.alloc(3, 0xc1)])
      assert.equal(measure(padded, offset), offset + bytes.length)
      assert.equal(decodeAt(padded, offset).end, offset + bytes.length)
      assert.equal(new Measurer().resume(bytes), bytes.length)
    }),
  )
})

test('bytes cut at any offset are short to decode and incomplete to measure', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(), (value, at) => {
      const whole = encode(value)
      const bytes = whole.subarray(0, at % whole.length)
      assert.throws(() => decode(bytes), coded('ERR_MSGPACK_SHORT'))
      assert.equal(measure(bytes, 0), INCOMPLETE)
      assert.equal(new Measurer().resume(bytes), INCOMPLETE)
    }),
    { numRuns: 500 },
  )
})

test('a value that arrives in any pieces is measured as one that came whole', () => {
  fc.assert(
    fc.property(anyValue, fc.array(fc.nat(50), { minLength: 1 }), (value, sizes) => {
      const bytes = Buffer.concat([encode(value), Buffer.from('tail')])
      const measurer = new Measurer()
      let end = INCOMPLETE
      for (let at = 0, turn = 0; end === INCOMPLETE; turn++) {
        at = Math.min(bytes.length, at + 1 + (sizes[turn % sizes.length] ?? 0) * 20)
        end = measurer.resume(bytes.subarray(0, at))
      }
      assert.equal(end, bytes.length - 4)
    }),
  )
})

test('any bytes decode or throw the typed error, and measuring agrees', () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.array(fc.constantFrom(0x81, 0x92, 0xdc, 0xdd, 0xdf, 0xc1, 0xc6, 0xc9, 0xd9, 0xa1, 0, 1, 0xff), {
      maxLength: 40,
    }),
  )
  fc.assert(
    fc.property(anyBytes, (array) => {
      const bytes = Buffer.from(array)
      const measured = outcome(() => measure(bytes, 0))
      const decoded = outcome(() => decodeAt(bytes, 0).end)
      if (decoded === 'ERR_MSGPACK_SHORT') {
        // Decoding looks at lengths before contents, so that it may stop before a fault that measuring finds.
        assert.ok(measured === INCOMPLETE || typeof measured === 'string')
      } else assert.equal(measured, decoded)
      assert.equal(
        outcome(() => new Measurer().resume(bytes)),
        measured,
      )
    }),
    { numRuns: 5000 },
  )
})

function outcome(action: () => number): number | string {
  try {
    return action()
  } catch (error) {
    if (error instanceof MsgpackError) return error.code
    throw error
  }
}

test('integers take the smallest form and stay exact', () => {
  assert.equal(hex(127), '7f')
  assert.equal(hex(128), 'cc80')
  assert.equal(hex(65_536), 'ce00010000')
  assert.equal(hex(2 ** 40), 'cf0000010000000000')
  assert.equal(hex(-33), 'd0df')
  assert.equal(hex(-(2 ** 40)), 'd3ffffff0000000000')
  assert.equal(hex(5n), '05')
  assert.equal(hex(2n ** 63n - 1n), 'cf7fffffffffffffff')
  assert.equal(decode(Buffer.from('cfffffffffffffffff', 'hex')), 2n ** 64n - 1n)
  assert.equal(decode(Buffer.from('cf0000000000000005', 'hex')), 5)
  assert.equal(decode(Buffer.from('d3ffffffffffffffff', 'hex')), -1)
  assert.throws(() => encode(2n ** 64n), coded('ERR_MSGPACK_RANGE'))
  assert.throws(() => encode(-(2n ** 63n) - 1n), coded('ERR_MSGPACK_RANGE'))
})

test('whole doubles are told from integers where it is asked for', () => {
  const one = Buffer.from('cb3ff0000000000000', 'hex')
  assert.equal(decode(one), 1)
  assert.deepEqual(decode(one, { floats: 'exact' }), new Float(1))
  assert.deepEqual(encode(new Float(1)), one)
  assert.equal(hex(-0), 'cb8000000000000000')
  assert.equal(hex(2 ** 60), 'cb43b0000000000000')
  assert.equal(decode(Buffer.from('ca3f800000', 'hex')), 1)
})

test('text and bytes stay apart, and text that is no UTF-8 keeps its bytes', () => {
  assert.equal(hex(Buffer.from('ab')), 'c4026162')
  assert.equal(hex('ab'), 'a26162')
  const raw = decode(Buffer.from('a2ff61', 'hex'))
  assert.ok(raw instanceof RawString)
  assert.equal(raw.toString(), '\ufffda')
  assert.equal(hex(raw), 'a2ff61')
  assert.equal(decode(encode('\ufffd')), '\ufffd')
  assert.throws(() => encode('\ud800'), coded('ERR_MSGPACK_TYPE'))
})

test('every key of a map with text keys is an own property', () => {
  const value = decode(Buffer.from('82a95f5f70726f746f5f5f81a178c3a16101', 'hex'))
  assert.ok(value !== null && typeof value === 'object')
  assert.deepEqual(Object.keys(value), ['__proto__', 'a'])
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.equal('x' in value, false)
  assert.equal(hex(value), '82a95f5f70726f746f5f5f81a178c3a16101')
})

test('maps keep the order of the wire where that is asked for', () => {
  const map = new Map<string, unknown>([
    ['b', 1],
    [
      '10',
      new Map([
        ['2', 2],
        ['1', 1],
      ]),
    ],
    ['9', null],
  ])
  const bytes = encode(map)
  assert.deepEqual(Object.keys(Object(decode(bytes))), ['9', '10', 'b'])
  assert.deepEqual(decode(bytes, { maps: 'ordered' }), map)
  assert.ok(encode(decode(bytes, { maps: 'ordered' })).equals(bytes))
  assert.deepEqual(decode(encode({}), { maps: 'ordered' }), new Map())
})

test('a map with another key is a Map, also when that key comes late', () => {
  assert.deepEqual(
    decode(Buffer.from('83a16101050207c0', 'hex')),
    new Map<unknown, unknown>([
      ['a', 1],
      [5, 2],
      [7, null],
    ]),
  )
})

test('extensions keep type and bytes in all widths', () => {
  for (const length of [0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65_536]) {
    const ext = new Ext(-5, Buffer.alloc(length, 1))
    assert.deepEqual(decode(encode(ext)), ext)
  }
  assert.throws(() => encode(new Ext(200, Buffer.alloc(1))), coded('ERR_MSGPACK_RANGE'))
})

test('what has no form is refused', () => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  assert.throws(() => encode(undefined), coded('ERR_MSGPACK_TYPE'))
  assert.throws(() => encode({ a: undefined }), coded('ERR_MSGPACK_TYPE'))
  assert.throws(() => encode(() => 1), coded('ERR_MSGPACK_TYPE'))
  assert.throws(() => encode(new Date()), coded('ERR_MSGPACK_TYPE'))
  assert.throws(() => encode(cycle), coded('ERR_MSGPACK_DEPTH'))
})

test('a getter that encodes does not disturb the value around it', () => {
  const value = {
    before: 'x'.repeat(100),
    get inner(): string {
      return encode(['y'.repeat(200)])
        .toString('hex')
        .slice(0, 4)
    },
    after: 1,
  }
  assert.deepEqual(decode(encode(value)), { before: 'x'.repeat(100), inner: '91d9', after: 1 })
})

test('hostile headers fail before anything is allocated', () => {
  for (const header of [
    'ddffffffff',
    'dfffffffff',
    'c6ffffffff',
    'dbffffffff',
    'c9ffffffff01',
    'dcffff',
    'deffff',
  ]) {
    assert.throws(() => decode(Buffer.from(header, 'hex')), coded('ERR_MSGPACK_SHORT'))
    assert.equal(measure(Buffer.from(header, 'hex'), 0), INCOMPLETE)
    assert.throws(
      () => measure(Buffer.from(header, 'hex'), 0, { bytesMax: 1000 }),
      coded('ERR_MSGPACK_LIMIT'),
    )
  }
  assert.throws(() => decode(Buffer.alloc(100_000, 0x91)), coded('ERR_MSGPACK_DEPTH'))
  assert.throws(() => measure(Buffer.alloc(100_000, 0x91), 0), coded('ERR_MSGPACK_DEPTH'))
  assert.throws(() => decode(Buffer.from('c1', 'hex')), coded('ERR_MSGPACK_TYPE'))
  assert.throws(() => decode(Buffer.from('0000', 'hex')), coded('ERR_MSGPACK_TRAILING'))
  assert.throws(() => decode(Buffer.alloc(0)), coded('ERR_MSGPACK_SHORT'))
})

test('depth and number of elements are limited', () => {
  const deep = Buffer.concat([Buffer.alloc(DEPTH_MAX, 0x91), Buffer.from([0xc0])])
  assert.equal(measure(deep, 0), deep.length)
  assert.equal(encode(decode(deep)).length, deep.length)
  assert.throws(() => decode(Buffer.concat([Buffer.from([0x91]), deep])), coded('ERR_MSGPACK_DEPTH'))
  assert.throws(() => decode(encode([[1, 2], [3]]), { itemsMax: 4 }), coded('ERR_MSGPACK_LIMIT'))
  assert.deepEqual(decode(encode([[1, 2], [3]]), { itemsMax: 5 }), [[1, 2], [3]])
})

test('maps inside maps that turn into a Map late cost no more than their bytes', () => {
  // Each level has a text key first and a number second: decoding a level again would double the work at each.
  let bytes = Buffer.from('c0', 'hex')
  for (let level = 0; level < 90; level++)
    bytes = Buffer.concat([Buffer.from('82a161', 'hex'), bytes, Buffer.from('01c0', 'hex')])
  assert.ok(decode(bytes) instanceof Map)
})
