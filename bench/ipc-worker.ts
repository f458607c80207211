/**
 * Our side of the benches of the sockets, on a bus of ours or a real Salt's:
 * `ipc-worker.ts SOCK_DIR subscribe COUNT CONNECTIONS | fire COUNT RATE DIALECT | stall COUNT LOOK | nothing COUNT DIALECT`, with the
 * same lines as ipc_salt.py.
 *
 * Each of the connections of `subscribe` gets all events, and each event is decoded for each of them. RATE 0: as fast as it goes.
 */
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Dialect,
  FrameBatch,
  MessageSplitter,
  pubFraming,
  SaltEventClient,
  socketPaths,
} from '../src/salt/index.ts'

const [sockDir = '', role = '', amount = '0', ...more] = process.argv.slice(2)
const count = Number(amount)

/** Events fired before waiting until they are written. */
const BATCH = 100
/** Latencies that are kept. */
const LATENCIES_MAX = 100_000
/** How often who never reads looks whether it was cut, and how long it waits before it comes again, in milliseconds. */
const STALL_LOOK_MS = 100

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Milliseconds of CLOCK_MONOTONIC, as `time.monotonic` of Python. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function read(latencies: number[]): Promise<void> {
  await using client = await SaltEventClient.connect({ sockDir, limit: count })
  const events = client.events({ tag: 'bench/' })
  say({ ready: true })
  let seen = 0
  for await (const event of events) {
    // Like Salt's get_event, which decodes every event.
    const { number, sent } = Object(event.data)
    if (number !== seen) throw new Error(`event ${seen} is missing`)
    if (sent !== undefined && latencies.length < LATENCIES_MAX) latencies.push(now() - sent)
    if (++seen === count) return
  }
  throw new Error(`the bus ended after ${seen} of ${count} events`)
}

async function subscribe(connections: number): Promise<void> {
  const latencies: number[] = []
  await Promise.all(Array.from({ length: connections }, () => read(latencies)))
  say({ ended: now(), latencies })
  await once(process.stdin.resume(), 'end')
}

async function fire(rate: number, dialect: Dialect): Promise<void> {
  await using client = await SaltEventClient.connect({ sockDir, dialect, listen: false })
  say({ ready: true })
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const sample: Record<string, unknown> = JSON.parse((await lines.next()).value ?? '{}')
  const began = now()
  say({ began })
  for (let number = 0; number < count; ) {
    const batch: Promise<void>[] = []
    const due = rate > 0 ? Math.ceil(((now() - began) / 1000) * rate) : number + BATCH
    for (const end = Math.min(count, due); number < end; number++) {
      sample['number'] = number
      if (rate > 0) sample['sent'] = now()
      batch.push(client.fire('bench/lifecycle', sample))
    }
    await Promise.all(batch)
    if (rate > 0) await delay(1)
  }
  say({ fired: now() })
  await lines.next()
}

/** Never reads. When it is cut, which only a write tells, it comes again. */
async function stall(): Promise<void> {
  const { pub } = socketPaths(sockDir, {})
  say({ ready: true })
  process.stdin.on('end', () => process.exit()).resume()
  for (;;) {
    const socket = createConnection(pub)
    await once(socket, 'connect')
    socket.pause()
    socket.on('error', () => {}) // the loop sees it
    while (!socket.destroyed) {
      await delay(STALL_LOOK_MS)
      // What subscribers say is thrown away.
      if (more[0] === 'look') socket.write('\n')
    }
  }
}

/** Sockets with as little behind them as there can be: each piece that is fired goes to the subscribers, cut as they want it, and is not looked at. */
async function nothing(dialect: Dialect): Promise<void> {
  const { pub, pull } = socketPaths(sockDir, {})
  const subscribers: Socket[] = []
  createServer((socket) => subscribers.push(socket.resume())).listen(pub)
  createServer((socket) => {
    const batch = new FrameBatch(pubFraming(dialect))
    const splitter = new MessageSplitter({ onBody: (body) => batch.addBody(body) })
    socket.on('data', (chunk: Buffer) => {
      splitter.push(chunk)
      for (const block of batch.take()) for (const subscriber of subscribers) subscriber.write(block)
    })
  }).listen(pull)
  await once(process.stdin.resume(), 'end')
  process.exit()
}

if (role === 'subscribe') await subscribe(Number(more[0] ?? 1))
else if (role === 'fire')
  await fire(Number(more[0] ?? 0), (more[1] ?? 'split') as Dialect) // as it was written
else if (role === 'stall') await stall()
else if (role === 'nothing') await nothing((more[0] ?? 'split') as Dialect)
else throw new Error(`no part '${role}'`)
