import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decode, encode } from '../../src/msgpack/index.ts'
import { needs, SALT_RELEASES, saltPython } from '../support/peers.ts'
import { pythonFilter, sorted, typed } from '../support/python.ts'
import { anyValue } from './arbitrary.ts'

const python = saltPython(SALT_RELEASES.prefixed)

test("Python's msgpack makes the same bytes and reads ours", needs(python), async () => {
  const values = fc.sample(anyValue, 1000)
  const packed = await pythonFilter(
    python,
    'msgpack_peer.py',
    values.map((value) => `pack ${JSON.stringify(typed(value))}`),
  )
  const unpacked = await pythonFilter(
    python,
    'msgpack_peer.py',
    values.map((value) => `unpack ${encode(value).toString('hex')}`),
  )
  assert.equal(packed.length, values.length)
  assert.equal(unpacked.length, values.length)
  for (const [index, value] of values.entries()) {
    assert.equal(packed[index], encode(value).toString('hex'))
    assert.deepEqual(sorted(JSON.parse(unpacked[index] ?? '')), sorted(typed(value)))
    const theirs = decode(Buffer.from(packed[index] ?? '', 'hex'), { floats: 'exact' })
    assert.deepEqual(sorted(typed(theirs)), sorted(typed(value)))
  }
})
