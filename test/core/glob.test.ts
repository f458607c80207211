import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { globMatcher } from '../../src/core/glob.ts'
import { needs } from '../support/peers.ts'

const PYTHON = '/usr/bin/python3'

test("globs match exactly as Python's fnmatch", needs(PYTHON), () => {
  const letter = fc.constantFrom(...'ab/*?[]!-c')
  const patterns = fc
    .sample(fc.array(letter, { maxLength: 8 }), { numRuns: 4000, seed: 1 })
    .map((p) => p.join(''))
  const tags = fc
    .sample(fc.array(fc.constantFrom(...'ab/*[]!-c'), { maxLength: 8 }), { numRuns: 4000, seed: 2 })
    .map((t) => t.join(''))
  const script =
    'import fnmatch,json,sys\nfor line in sys.stdin:\n p,t=json.loads(line)\n print(int(fnmatch.fnmatchcase(t,p)))'
  const input = patterns.map((pattern, i) => JSON.stringify([pattern, tags[i]])).join('\n')
  const answers = execFileSync(PYTHON, ['-c', script], {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  })
    .trim()
    .split('\n')
  assert.equal(answers.length, patterns.length)
  for (const [i, pattern] of patterns.entries())
    assert.equal(globMatcher(pattern)(tags[i] ?? ''), answers[i] === '1', `${pattern} on ${tags[i]}`)
})

test('a hostile glob costs no exponential time', () => {
  assert.equal(globMatcher(`${'*a'.repeat(50)}b`)('a'.repeat(5000)), false)
})
