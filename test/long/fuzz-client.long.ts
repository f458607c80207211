import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventHub } from '../../src/libvirt/event-hub.ts'
import {
  EVENT_KINDS,
  type EventKind,
  encodePacket,
  LibvirtError,
  PACKET_BODY_OFFSET,
  type Packet,
  PacketDecoder,
  type Procedure,
  remote,
  rpc,
} from '../../src/libvirt/index.ts'
import { RpcClient } from '../../src/libvirt/rpc-client.ts'
import type { Transport, TransportHandlers } from '../../src/libvirt/transports/transport.ts'
import { Random } from '../../src/simulator/random.ts'
import { XdrReader } from '../../src/xdr/index.ts'
import { liveMb, seedOf } from './measure.ts'
import { mutate } from './mutate.ts'

const PACKETS = Number(process.env['FUZZ_PACKETS'] ?? 1_000_000)
const PACKETS_A_SESSION = 200
const FIXTURES = join(import.meta.dirname, '../fixtures')

interface Exchange {
  readonly procedure: Procedure<unknown, unknown>
  readonly args: unknown
  readonly reply: Buffer
}

const procedures = new Map<number, Procedure<unknown, unknown>>()
for (const each of Object.values(remote))
  if (typeof each === 'object' && each !== null && 'result' in each && 'args' in each)
    procedures.set(each.number, each as Procedure<unknown, unknown>) // it has what a Procedure has

/** Calls of real virsh, and what real libvirtd answered. */
const exchanges: Exchange[] = []
const recorded: { exchanges: { call: string; reply: string }[] } = JSON.parse(
  readFileSync(join(FIXTURES, 'virsh-sessions.json'), 'utf8'),
)
for (const { call, reply } of recorded.exchanges) {
  const bytes = Buffer.from(call, 'hex')
  const procedure = procedures.get(bytes.readInt32BE(12))
  if (!procedure || bytes.readUInt32BE(4) !== remote.REMOTE_PROGRAM) continue
  const args = procedure.args.decode(new XdrReader(bytes, PACKET_BODY_OFFSET))
  exchanges.push({ procedure, args, reply: Buffer.from(reply, 'hex') })
}
/** Packets that a real daemon sends unasked. */
const frames: { frames: { from: string; hex: string }[] } = JSON.parse(
  readFileSync(join(FIXTURES, 'virsh-frames.json'), 'utf8'),
)
const messages = frames.frames
  .filter(({ from }) => from === 'daemon')
  .map(({ hex }) => Buffer.from(hex, 'hex'))
  .filter((bytes) => EVENT_KINDS.some(({ message }) => message === bytes.readInt32BE(12)))
  .filter((bytes) => bytes.readInt32BE(16) === rpc.VIR_NET_MESSAGE)
/** The kinds of these. */
const seenKinds = EVENT_KINDS.filter(({ message }) =>
  messages.some((bytes) => bytes.readInt32BE(12) === message),
)

/** A daemon in this process that answers registrations, and otherwise sends what it is told. */
class Peer implements Transport {
  readonly #decoder = new PacketDecoder()
  #handlers: TransportHandlers | undefined
  #callbackId = 0

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers
  }

  write(bytes: Buffer): number {
    this.#decoder.push(bytes, (call) => {
      if (call.type !== rpc.VIR_NET_CALL) return
      const registers = /REGISTER/.test(procedures.get(call.procedure)?.name.toUpperCase() ?? '')
      const { program, version, procedure, serial } = call
      if (registers) queueMicrotask(() => this.#register({ program, version, procedure, serial }))
    })
    return 0
  }

  pause(): void {}
  resume(): void {}

  destroy(): void {
    this.#handlers = undefined
  }

  send(bytes: Buffer): void {
    this.#handlers?.data(bytes)
  }

  #register(call: Pick<Packet, 'program' | 'version' | 'procedure' | 'serial'>): void {
    const { procedure } = call
    const header = { ...call, type: rpc.VIR_NET_REPLY, status: rpc.VIR_NET_OK }
    const isLeaving = procedures.get(procedure)?.result.decode.length === 0
    const id = this.#callbackId++
    if (isLeaving)
      this.send(encodePacket(header, procedures.get(procedure)?.result ?? assert.fail(), undefined))
    else
      this.send(
        encodePacket(header, remote.RemoteConnectDomainEventCallbackRegisterAnyRet, { callbackID: id }),
      )
  }
}

