import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSlow, measureSlow } from '../../bench/ipc-slow.ts'

const SECONDS = Number(process.env['SLOW_SECONDS'] ?? 600)
const RATE = 5000
const GROWTH_MB = 20

for (const policy of ['disconnect', 'drop'] as const) {
  test(`beside one who never reads others lose nothing and memory stays flat: ${policy}`, async () => {
    const result = await measureSlow(policy, { seconds: SECONDS, rate: RATE })
    console.log(describeSlow(policy, result))
    assert.deepEqual([result.arrived, result.unkept], [result.fired, 0])
    assert.ok(result.boundAt !== undefined, 'the bound was never reached')
    assert.ok(result.growthMb < GROWTH_MB)
  })
}
