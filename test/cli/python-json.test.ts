import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseExactJson } from '../../src/cli/exact-json.ts'
import { dumps, float, Verbatim } from '../../src/cli/python-json.ts'
import { Float } from '../../src/msgpack/index.ts'
import { needs } from '../support/peers.ts'

const PYTHON = '/usr/bin/python3'
const fallback = (value: unknown): unknown => String(value)

/** What `json.dumps` of real Python prints for each line of JSON. */
function python(lines: readonly string[], call: string): string[] {
  const script = `import json,sys\nfor line in sys.stdin:\n v=json.loads(line)\n print(json.dumps(${call}))`
  const options = {
    input: lines.join('\n'),
    encoding: 'utf8',
    env: { PYTHONIOENCODING: 'utf-8' },
    maxBuffer: 1 << 28,
  } as const
  return execFileSync(PYTHON, ['-c', script], options).split('\n').slice(0, -1)
}

test("floats are printed as Python's repr prints them", needs(PYTHON), () => {
  const values = [
    ...[
      0.1,
      1e16,
      1e15,
      123456789012345680,
      1e-4,
      1e-5,
      0.00012345,
      1.5e300,
      5e-324,
      2 ** 53,
      1 / 3,
      -2.5e-10,
      1e22,
      1e21,
    ],
    ...fc.sample(fc.double({ noNaN: true, noDefaultInfinity: true }), { numRuns: 3000, seed: 5 }),
  ]
  const hex = values.map((value) => {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    return JSON.stringify(bytes.toString('hex'))
  })
  const expected = python(hex, '__import__("struct").unpack(">d",bytes.fromhex(v))[0]')
  for (const [i, value] of values.entries()) assert.equal(float(value), expected[i])
})

test('documents are printed as json.dumps prints them, on one line and pretty', needs(PYTHON), () => {
  const values = fc
    .sample(fc.jsonValue({ noUnicodeString: false }), { numRuns: 500, seed: 6 })
    .map((v) => JSON.stringify(v))
  const oneLine = python(values, 'v,ensure_ascii=False')
  for (const [i, value] of values.entries()) assert.equal(printable(value, {}), oneLine[i])
  const pretty = python(values, 'json.dumps(v,ensure_ascii=False,sort_keys=True,indent=4)')
  for (const [i, value] of values.entries())
    assert.equal(printable(value, { indent: 4, sortKeys: true }), JSON.parse(pretty[i] ?? ''))
})

/** Through our own reader, which keeps 1.0 apart from 1. A key that Python would see twice does not occur. */
function printable(json: string, layout: { indent?: number; sortKeys?: boolean }): string {
  const replaced = (value: unknown): unknown =>
    value instanceof Float ? new Verbatim(float(value.value)) : value
  return dumps(parseExactJson(json), { ...layout, fallback: (value) => replaced(value) })
}

test('integers are exact and keys that are no strings become text', () => {
  assert.equal(dumps({ a: 2n ** 63n - 1n, b: [1] }, { fallback }), '{"a": 9223372036854775807, "b": [1]}')
  const map = new Map<unknown, unknown>([
    [1, 'int'],
    [null, 'none'],
    [true, 'bool'],
    [1.5, 'float'],
  ])
  assert.equal(dumps(map, { fallback }), '{"1": "int", "null": "none", "true": "bool", "1.5": "float"}')
  assert.equal(
    dumps(Object.assign(Object.create(null), { ['__proto__']: 1 }), { fallback }),
    '{"__proto__": 1}',
  )
})

test('keys that are numbers are sorted as numbers, as Python sorts before it makes them text', () => {
  const keys = new Map<unknown, unknown>([
    [10, 'a'],
    [9, 'b'],
    [-(2n ** 63n), 'c'],
  ])
  assert.equal(
    dumps(keys, { sortKeys: true, fallback }),
    '{"-9223372036854775808": "c", "9": "b", "10": "a"}',
  )
  assert.equal(dumps(keys.set('1', 'd'), { sortKeys: true, fallback }).indexOf('"1": "d"'), 30)
})

test('numbers on the command line keep their kind', () => {
  const parsed = parseExactJson('{"big": 9223372036854775807, "small": 7, "whole": 1.0, "exponent": 1e3}')
  assert.deepEqual(parsed, {
    big: 9223372036854775807n,
    small: 7,
    whole: new Float(1),
    exponent: new Float(1000),
  })
  assert.throws(() => parseExactJson('{'), SyntaxError)
})
