/**
 * A subscriber of a bus that watches hosts come back: resync-subscriber.ts SOCK_DIR.
 *
 * Takes lines `storm HOSTS`, and answers once so many hosts have told of their resync:
 * `{"hosts": …, "resynced": …, "last": …, "ticks": [[sent, latency]]}`, times in nanoseconds of CLOCK_MONOTONIC.
 */
import { createInterface } from 'node:readline'
import { SaltEventClient } from '../../src/salt/index.ts'

const QUEUED_MAX = 1_000_000

const [sockDir = ''] = process.argv.slice(2)
await using client = await SaltEventClient.connect({ sockDir, limit: QUEUED_MAX })
const events = client.events()
let wanted = 0
let hosts = 0
let resynced = 0
let ticks: [number, number][] = []

function now(): number {
  return Number(process.hrtime.bigint())
}

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function start(many: number): void {
  wanted = many
  hosts = 0
  resynced = 0
  ticks = []
}

createInterface({ input: process.stdin })
  .on('line', (line) => start(Number(line.split(' ')[1])))
  .on('close', () => process.exit())
say({ ready: 1 })
for await (const { tag, data } of events) {
  const { resync, sent } = Object(data)
  if (tag === 'bench/tick') ticks.push([sent, now() - sent])
  else if (resync === true) resynced++
  else if (tag.endsWith('/connection/resync') && ++hosts === wanted)
    say({ hosts, resynced, last: now(), ticks, dropped: events.dropped })
}
