/** 200-byte events through the sockets of a real `virbus up`, journal on, beside real Salt publishers, with our clients and with theirs. */
import { SALT_RELEASES } from '../test/support/peers.ts'
import { dialectOf, type IpcResult, type IpcRun, measure, NOTHING, type Who } from './ipc-run.ts'
import { percentile, perSecond, printRows, type Row } from './report.ts'

const SALT = SALT_RELEASES.prefixed
const RATE = 1000
/** What Salt is able to do for a while. */
const SALT_RATE = 90
const GOAL = {
  /** How many times real Salt, by the number of subscribers. */
  ratio: { 1: 40, 10: 20, 100: 10 },
  perSecond: { 1: 100_000, 10: 30_000, 100: 3000 },
  p99Ms: 3,
  clients: 3,
}
/** How near ours comes to sockets with a mere pipe between them, when Salt's own clients are what takes the time. */
const PYTHON_BOUND = 0.75

const CLIENT_EVENTS = 5000
const CLIENT_ROUNDS = 2

type Subscribers = keyof typeof GOAL.ratio

/**
 * Ours and Salt's, each with its own clients. A hundred subscribers are ten processes of ten connections, on the side of Salt
 * with our client, which costs the machine less than Salt's own.
 */
const LOADS: readonly { subscribers: Subscribers; ours: IpcRun; salt: IpcRun }[] = [
  {
    subscribers: 1,
    ours: { bus: 'virbus', subscribers: 1, events: 400_000 },
    salt: { bus: SALT, subscribers: 1, events: 3000 },
  },
  {
    subscribers: 10,
    ours: { bus: 'virbus', subscribers: 10, events: 150_000 },
    salt: { bus: SALT, subscribers: 10, events: 3000 },
  },
  {
    subscribers: 100,
    ours: { bus: 'virbus', subscribers: 100, connections: 10, events: 20_000 },
    salt: { bus: SALT, subscriber: 'virbus', subscribers: 100, connections: 10, events: 600 },
  },
]

function whom(subscribers: number): string {
  return subscribers === 1 ? '1 subscriber' : `each of ${subscribers} subscribers`
}

function rateRows(subscribers: Subscribers, ours: IpcResult, salt: IpcResult): Row[] {
  const texts = { what: `Salt bus: events to ${whom(subscribers)}`, ours: perSecond(ours.perSecond, 1000) }
  const wanted = GOAL.perSecond[subscribers]
  return [
    {
      ...texts,
      what: `${texts.what}, Salt ${SALT}`,
      peer: perSecond(salt.perSecond, 1000),
      ratio: ours.perSecond / salt.perSecond,
      goal: GOAL.ratio[subscribers],
    },
    { ...texts, peer: `${perSecond(wanted, 1000)} (goal)`, ratio: ours.perSecond / wanted, goal: 1 },
  ]
}

async function latencyRow(): Promise<Row> {
  const salt = await measure({ bus: SALT, subscribers: 1, events: SALT_RATE * 5, rate: SALT_RATE })
  const ours = await measure({ bus: 'virbus', subscribers: 1, events: RATE * 5, rate: RATE })
  const [p99, theirs] = [ours, salt].map(({ latencies }) => percentile(latencies, 0.99)) as [number, number]
  return {
    what: `Salt bus: latency p99 at ${RATE}/s, under ${GOAL.p99Ms} ms; Salt ${SALT} at ${SALT_RATE}/s ${theirs.toFixed(1)} ms`,
    ours: `${p99.toFixed(2)} ms`,
    peer: `${GOAL.p99Ms} ms (limit)`,
    ratio: GOAL.p99Ms / p99,
    goal: 1,
  }
}

/**
 * Salt's own clients, firing and subscribing, on a real publisher, on ours, and on sockets with a mere pipe between them, in turn; the fastest of
 * each. Where Python takes the time, no bus can be three times as fast: that is so when ours is about as fast as the pipe.
 */
async function clientRows(salt: Who): Promise<Row[]> {
  const load = { firer: salt, subscriber: salt, subscribers: 1, events: CLIENT_EVENTS, wire: dialectOf(salt) }
  const fastest = [0, 0, 0]
  for (let round = 0; round < CLIENT_ROUNDS; round++)
    for (const [index, bus] of (['virbus', salt, NOTHING] as const).entries()) {
      const { perSecond: rate } = await measure({ ...load, bus })
      fastest[index] = Math.max(fastest[index] ?? 0, rate)
    }
  const [rate, theirs, most] = fastest as [number, number, number] // one for each
  const what = `Salt bus: events between clients of Salt ${salt}`
  const row = {
    what: `${what}, on ours and on its own`,
    ours: perSecond(rate, 1000),
    peer: perSecond(theirs, 1000),
  }
  const ratio = rate / theirs
  if (ratio >= GOAL.clients || most >= GOAL.clients * theirs) return [{ ...row, ratio, goal: GOAL.clients }]
  return [
    { ...row, ratio, goal: 1 },
    {
      what: `${what}, on ours and on sockets with a mere pipe between them`,
      ours: perSecond(rate, 1000),
      peer: perSecond(most, 1000),
      ratio: rate / most,
      goal: PYTHON_BOUND,
    },
  ]
}

/** @returns how fast and how late events are, in one run with real Salt. */
export async function benchIpc(): Promise<Row[]> {
  const rows: Row[] = []
  for (const { subscribers, ours, salt } of LOADS) {
    const theirs = await measure(salt)
    rows.push(...rateRows(subscribers, await measure(ours), theirs))
  }
  rows.push(await latencyRow())
  for (const salt of [SALT, SALT_RELEASES.split]) rows.push(...(await clientRows(salt)))
  return rows
}

if (import.meta.main) printRows(await benchIpc())
