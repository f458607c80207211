import { cpus } from 'node:os'
import { join } from 'node:path'
import { encode } from '../src/msgpack/index.ts'
import { socketPaths } from '../src/salt/index.ts'
import { SALT_RELEASES, saltPython, tempDir } from '../test/support/peers.ts'
import { Part } from './part.ts'
import { perSecond, type Row } from './report.ts'

/** One measurement: a firing process, a server process and some subscribing processes, each of which decodes every event. */
export interface IpcRow {
  readonly who: string
  readonly subscribers: number
  readonly events: number
  /** From the first event fired to the last one decoded by the slowest subscriber. */
  readonly seconds: number
  /** Events a second to each subscriber. */
  readonly perSecond: number
  /** Resident memory of the server process at the end. */
  readonly serverMegabytes: number
}

/** A run of the bench: its rows, and for each number of subscribers how many times the events a second of real Salt ours are. */
export interface IpcResult {
  readonly rows: readonly IpcRow[]
  readonly ratios: Readonly<Record<string, number>>
}

const SALT = SALT_RELEASES.prefixed
/** How many times real Salt we have to be. */
const GOAL = 20

/** With its tag, stamp and number about 200 bytes, like a lifecycle event of a guest. */
const SAMPLE = {
  uri: 'qemu+tls://kvm17.example/system',
  domain: { name: 'web-frontend-03', id: 42, uuid: '5d7a5f1c-8a77-4a3e-9d35-0f1f4f6c2a11' },
  event: 'started',
  detail: 'booted',
  number: 0,
}

/** Measures real Salt and us, in turn. */
export async function measureIpc(): Promise<IpcResult> {
  const python = saltPython(SALT)
  const salt = [python, join(import.meta.dirname, 'ipc_salt.py')]
  const ours = [process.execPath, join(import.meta.dirname, 'ipc-worker.ts')]
  const rows = [
    await measure(`Salt ${SALT}`, salt, { subscribers: 1, events: 3000 }),
    await measure('virbus', ours, { subscribers: 1, events: 300_000 }),
    await measure(`Salt ${SALT}`, salt, { subscribers: 10, events: 3000 }),
    await measure('virbus', ours, { subscribers: 10, events: 100_000 }),
  ]
  const rate = (index: number): number => rows[index]?.perSecond ?? 0
  return { rows, ratios: { '1 subscriber': rate(1) / rate(0), '10 subscribers': rate(3) / rate(2) } }
}

/** The same as rows of the table of all benchmarks. */
export async function benchIpc(): Promise<Row[]> {
  const { rows } = await measureIpc()
  const [saltOne, oursOne, saltTen, oursTen] = rows.map(({ perSecond: rate }) => rate)
  return [row('1 subscriber', oursOne, saltOne), row('each of 10 subscribers', oursTen, saltTen)]
}

function row(whom: string, ours = 0, peer = 0): Row {
  const texts = { ours: perSecond(ours, 1000), peer: perSecond(peer, 1000) }
  return { what: `Salt bus: events to ${whom}, Salt ${SALT}`, ...texts, ratio: ours / peer, goal: GOAL }
}

async function measure(
  who: string,
  command: readonly string[],
  size: { subscribers: number; events: number },
): Promise<IpcRow> {
  await using stack = new AsyncDisposableStack()
  const { path: sockDir } = stack.use(tempDir())
  const start = (role: string): Part => stack.use(new Part([...command, sockDir, role, String(size.events)]))
  const server = start('server')
  await server.serves(socketPaths(sockDir, {}).pull)
  const subscribers = Array.from({ length: size.subscribers }, () => start('subscribe'))
  const firer = start('fire')
  for (const part of [...subscribers, firer]) await part.told('ready')
  firer.send(JSON.stringify(SAMPLE))
  const began = await firer.told('began')
  const ends = await Promise.all(subscribers.map((part) => part.told('ended')))
  const seconds = (Math.max(...ends) - began) / 1000
  const serverMegabytes = server.residentMegabytes()
  return { who, ...size, seconds, perSecond: size.events / seconds, serverMegabytes }
}

if (import.meta.main) {
  const { rows, ratios } = await measureIpc()
  const body =
    encode({ ...SAMPLE, _stamp: '2026-11-20T23:30:40.204668' }).length + 'bench/lifecycle\n\n'.length
  const [cpu] = cpus()
  console.log(`${cpus().length} × ${cpu?.model}, Node ${process.version}, events of ${body} bytes`)
  console.table(
    rows.map((row) => ({
      who: row.who,
      subscribers: row.subscribers,
      events: row.events,
      seconds: row.seconds.toFixed(2),
      'events/s to each': Math.round(row.perSecond),
      'server MB': Math.round(row.serverMegabytes),
    })),
  )
  for (const [name, ratio] of Object.entries(ratios))
    console.log(`${name}: ${ratio.toFixed(1)} times real Salt`)
}
