import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encode } from '../../src/msgpack/index.ts'
import {
  FrameBatch,
  type Framing,
  MESSAGE_BYTES_MAX,
  MessageSplitter,
  SaltError,
} from '../../src/salt/index.ts'
import { anyRecord } from '../msgpack/arbitrary.ts'
import { coded, frame } from './support.ts'

const FRAMINGS: readonly Framing[] = ['bare', 'prefixed']

/** Cuts bytes into pieces and gives what the splitter makes of them. */
function split(bytes: Buffer, sizes: readonly number[], messageBytesMax?: number): Buffer[] {
  const bodies: Buffer[] = []
  const splitter = new MessageSplitter({ onBody: (body) => bodies.push(body), messageBytesMax })
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = 1 + (sizes[turn % sizes.length] ?? 0)
    splitter.push(bytes.subarray(at, at + size))
    at += size
  }
  return bodies
}

function prefixed(map: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(map.length)
  return Buffer.concat([length, map])
}

/** Messages as Salt makes them, and in every other form that is a map with a body. */
const anyMessage = fc.record({ body: fc.uint8Array({ maxLength: 400 }), form: fc.nat(5), extra: anyRecord })

function mapOf({ body, form, extra }: { body: Uint8Array; form: number; extra: unknown }): Buffer {
  const bytes = Buffer.from(body)
  switch (form) {
    case 0:
      return encode({ head: { mid: 1, extra }, body: bytes })
    case 1:
      return encode({ body: bytes, head: {} })
    case 2:
      return encode({ head: {}, more: extra, body: bytes })
    case 3:
      return encode(
        new Map([
          [Buffer.from('head'), extra],
          [Buffer.from('body'), bytes],
        ]),
      )
    default: {
      const batch = new FrameBatch('bare')
      batch.addBody(bytes)
      return Buffer.concat(batch.take())
    }
  }
}

for (const framing of FRAMINGS) {
  test(`${framing} messages come out of any pieces as they went in`, () => {
    const sizes = fc.array(fc.oneof(fc.constant(0), fc.nat(30), fc.nat(2000)), {
      minLength: 1,
      maxLength: 10,
    })
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 12 }), sizes, (messages, cuts) => {
        const maps = messages.map(mapOf)
        const bytes = Buffer.concat(framing === 'bare' ? maps : maps.map(prefixed))
        const expected = messages.map(({ body }) => Buffer.from(body))
        assert.deepEqual(split(bytes, cuts), expected)
        assert.deepEqual(split(bytes, [bytes.length]), expected)
        assert.deepEqual(split(bytes, [0]), expected)
      }),
    )
  })

  test(`${framing}: a megabyte in single bytes takes time in proportion to it`, () => {
    const head = {
      head: { a: Array.from({ length: 1000 }, () => 'x'.repeat(500)) },
      body: Buffer.alloc(500_000, 7),
    }
    const map = encode(head)
    const bytes = framing === 'bare' ? map : prefixed(map)
    const from = performance.now()
    assert.equal(split(bytes, [0])[0]?.length, 500_000)
    const took = performance.now() - from
    assert.ok(took < 5000, `${took} ms`)
  })

  test(`${framing}: a message over the limit is refused as soon as its length is known`, () => {
    const bytes = frame(framing, 'a', { x: 'y'.repeat(1000) })
    assert.equal(split(bytes, [40], bytes.length).length, 1)
    assert.throws(() => split(bytes.subarray(0, 21), [0], 900), coded('ERR_SALT_FRAME_TOO_LONG'))
  })
}

test('a body that was packed as text is a body, as `frame_msg` packs it', () => {
  for (const size of [3, 31, 40, 300, 70_000]) {
    const text = 'x'.repeat(size)
    const map = encode({ head: {}, body: text })
    assert.deepEqual(split(Buffer.concat([map, map]), [10]).map(String), [text, text])
  }
})

test('any bytes are messages or the typed error', () => {
  const pieces = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      anyMessage.map((message) => mapOf(message)),
      anyMessage.map((message) => prefixed(mapOf(message))),
      fc.constant(Buffer.from('82a46865616480a4626f6479', 'hex')),
    ),
    { maxLength: 6 },
  )
  fc.assert(
    fc.property(pieces, fc.array(fc.nat(60), { minLength: 1 }), (arrays, sizes) => {
      try {
        split(Buffer.concat(arrays), sizes)
      } catch (error) {
        assert.ok(error instanceof SaltError, String(error))
      }
    }),
    { numRuns: 3000 },
  )
})

test('what is no message is refused at its first bytes', () => {
  for (const text of ['GET / HTTP/1.1\r\n', '\x02\x00\x00\x00', '\xc1', '\xff', '\xc4\x01a']) {
    assert.throws(() => split(Buffer.from(text, 'latin1'), [0]), coded('ERR_SALT_FRAME'), text)
  }
  assert.throws(
    () => split(Buffer.from([1, 0xff, 0xff, 0xff, 0x82]), [0], 1000),
    coded('ERR_SALT_FRAME_TOO_LONG'),
  )
  assert.throws(() => split(prefixed(encode({ head: {} })), [9]), coded('ERR_SALT_FRAME'))
  assert.throws(() => split(prefixed(encode({ head: {}, body: 5 })), [9]), coded('ERR_SALT_FRAME'))
  assert.throws(
    () => split(prefixed(Buffer.concat([encode({ body: 'x' }), Buffer.from('y')])), [9]),
    coded('ERR_SALT_FRAME'),
  )
  assert.throws(() => split(prefixed(Buffer.alloc(0)), [9]), coded('ERR_SALT_FRAME'))
  assert.throws(() => split(Buffer.alloc(5000, 0x81), [9]), coded('ERR_SALT_FRAME'))
})

test('a claimed length costs no memory before its bytes come', () => {
  const splitter = new MessageSplitter({ onBody: () => {} })
  const before = process.memoryUsage().arrayBuffers
  const claim = Buffer.alloc(5)
  claim.writeUInt32BE(MESSAGE_BYTES_MAX)
  claim[4] = 0x82
  splitter.push(claim)
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000)
  assert.equal(splitter.pendingBytes, 5)
})
