import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Packet, PacketDecoder, type Procedure, remote, rpc } from '../../src/libvirt/index.ts'
import { decode, RawClient } from './raw-client.ts'
import { TestSimulator } from './support.ts'

/** Sessions of virsh 9.0.0 and libvirtd 9.0.0 with its test driver. */
const FIXTURE = join(import.meta.dirname, '../fixtures/virsh-sessions.json')

/** The domain of the test driver. */
const TEST_DOMAIN = { name: 'test', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f' }

interface Exchange {
  readonly command: string
  readonly call: string
  readonly reply: string
}

const PROCEDURES: ReadonlyMap<number, Procedure<unknown, unknown>> = new Map(
  Object.values<unknown>(remote)
    .filter(isProcedure)
    .map((procedure) => [procedure.number, procedure]),
)

test('what real virsh sent is answered as real libvirtd did: same procedure, serial, status, and a result of that type', async () => {
  const fixture = JSON.parse(await readFile(FIXTURE, 'utf8')) as { exchanges: Exchange[] } // the file is ours
  await using started = await TestSimulator.start({ domains: 0 })
  const { hypervisor, path } = started.simulator
  hypervisor.domains.start(hypervisor.domains.define(TEST_DOMAIN))
  for (const [command, exchanges] of Map.groupBy(fixture.exchanges, (exchange) => exchange.command)) {
    await using client = await RawClient.connect(path)
    for (const { call, reply } of exchanges) {
      const expected = packetOf(reply)
      client.send(Buffer.from(call, 'hex'))
      const [got] = await client.received(1, (packet) => isReply(packet) && packet.serial === expected.serial)
      assert(got)
      assertSame(got, expected, command)
    }
    await client.closed()
  }
})

function assertSame(reply: Packet, expected: Packet, command: string): void {
  const procedure = PROCEDURES.get(expected.procedure)
  assert(procedure)
  const { program, version, status } = expected
  const got = {
    program: reply.program,
    version: reply.version,
    number: reply.procedure,
    status: reply.status,
  }
  // The callback ids that are given back were those of another daemon.
  const isDeregistering = procedure.name.includes('deregister')
  const wanted = {
    program,
    version,
    number: expected.procedure,
    status: isDeregistering ? reply.status : status,
  }
  assert.deepEqual(got, wanted, `${command}: ${procedure.name}`)
  if (status === rpc.VIR_NET_OK && reply.status === rpc.VIR_NET_OK) decode(reply, procedure.result)
  if (status !== rpc.VIR_NET_ERROR) return
  const { code, domain, level } = decode(expected, rpc.VirNetMessageError)
  const error = decode(reply, rpc.VirNetMessageError)
  assert.deepEqual(
    { code: error.code, domain: error.domain, level: error.level },
    { code, domain, level },
    command,
  )
}

function isReply(packet: Packet): boolean {
  return packet.type === rpc.VIR_NET_REPLY
}

function packetOf(hex: string): Packet {
  const packets: Packet[] = []
  new PacketDecoder().push(Buffer.from(hex, 'hex'), (packet) => packets.push(packet))
  const [packet] = packets
  assert(packet)
  return packet
}

function isProcedure(item: unknown): item is Procedure<unknown, unknown> {
  return typeof item === 'object' && item !== null && 'args' in item && 'result' in item
}
