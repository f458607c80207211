import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  EVENT_KINDS,
  encodePacket,
  PACKET_BODY_OFFSET,
  PACKET_BYTES_MAX,
  type Packet,
  PacketDecoder,
  type Procedure,
  remote,
  rpc,
  VOID,
} from '../../src/libvirt/index.ts'
import { XdrReader, type XdrType } from '../../src/xdr/index.ts'

interface Frame {
  command: string
  from: 'client' | 'daemon'
  hex: string
}

const FIXTURE = join(import.meta.dirname, '../fixtures/virsh-frames.json')
const { frames }: { frames: Frame[] } = JSON.parse(readFileSync(FIXTURE, 'utf8'))

function decodeAll(bytes: Buffer, cuts: readonly number[] = []): Packet[] {
  const decoder = new PacketDecoder()
  const packets: Packet[] = []
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  let start = 0
  for (const end of ends) {
    decoder.push(bytes.subarray(start, end), (packet) => packets.push(packet))
    start = end
  }
  return packets
}

const procedures = new Map<number, Procedure<unknown, unknown>>()
for (const value of Object.values<unknown>({ ...remote })) {
  if (typeof value !== 'object' || value === null || !('result' in value)) continue
  const procedure = value as Procedure<unknown, unknown> // only procedures have a result
  procedures.set(procedure.number, procedure)
}

function bodyType(packet: Packet): XdrType<unknown> {
  if (packet.program === rpc.KEEPALIVE_PROGRAM) return VOID
  if (packet.status === rpc.VIR_NET_ERROR) return rpc.VirNetMessageError as XdrType<unknown>
  const event = EVENT_KINDS.find((kind) => kind.message === packet.procedure)
  if (packet.type === rpc.VIR_NET_MESSAGE && event) return event.type as XdrType<unknown>
  const procedure = procedures.get(packet.procedure)
  assert.ok(procedure, `procedure ${packet.procedure}`)
  return packet.type === rpc.VIR_NET_CALL ? procedure.args : procedure.result
}

test('every frame between real virsh and libvirtd decodes completely and encodes to the same bytes', () => {
  assert.ok(frames.length > 200)
  for (const frame of frames) {
    const [packet] = decodeAll(Buffer.from(frame.hex, 'hex'))
    assert.ok(packet)
    const type = bodyType(packet)
    const reader = new XdrReader(packet.bytes, PACKET_BODY_OFFSET)
    const value = type.decode(reader)
    reader.end()
    assert.equal(encodePacket(packet, type, value).toString('hex'), frame.hex, frame.command)
  }
})

test('a stream gives the same packets however it is cut', () => {
  const stream = Buffer.concat(frames.slice(0, 40).map(({ hex }) => Buffer.from(hex, 'hex')))
  const whole = decodeAll(stream).map(({ bytes }) => bytes.toString('hex'))
  assert.equal(whole.length, 40)
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
      assert.deepEqual(
        decodeAll(stream, cuts).map(({ bytes }) => bytes.toString('hex')),
        whole,
      )
    }),
  )
})

test('lengths that cannot be are refused as soon as the length word is there', () => {
  for (const length of [0, 4, 27, PACKET_BYTES_MAX + 1, 0xffffffff]) {
    const word = Buffer.alloc(4)
    word.writeUInt32BE(length)
    assert.throws(() => decodeAll(word), { code: 'ERR_LIBVIRT_FRAME' })
  }
})

test('a type or status that there is not is refused', () => {
  const header = { program: 1, version: 1, procedure: 1, type: 0, serial: 0, status: 0 }
  for (const wrong of [{ type: 7 }, { type: -1 }, { status: 3 }, { status: -1 }])
    assert.throws(() => decodeAll(encodePacket({ ...header, ...wrong }, VOID, undefined)), {
      code: 'ERR_LIBVIRT_FRAME',
    })
})

test('any bytes are packets or a typed error, and wait for no more than a packet', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 })), (chunks) => {
      const decoder = new PacketDecoder(64)
      try {
        for (const chunk of chunks) {
          decoder.push(Buffer.from(chunk), () => {})
          assert.ok(decoder.pendingBytes < 64)
        }
      } catch (error) {
        assert.equal((error as Error).name, 'LibvirtError')
      }
    }),
  )
})

test('any body decodes or throws the typed error, for every procedure and event', () => {
  const types = [
    ...EVENT_KINDS.map((kind) => kind.type as XdrType<unknown>),
    ...[...procedures.values()].flatMap(({ args, result }) => [args, result]),
  ]
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 200 }), (type, bytes) => {
      try {
        type.decode(new XdrReader(Buffer.from(bytes)))
      } catch (error) {
        assert.equal((error as Error).name, 'XdrError')
      }
    }),
    { numRuns: 3000 },
  )
})

test('a long packet that comes a few bytes at a time costs linear time', () => {
  const type: XdrType<Buffer> = {
    decode: (r) => r.opaque(8_000_000),
    encode: (w, v) => w.opaque(v, 8_000_000),
  }
  const header = { program: 1, version: 1, procedure: 1, type: 0, serial: 0, status: 0 }
  const packet = encodePacket(header, type, Buffer.alloc(4_000_000))
  const decoder = new PacketDecoder()
  let count = 0
  for (let at = 0; at < packet.length; at += 16) decoder.push(packet.subarray(at, at + 16), () => count++)
  assert.equal(count, 1)
})
