import { type XdrType, XdrWriter } from '../xdr/index.ts'
import { LibvirtError } from './errors.ts'
import {
  VIR_NET_MESSAGE_HEADER_MAX,
  VIR_NET_MESSAGE_LEN_MAX,
  VIR_NET_MESSAGE_MAX,
  VIR_NET_STREAM_HOLE,
} from './protocol/rpc.gen.ts'

/** Length word and header: the shortest packet, in bytes (virnetprotocol.x). */
const PACKET_BYTES_MIN = VIR_NET_MESSAGE_LEN_MAX + VIR_NET_MESSAGE_HEADER_MAX

/** The longest packet with its length word, in bytes (virnetprotocol.x: VIR_NET_MESSAGE_MAX does not count that word). */
export const PACKET_BYTES_MAX: number = VIR_NET_MESSAGE_LEN_MAX + VIR_NET_MESSAGE_MAX

/** The six words of `struct virNetMessageHeader` (virnetprotocol.x). */
export interface PacketHeader {
  readonly program: number
  readonly version: number
  readonly procedure: number
  /** `virNetMessageType`: call 0, reply 1, message 2, stream 3 … */
  readonly type: number
  readonly serial: number
  /** `virNetMessageStatus`: ok 0, error 1, continue 2. */
  readonly status: number
}

/** One packet. `bytes` is a view that holds it whole; the body is `bytes` from `PACKET_BODY_OFFSET` on. */
export interface Packet extends PacketHeader {
  readonly bytes: Buffer
}

/** Where the body of a packet begins, in bytes from its length word. */
export const PACKET_BODY_OFFSET: number = PACKET_BYTES_MIN

/**
 * Cuts a byte stream into packets. Each length is checked before anything waits for that many bytes.
 *
 * Packets are views that live as long as the call of `onPacket`: the chunks' buffers may be used again after `push`.
 * What has not come whole is copied, and put together once, so the cost is linear in the bytes however they are cut.
 */
export class PacketDecoder {
  readonly #bytesMax: number
  #parts: Buffer[] = []
  #have = 0
  #need = VIR_NET_MESSAGE_LEN_MAX

  /** `bytesMax`: the longest packet to accept, with its length word. */
  constructor(bytesMax: number = PACKET_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /** Bytes of a packet that has not come whole. */
  get pendingBytes(): number {
    return this.#have
  }

  /**
   * Takes the next bytes of the stream and calls `onPacket` for each packet that they complete.
   *
   * @throws {LibvirtError} `ERR_LIBVIRT_FRAME` when a length or a header cannot be; the stream is lost then.
   */
  push(chunk: Buffer, onPacket: (packet: Packet) => void): void {
    let bytes = chunk
    if (this.#have > 0) {
      this.#have += chunk.length
      this.#parts.push(this.#have < this.#need ? Buffer.from(chunk) : chunk)
      if (this.#have < this.#need) return
      bytes = Buffer.concat(this.#parts)
    }
    let offset = 0
    while (bytes.length - offset >= VIR_NET_MESSAGE_LEN_MAX) {
      const length = bytes.readUInt32BE(offset)
      if (length < PACKET_BYTES_MIN || length > this.#bytesMax)
        throw new LibvirtError(
          'ERR_LIBVIRT_FRAME',
          `packet of ${length} bytes, allowed ${PACKET_BYTES_MIN} to ${this.#bytesMax}`,
        )
      if (bytes.length - offset < length) {
        this.#keep(bytes.subarray(offset), length)
        return
      }
      onPacket(decodeHeader(bytes.subarray(offset, offset + length)))
      offset += length
    }
    this.#keep(bytes.subarray(offset), VIR_NET_MESSAGE_LEN_MAX)
  }

  #keep(rest: Buffer, need: number): void {
    this.#parts = rest.length > 0 ? [Buffer.from(rest)] : []
    this.#have = rest.length
    this.#need = need
  }
}

function decodeHeader(bytes: Buffer): Packet {
  const type = bytes.readInt32BE(16)
  const status = bytes.readInt32BE(24)
  if (type < 0 || type > VIR_NET_STREAM_HOLE)
    throw new LibvirtError('ERR_LIBVIRT_FRAME', `packet of unknown type ${type}`)
  if (status < 0 || status > 2)
    throw new LibvirtError('ERR_LIBVIRT_FRAME', `packet with unknown status ${status}`)
  return {
    program: bytes.readUInt32BE(4),
    version: bytes.readUInt32BE(8),
    procedure: bytes.readInt32BE(12),
    type,
    serial: bytes.readUInt32BE(20),
    status,
    bytes,
  }
}

/**
 * Encodes one packet with its length word.
 *
 * @throws {XdrError} when `value` does not fit `body`.
 * @throws {LibvirtError} `ERR_LIBVIRT_FRAME` when the packet comes out longer than `PACKET_BYTES_MAX`.
 */
export function encodePacket<T>(header: PacketHeader, body: XdrType<T>, value: T): Buffer {
  const writer = new XdrWriter()
  writeHeader(writer, header)
  body.encode(writer, value)
  if (writer.length > PACKET_BYTES_MAX) throw tooLong(writer.length)
  writer.patchUint(0, writer.length)
  return writer.bytes()
}

/**
 * Encodes one packet whose body is bytes as they are: the data of a stream.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_FRAME` when the packet comes out longer than `PACKET_BYTES_MAX`.
 */
export function encodeRawPacket(header: PacketHeader, body: Uint8Array): Buffer {
  const length = PACKET_BYTES_MIN + body.length
  if (length > PACKET_BYTES_MAX) throw tooLong(length)
  const writer = new XdrWriter()
  writeHeader(writer, header)
  writer.patchUint(0, length)
  return Buffer.concat([writer.bytes(), body])
}

function writeHeader(writer: XdrWriter, header: PacketHeader): void {
  writer.uint(0)
  writer.uint(header.program)
  writer.uint(header.version)
  writer.int(header.procedure)
  writer.int(header.type)
  writer.uint(header.serial)
  writer.int(header.status)
}

function tooLong(length: number): LibvirtError {
  return new LibvirtError('ERR_LIBVIRT_FRAME', `packet of ${length} bytes, allowed ${PACKET_BYTES_MAX}`)
}
