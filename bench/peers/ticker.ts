/** Fires an event on a bus of ours again and again that says when: ticker.ts SOCK_DIR EVENTS_A_SECOND. */
import { setTimeout as delay } from 'node:timers/promises'
import { SaltEventClient } from '../../src/salt/index.ts'

const [sockDir = '', rate = '100'] = process.argv.slice(2)
process.stdin.on('end', () => process.exit()).resume()
await using client = await SaltEventClient.connect({ sockDir, dialect: 'split', listen: false })
const from = performance.now()
for (let number = 0; ; number++) {
  await delay(Math.max(0, from + (number / Number(rate)) * 1000 - performance.now()))
  // Nobody waits for the last one: each is late by itself.
  void client.fire('bench/tick', { sent: Number(process.hrtime.bigint()) })
}
