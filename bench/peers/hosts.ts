/**
 * Simulated hosts in a process of their own, each on a socket of its own: hosts.ts DIR HOSTS GUESTS.
 * Host n listens on DIR/n. Says `{"ready": 1}` and takes lines:
 *
 * - `mark`: an event on each host that is none of the load;
 * - `burst EVENTS`: so many lifecycle events of the first host, as fast as they can be written;
 * - `pace EVENTS RATE`: so many events, RATE a second over all hosts in turn: half of them lifecycle events, half numbered;
 * - `storm MS`: breaks all connections, lets nobody in for so long, and changes every guest meanwhile.
 *
 * Answers `{"began": …, "sent": …}`, or `{"lost": …, "back": …, "changes": …}`, in nanoseconds of CLOCK_MONOTONIC.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { enums } from '../../src/libvirt/index.ts'
import { Simulator } from '../../src/simulator/index.ts'

const { VIR_DOMAIN_RUNNING, VIR_DOMAIN_PAUSED } = enums.virDomainState
/** Events of a burst before the sockets have a turn. */
const BATCH = 500
/** A burst waits here for a client that reads slowly. */
const UNSENT_BYTES_MAX = 512 * 1024 * 1024
const TICK_MS = 5

const [dir = '', hostCount = '1', guests = '8'] = process.argv.slice(2)
const listening = Array.from({ length: Number(hostCount) }, (_, n) =>
  Simulator.listen({ path: join(dir, String(n)), domains: Number(guests), unsentBytesMax: UNSENT_BYTES_MAX }),
)
const hosts = await Promise.all(listening)

function now(): number {
  return Number(process.hrtime.bigint())
}

function say(line: Record<string, number>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Tells a change of the clock of a host's first guest. */
function tellClock({ hypervisor }: Simulator, offset: number): void {
  const [domain] = hypervisor.domains.list()
  if (!domain) throw new Error('a host without guests')
  const { name, uuid, id } = domain
  hypervisor.emit({ object: 'domain', kind: 'rtc_change', dom: { name, uuid, id }, offset })
}

/** Suspends a guest, or resumes it when it is. */
function toggle({ hypervisor: { domains } }: Simulator, index: number): void {
  const domain = domains.at(index)
  if (domain?.state === VIR_DOMAIN_RUNNING) domains.suspend(domain)
  else if (domain?.state === VIR_DOMAIN_PAUSED) domains.resume(domain)
  else throw new Error(`guest ${index} does not run`)
}

async function burst(events: number): Promise<void> {
  const [host] = hosts
  if (!host) throw new Error('no host')
  const began = now()
  for (let sent = 0; sent < events; ) {
    for (const end = Math.min(events, sent + BATCH); sent < end; sent++) toggle(host, 0)
    await turn()
  }
  say({ began, sent: now() })
}

async function pace(events: number, rate: number): Promise<void> {
  const told = hosts.map(() => 0)
  const began = now()
  for (let sent = 0; sent < events; ) {
    const due = Math.min(events, Math.floor(((now() - began) / 1e9) * rate))
    for (; sent < due; sent++) {
      const index = sent % hosts.length
      const number = told[index] ?? 0
      const host = hosts[index] as Simulator // index < hosts.length
      // The first number is 1; 0 is a mark.
      if (number % 2 === 0) toggle(host, (number / 2) % 2)
      else tellClock(host, (number + 1) / 2)
      told[index] = number + 1
    }
    await delay(TICK_MS)
  }
  say({ began, sent: now() })
}

/** What runs is suspended, what is suspended is resumed, what does not run is started. */
function change({ hypervisor: { domains } }: Simulator): number {
  for (const domain of domains.list()) {
    if (domain.state === VIR_DOMAIN_RUNNING) domains.suspend(domain)
    else if (domain.state === VIR_DOMAIN_PAUSED) domains.resume(domain)
    else domains.start(domain)
  }
  return domains.size
}

async function storm(awayMs: number): Promise<void> {
  const lost = now()
  for (const host of hosts) {
    host.faults.add({ kind: 'reject' }, { times: Number.POSITIVE_INFINITY })
    host.dropClients()
  }
  const changes = hosts.reduce((sum, host) => sum + change(host), 0)
  await delay(awayMs)
  for (const host of hosts) host.faults.clear()
  say({ lost, back: now(), changes })
}

const lines = createInterface({ input: process.stdin }).on('close', () => process.exit())
say({ ready: 1 })
for await (const line of lines) {
  const [command, first = 0, second = 0] = line
    .split(' ')
    .map((word, at) => (at === 0 ? word : Number(word))) as [string, number, number] // a word, then numbers
  if (command === 'mark') for (const host of hosts) tellClock(host, 0)
  else if (command === 'burst') await burst(first)
  else if (command === 'pace') await pace(first, second)
  else await storm(first)
}
