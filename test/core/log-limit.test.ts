import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogLimit } from '../../src/core/log-limit.ts'
import { silentLogger } from '../../src/core/logger.ts'

test('a warning is written once in a while, each kind for itself, and what was left out is counted', async () => {
  const written: unknown[] = []
  const log = {
    ...silentLogger,
    warn: (fields: Record<string, unknown>, message: string) => written.push([message, fields]),
  }
  const limited = new LogLimit(log, { everyMs: 50 })
  for (let n = 0; n < 5; n++) limited.warn({ n }, 'cut')
  limited.warn({ n: 5 }, 'refused')
  assert.deepEqual(written.splice(0), [
    ['cut', { n: 0 }],
    ['refused', { n: 5 }],
  ])
  while (written.length === 0) {
    await new Promise(setImmediate)
    limited.warn({ n: 6 }, 'refused')
  }
  const [[message, fields]] = written as [[string, { leftOut: number }]] // as the logger above adds them
  assert.equal(message, 'refused')
  assert.ok(fields.leftOut > 0)
})
