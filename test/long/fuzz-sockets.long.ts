import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { test } from 'node:test'
import { silentLogger } from '../../src/core/logger.ts'
import { Daemon } from '../../src/daemon/index.ts'
import { encode } from '../../src/msgpack/index.ts'
import {
  EventPublisher,
  MessageSplitter,
  PROBE_TAG,
  type PullerStats,
  SaltError,
  SaltEventClient,
  type WireEvent,
} from '../../src/salt/index.ts'
import { checkPayload, readTag, tagEnd } from '../../src/salt/ipc/body.ts'
import { Random } from '../../src/simulator/random.ts'
import { tempDir } from '../support/peers.ts'
import { back, closed, connected, until, WAIT_MS } from './clients.ts'
import { liveMb, openResources, seedOf } from './measure.ts'
import { bytes, FORMS, type Form, message, mutateMessage } from './mutate-message.ts'

const MESSAGES = Number(process.env['FUZZ_PACKETS'] ?? 1_000_000)
const MUTATED_A_CONNECTION = 20
const CONNECTIONS_AT_ONCE = 16
const RUDE_CONNECTIONS = Math.ceil(MESSAGES / 100)
const STALLED = 50
const GROWTH_MB_MAX = 8

type Counts = Pick<PullerStats, 'accepted' | 'refused' | 'clientsCut'>

/** What a puller has to make of the bytes of one connection, however they are cut. */
function expected(stream: Buffer): Counts {
  const counts: Counts = { accepted: 0, refused: 0, clientsCut: 0 }
  const splitter = new MessageSplitter({
    onBody: (body) => {
      const verdict = judge(body)
      if (verdict) counts[verdict]++
    },
  })
  try {
    splitter.push(stream)
  } catch (error) {
    assert.ok(error instanceof SaltError, String(error))
    counts.clientsCut++
  }
  return counts
}

function judge(body: Buffer): 'accepted' | 'refused' | undefined {
  const end = tagEnd(body)
  const tag = readTag(body, end)
  if (tag === undefined) return 'refused'
  if (tag.startsWith(PROBE_TAG)) return undefined
  try {
    checkPayload(body.subarray(end + 2))
    return 'accepted'
  } catch (error) {
    assert.ok(error instanceof SaltError, String(error))
    return 'refused'
  }
}

/** The bytes of one client: so many mutated messages, and right ones between them. */
function streamOf(random: Random, form: Form): Buffer {
  const parts: Buffer[] = []
  // The first bytes decide about the framing; most clients get beyond them.
  if (random.integer(8) > 0) parts.push(message(random, form))
  for (let n = 0; n < MUTATED_A_CONNECTION; n++) {
    const whole = message(random, form)
    if (random.integer(4) === 0) parts.push(whole)
    parts.push(mutateMessage(random, whole, message(random, random.pick(FORMS))))
  }
  return Buffer.concat(parts)
}

/** Sends all, in pieces, and ends as one should. */
async function polite(path: string, random: Random, stream: Buffer): Promise<void> {
  const socket = await connected(path)
  const gone = closed(socket)
  for (let at = 0; at < stream.length && !socket.destroyed; ) {
    const size = random.integer(4) === 0 ? 1 + random.integer(9) : 1 + random.integer(4000)
    socket.write(stream.subarray(at, at + size))
    at += size
    if (random.integer(3) === 0) await new Promise(setImmediate)
  }
  socket.end()
  await gone
}

/** Comes and goes as it likes. */
async function rude(path: string, random: Random): Promise<void> {
  const socket = await connected(path)
  const kind = random.integer(4)
  const stream = streamOf(random, random.pick(FORMS))
  if (kind > 0) socket.write(stream.subarray(0, random.integer(stream.length)))
  if (kind > 1) await new Promise(setImmediate)
  const gone = closed(socket)
  if (kind === 3) socket.end()
  else socket.destroy()
  await gone
}

/** A client of the library beside the hostile ones: what it fires has to come back, all of it and in order. */
class Witness implements AsyncDisposable {
  readonly #client: SaltEventClient
  readonly #events: AsyncIterator<WireEvent>
  #fired = 0

  constructor(client: SaltEventClient) {
    this.#client = client
    this.#events = client.events({ tag: 'witness/' })
  }

  static async connect(sockDir: string): Promise<Witness> {
    return new Witness(await SaltEventClient.connect({ sockDir, dialect: 'split' }))
  }

  get fired(): number {
    return this.#fired
  }

