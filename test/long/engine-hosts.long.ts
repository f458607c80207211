import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureHosts } from '../../bench/engine-hosts.ts'

const SECONDS = Number(process.env['HOSTS_SECONDS'] ?? 600)

test('200 hosts with 10,000 events a second for ten minutes: none lost, memory flat', async () => {
  const { made, arrived, outOfOrder, dropped, residentMb, rate, cpuShare } = await measureHosts(SECONDS)
  console.log(
    `engine hosts: ${arrived} of ${made} events, ${outOfOrder} out of order, ${dropped} dropped, ${Math.round(rate)}/s; ` +
      `${residentMb.map((mb) => mb.toFixed(0)).join(', ')} MB; ${(cpuShare * 100).toFixed(0)} % of a core`,
  )
  assert.deepEqual([arrived, outOfOrder, dropped], [made, 0, 0])
  assert.ok(Math.max(...residentMb) < 400)
  const [, settled = 0] = residentMb
  assert.ok((residentMb.at(-1) ?? 0) - settled < 24)
})
