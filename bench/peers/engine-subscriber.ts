/**
 * One subscriber of a Salt bus, ours or a real one's, that decodes every event: engine-subscriber.ts SOCK_DIR.
 *
 * The load is what can be counted: guests that are suspended and resumed in turn, and changes of a guest's clock, whose
 * offsets are numbers from 1 on, counted for each host. Everything else is a mark.
 * Takes lines: `mark` answers with the next mark; `count EVENTS` answers when so many of the load have come, or none for a while:
 * `{"count": …, "outOfOrder": …, "times": {guest: [nanoseconds of CLOCK_MONOTONIC]}, "last": …}`; `tally EVENTS` does so without the times.
 */
import { createInterface } from 'node:readline'
import { SaltEventClient } from '../../src/salt/index.ts'

/** How long nothing may come before the count is taken as it is. */
const SILENT_MS = 10_000
const QUEUED_MAX = 1_000_000

const [sockDir = ''] = process.argv.slice(2)
await using client = await SaltEventClient.connect({ sockDir, limit: QUEUED_MAX })
const events = client.events({ tag: 'salt/engines/libvirt_events/' })

const paused = new Map<string, boolean>()
const numbers = new Map<string, number>()
let times = new Map<string, number[]>()
let count = 0
let outOfOrder = 0
let last = 0
let isTimed = false
let wanted = Number.POSITIVE_INFINITY
let isMarkWanted = false
let timer: NodeJS.Timeout | undefined

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function now(): number {
  return Number(process.hrtime.bigint())
}

function report(): void {
  clearInterval(timer)
  wanted = Number.POSITIVE_INFINITY
  say({ count, outOfOrder, dropped: events.dropped, last, times: Object.fromEntries(times) })
  times = new Map()
  count = 0
}

function start(command: string, many: number): void {
  isTimed = command === 'count'
  wanted = many
  last = now()
  timer = setInterval(() => {
    if (now() - last > SILENT_MS * 1e6) report()
  }, 100)
  if (count >= wanted) report()
}

function took(guest: string, inOrder: boolean): void {
  if (!inOrder) outOfOrder++
  last = now()
  if (isTimed) {
    const of = times.get(guest)
    if (of) of.push(last)
    else times.set(guest, [last])
  }
  if (++count >= wanted) report()
}

function take(tag: string, data: Record<string, unknown>): void {
  const uri = String(data['uri'])
  const guest = String(Object(data['domain']).name)
  const { event } = data
  if (tag.endsWith('/domain/lifecycle') && (event === 'suspended' || event === 'resumed')) {
    const key = `${uri} ${guest}`
    const isPaused = event === 'suspended'
    const inOrder = (paused.get(key) ?? false) !== isPaused
    paused.set(key, isPaused)
    took(guest, inOrder)
  } else if (tag.endsWith('/domain/rtc_change') && Number(data['utcoffset']) > 0) {
    const number = Number(data['utcoffset'])
    const inOrder = number === (numbers.get(uri) ?? 0) + 1
    numbers.set(uri, number)
    took(guest, inOrder)
  } else if (isMarkWanted) {
    isMarkWanted = false
    say({ mark: 1 })
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command = '', many] = line.split(' ')
    if (command === 'mark') isMarkWanted = true
    else start(command, Number(many))
  })
  .on('close', () => process.exit())
say({ ready: 1 })
for await (const event of events) take(event.tag, Object(event.data))
