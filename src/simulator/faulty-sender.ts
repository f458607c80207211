import { PACKET_BODY_OFFSET } from '../libvirt/index.ts'
import type { Faults } from './faults.ts'
import { Random } from './random.ts'

/** Where the serial stands in a packet. */
const SERIAL_OFFSET = 20

/** What a faulty sender does its work on. */
export interface FaultyOutput {
  write(bytes: Buffer): void
  /** Sends what was written, and ends the connection. */
  end(): void
}

/** Sends the packets of one connection as its simulator's faults want them. */
export class FaultySender {
  readonly #faults: Faults
  readonly #connection: number
  readonly #output: FaultyOutput
  #held: Buffer[] = []
  #heldMax = 0
  #isStalled = false
  /** Bytes until the connection is cut. */
  #left = Number.POSITIVE_INFINITY

  constructor(faults: Faults, connection: number, output: FaultyOutput) {
    this.#faults = faults
    this.#connection = connection
    this.#output = output
  }

  /** Whether what was struck before still has to be looked after. */
  get isEngaged(): boolean {
    return this.#isStalled || this.#held.length > 0 || this.#left !== Number.POSITIVE_INFINITY
  }

  /** Sends one whole packet; `procedure` is its name, undefined for keepalive. */
  send(packet: Buffer, procedure: string | undefined, isReply: boolean): void {
    const place = { connection: this.#connection, procedure }
    for (const { afterBytes } of this.#faults.at(['cut'], place)) this.#left = afterBytes
    if (this.#faults.at(['stall'], place).length > 0) this.#isStalled = true
    if (this.#isStalled) return
    const changed = this.#changed(packet, procedure)
    for (const { count } of isReply ? this.#faults.at(['reorder'], place) : []) this.#heldMax = count
    if (isReply && this.#heldMax > 0) {
      this.#held.push(changed)
      if (this.#held.length < this.#heldMax) return
      const reversed = this.#held.reverse()
      this.#held = []
      this.#heldMax = 0
      for (const each of reversed) this.#write(each)
      return
    }
    const [truncate] = this.#faults.at(['truncate'], place)
    if (truncate) this.#left = Math.min(truncate.bytes, changed.length - 1)
    this.#write(changed)
    if (this.#faults.at(['duplicate'], place).length > 0) this.#write(changed)
  }

  #changed(packet: Buffer, procedure: string | undefined): Buffer {
    const faults = this.#faults.at(['length', 'flip', 'serial', 'callback'], {
      connection: this.#connection,
      procedure,
    })
    if (faults.length === 0) return packet
    const copy = Buffer.from(packet)
    for (const fault of faults)
      if (fault.kind === 'length') copy.writeUInt32BE(fault.bytes, 0)
      else if (fault.kind === 'serial') add(copy, SERIAL_OFFSET, fault.add)
      else if (fault.kind === 'callback') add(copy, PACKET_BODY_OFFSET, fault.add)
      else flip(copy, fault.bits, new Random(fault.seed))
    return copy
  }

  #write(packet: Buffer): void {
    if (packet.length <= this.#left) {
      this.#left -= packet.length
      this.#output.write(packet)
      return
    }
    this.#output.write(packet.subarray(0, this.#left))
    this.#output.end()
    this.#isStalled = true
  }
}

function add(packet: Buffer, offset: number, amount: number): void {
  if (packet.length >= offset + 4) packet.writeUInt32BE((packet.readUInt32BE(offset) + amount) >>> 0, offset)
}

function flip(packet: Buffer, bits: number, random: Random): void {
  for (let n = 0; n < bits; n++) {
    const at = random.integer(packet.length)
    packet[at] = (packet[at] ?? 0) ^ (1 << random.integer(8))
  }
}