function withSerial(reply: Buffer, serial: number): Buffer {
  const copy = Buffer.from(reply)
  copy.writeUInt32BE(serial, 20)
  return copy
}

/** The message under the id that its kind was registered with: ids count from 0. */
function withCallbackId(message: Buffer, kinds: readonly EventKind[]): Buffer {
  const copy = Buffer.from(message)
  copy.writeInt32BE(
    kinds.findIndex((kind) => kind.message === message.readInt32BE(12)),
    PACKET_BODY_OFFSET,
  )
  return copy
}

const totals = {
  sent: 0,
  sessions: 0,
  refused: 0,
  answered: 0,
  events: 0,
  byCode: {} as Record<string, number>,
}

async function session(random: Random): Promise<void> {
  totals.sessions++
  const hub = new EventHub()
  const peer = new Peer()
  const client = new RpcClient({
    transport: peer,
    onMessage: (packet) => hub.deliver(packet),
    onClosed: (error) => hub.fail(error),
  })
  const kinds = [...new Set([...seenKinds.slice(0, 4), random.pick(EVENT_KINDS)])]
  const own = messages.filter((bytes) => kinds.some(({ message }) => message === bytes.readInt32BE(12)))
  const events = hub.subscribe(kinds, { limit: 16 })
  await hub.attach(client)
  await events.ready
  const wanted = Array.from({ length: 5 }, () => random.pick(exchanges))
  const calls = wanted.map(({ procedure, args }) => client.call(procedure, args))
  const outcomes = Promise.allSettled(calls)
  const all = [...wanted.map(({ reply }) => reply), ...messages]
  for (let n = 0; n < PACKETS_A_SESSION && !client.failure && totals.sent < PACKETS; n++) {
    totals.sent++
    const index = random.integer(wanted.length)
    const reply = withSerial(wanted[index]?.reply ?? assert.fail(), index + kinds.length)
    const packet = random.integer(3) === 0 ? withCallbackId(random.pick(own), kinds) : reply
    const bytes = mutate(random, packet, random.pick(all))
    const cut = random.integer(bytes.length + 1)
    peer.send(bytes.subarray(0, cut))
    peer.send(bytes.subarray(cut))
  }
  if (client.failure) {
    totals.refused++
    totals.byCode[client.failure.code] = (totals.byCode[client.failure.code] ?? 0) + 1
  } else client.fail(new LibvirtError('ERR_LIBVIRT_CLOSED', 'the end of the session'))
  for (const outcome of await outcomes)
    if (outcome.status === 'fulfilled') totals.answered++
    else assert.ok(outcome.reason instanceof LibvirtError, String(outcome.reason))
  totals.events += events.length + events.dropped
  await events.return()
}

test('a million mutated packets into the client: typed errors, nothing else, no growth', async () => {
  const random = new Random(seedOf('fuzz client'))
  let early = 0
  while (totals.sent < PACKETS) {
    await session(random)
    if (early === 0 && totals.sent > PACKETS / 10) early = await liveMb()
  }
  const late = await liveMb()
  console.log(
    `fuzz client: ${totals.sent} packets in ${totals.sessions} sessions, ${totals.refused} closed for what was sent, ` +
      `${totals.answered} calls answered all the same, ${totals.events} events; live memory ${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
  )
  console.log('fuzz client:', totals.byCode)
  assert.ok(late - early < 8, `${(late - early).toFixed(1)} MB more`)
})
