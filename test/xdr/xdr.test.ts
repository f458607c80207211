import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { XdrError, XdrReader, XdrWriter } from '../../src/xdr/index.ts'

// Body of a real reply to REMOTE_PROC_CONNECT_GET_HOSTNAME, recorded from libvirtd 9.0.0.
const HOSTNAME_REPLY = Buffer.from('00000002766d0000', 'hex')
const STRING_MAX = 1024

function written(write: (writer: XdrWriter) => void): Buffer {
  const writer = new XdrWriter()
  write(writer)
  return writer.bytes()
}

test('reads and writes the host name that libvirtd sent', () => {
  const reader = new XdrReader(HOSTNAME_REPLY)
  assert.equal(reader.string(255), 'vm')
  reader.end()
  assert.deepEqual(
    written((w) => w.string('vm', 255)),
    HOSTNAME_REPLY,
  )
})

test('a length over the limit is refused before it is read', () => {
  assert.throws(() => new XdrReader(Buffer.from('ffffffff', 'hex')).string(255), { code: 'ERR_XDR_LIMIT' })
  assert.throws(() => new XdrReader(Buffer.from('00000100', 'hex')).opaque(255), { code: 'ERR_XDR_LIMIT' })
})

test('an array that promises more elements than there are bytes is refused before it is built', () => {
  const type = { decode: (r: XdrReader) => r.int(), encode: (w: XdrWriter, v: number) => w.int(v) }
  assert.throws(() => new XdrReader(Buffer.from('7fffffff', 'hex')).array(type, 0x7fffffff), {
    code: 'ERR_XDR_SHORT',
  })
})

test('bytes after the last value are an error', () => {
  assert.throws(() => new XdrReader(Buffer.alloc(4)).end(), { code: 'ERR_XDR_TRAILING' })
})

test('a boolean other than 0 and 1 is an error', () => {
  assert.throws(() => new XdrReader(Buffer.from('00000002', 'hex')).bool(), { code: 'ERR_XDR_VALUE' })
})

test('64-bit integers are numbers when exact and bigints otherwise', () => {
  for (const value of [
    0,
    1,
    -1,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
    2n ** 53n,
    -(2n ** 53n),
    2n ** 63n - 1n,
    -(2n ** 63n),
  ]) {
    const bytes = written((w) => w.hyper(value))
    assert.strictEqual(new XdrReader(bytes).hyper(), value)
  }
  for (const value of [0, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 1n]) {
    assert.strictEqual(new XdrReader(written((w) => w.unsignedHyper(value))).unsignedHyper(), value)
  }
})

test('integers outside their width are refused', () => {
  for (const write of [
    (w: XdrWriter) => w.int(2 ** 31),
    (w: XdrWriter) => w.uint(-1),
    (w: XdrWriter) => w.uint(1.5),
    (w: XdrWriter) => w.hyper(2n ** 63n),
    (w: XdrWriter) => w.unsignedHyper(-1),
    (w: XdrWriter) => w.hyper(2 ** 60),
    (w: XdrWriter) => w.uuid('not a uuid'),
  ])
    assert.throws(() => written(write), { code: 'ERR_XDR_VALUE' })
})

test('whatever is written is read back', () => {
  const opaque = fc.uint8Array({ maxLength: 40 })
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.integer(),
      opaque,
      fc.uuid(),
      fc.double(),
      (s, i, o, u, d) => {
        const text = s.toWellFormed()
        const reader = new XdrReader(
          written((w) => {
            w.string(text, STRING_MAX)
            w.int(i)
            w.opaque(o, STRING_MAX)
            w.chars(o, STRING_MAX)
            w.uuid(u)
            w.double(d)
          }),
        )
        assert.equal(reader.string(STRING_MAX), text)
        assert.equal(reader.int(), i)
        assert.deepEqual(reader.opaque(STRING_MAX), Buffer.from(o))
        assert.deepEqual(reader.chars(STRING_MAX), Buffer.from(o))
        assert.equal(reader.uuid(), u.toLowerCase())
        assert.equal(reader.double(), d)
        reader.end()
      },
    ),
  )
})

test('a body cut at any offset is a typed error', () => {
  const whole = written((w) => {
    w.string('hello', 10)
    w.hyper(1)
    w.uuid('6695eb01-f6a4-8304-79aa-97f2502e193f')
  })
  for (let length = 0; length < whole.length; length++) {
    const reader = new XdrReader(whole.subarray(0, length))
    assert.throws(
      () => {
        reader.string(10)
        reader.hyper()
        reader.uuid()
      },
      (error: unknown) => error instanceof XdrError && error.code === 'ERR_XDR_SHORT',
    )
  }
})