  async check(): Promise<void> {
    const first = this.#fired
    for (let n = 0; n < 10; n++) await this.#client.fire('witness/event', { n: this.#fired++ })
    for (let n = first; n < this.#fired; n++) {
      const { value } = await this.#events.next()
      assert.equal(Object(value?.data).n, n)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }
}

function count(random: Random, expects: Counts & { messages: number }): Buffer {
  const stream = streamOf(random, random.pick(FORMS))
  const { accepted, refused, clientsCut } = expected(stream)
  expects.accepted += accepted
  expects.refused += refused
  expects.clientsCut += clientsCut
  expects.messages += MUTATED_A_CONNECTION
  return stream
}

/** A bus without hosts. */
function startDaemon(sockDir: string): Promise<Daemon> {
  return Daemon.start({ sockDir, wire: 'split', engines: [], log: silentLogger })
}

test('a million mutated messages into the pull socket: judged alike however cut, others served, no growth', async () => {
  using dir = tempDir()
  const random = new Random(seedOf('fuzz pull socket'))
  await using daemon = await startDaemon(dir.path)
  await using witness = await Witness.connect(dir.path)
  const { pull } = daemon.sockets
  await witness.check()
  await liveMb()
  const resources = openResources()
  const expects = { accepted: 0, refused: 0, clientsCut: 0, messages: 0 }
  let early = 0
  while (expects.messages < MESSAGES) {
    const streams = Array.from({ length: CONNECTIONS_AT_ONCE }, () => count(random, expects))
    await Promise.all([...streams.map((stream) => polite(pull, random, stream)), witness.check()])
    if (early === 0 && expects.messages > MESSAGES / 10) early = await liveMb()
  }
  await until(() => daemon.stats.puller.clients === 1, 'all clients gone')
  const { accepted, refused, clientsCut } = daemon.stats.puller
  const { messages, ...wanted } = expects
  assert.deepEqual({ accepted: accepted - witness.fired, refused, clientsCut }, wanted)
  await back(resources)
  const late = await liveMb()
  console.log(
    `fuzz pull socket: ${messages} mutated messages, ${accepted} taken, ${refused} refused, ${clientsCut} clients cut, ` +
      `${witness.fired} events of the witness; live memory ${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
  )
  assert.ok(late - early < GROWTH_MB_MAX, `${(late - early).toFixed(1)} MB more`)
})

test('thousands of clients that come and go in the middle of messages, and some that stop there', async () => {
  using dir = tempDir()
  const random = new Random(seedOf('fuzz pull socket, rude'))
  await using daemon = await startDaemon(dir.path)
  await using witness = await Witness.connect(dir.path)
  const { pull } = daemon.sockets
  await witness.check()
  await liveMb()
  const resources = openResources()
  const stalled = await Promise.all(Array.from({ length: STALLED }, () => connected(pull)))
  const cut = Promise.all(stalled.map((socket) => closed(socket)))
  for (const socket of stalled) {
    const whole = message(random, random.pick(FORMS))
    socket.write(whole.subarray(0, 4 + random.integer(whole.length - 4)))
  }
  let early = 0
  for (let done = 0; done < RUDE_CONNECTIONS; done += CONNECTIONS_AT_ONCE) {
    await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, () => rude(pull, random)))
    if (done % (CONNECTIONS_AT_ONCE * 10) === 0) await witness.check()
    if (early === 0 && done > RUDE_CONNECTIONS / 10) early = await liveMb()
  }
  await cut
  await until(() => daemon.stats.puller.clients === 1, 'all clients gone')
  const { clientsCut } = daemon.stats.puller
  await back(resources)
  const late = await liveMb()
  console.log(
    `fuzz pull socket, rude: ${RUDE_CONNECTIONS} connections, ${clientsCut} cut; live memory ${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
  )
  assert.ok(clientsCut >= STALLED)
  assert.ok(late - early < GROWTH_MB_MAX, `${(late - early).toFixed(1)} MB more`)
})

/** A subscriber that does what none should; gives what ends it. */
async function hostileSubscriber(path: string, random: Random): Promise<() => void> {
  const kind = random.integer(5)
  const socket = createConnection({ path, allowHalfOpen: true })
  socket.on('error', () => {}) // cut, as it deserves
  await once(socket, 'connect', { signal: AbortSignal.timeout(WAIT_MS) })
  if (kind === 0) socket.resume().write(bytes(random, 1 + random.integer(100_000)))
  else if (kind === 1) socket.resume().end()
  else if (kind === 2) socket.end(bytes(random, 100))
  else if (kind === 3) socket.pause()
  else socket.once('data', () => socket.destroy())
  return () => socket.destroy()
}

test('hostile subscribers on the pub socket: the reader beside them loses nothing, no growth', async () => {
  using dir = tempDir()
  const random = new Random(seedOf('fuzz pub socket'))
  const rounds = Math.ceil(MESSAGES / 2000)
  const path = `${dir.path}/master_event_pub.ipc`
  await using publisher = new EventPublisher({ path, dialect: 'prefixed', pendingBytesMax: 1_000_000 })
  await publisher.listen()
  await using client = await SaltEventClient.connect({ sockDir: dir.path, dialect: 'prefixed' })
  await using events = client.events()
  await until(() => publisher.stats.subscribers === 1, 'the reader')
  await liveMb()
  const resources = openResources()
  const payload = encode({ x: 'y'.repeat(2000) })
  const hostile: (() => void)[] = []
  let published = 0
  let early = 0
  for (let round = 0; round < rounds; round++) {
    hostile.push(...(await Promise.all(Array.from({ length: 16 }, () => hostileSubscriber(path, random)))))
    // One connection is accepted in a turn of the event loop.
    for (let turn = 0; turn < 32; turn++) await new Promise(setImmediate)
    for (let n = 0; n < 50; n++) publisher.publish(`event/${published++}`, payload)
    if (random.integer(2) === 0) publisher.flush()
    for (let n = published - 50; n < published; n++)
      assert.equal((await events.next()).value?.tag, `event/${n}`)
    // Most stay for a while, so that those that do not read are cut by the publisher.
    while (hostile.length > 400) hostile.splice(random.integer(hostile.length), 1)[0]?.()
    if (early === 0 && round > rounds / 10) early = await liveMb()
  }
  const { subscribersCut, dropped } = publisher.stats
  for (const end of hostile) end()
  await until(() => publisher.stats.subscribers === 1, 'all subscribers gone')
  await back(resources)
  const late = await liveMb()
  console.log(
    `fuzz pub socket: ${rounds * 16} hostile subscribers, ${subscribersCut} cut, ${published} events read beside them; ` +
      `live memory ${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
  )
  assert.ok(subscribersCut > 0)
  assert.equal(dropped, 0)
  assert.equal(events.dropped, 0)
  assert.ok(late - early < GROWTH_MB_MAX, `${(late - early).toFixed(1)} MB more`)
})
