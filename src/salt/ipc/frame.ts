import { SaltError } from '../errors.ts'
import type { Framing } from './dialect.ts'

/**
 * Bytes of one message, at most: the largest length whose first byte is 0x01, which is what tells a length from a map.
 * Salt fires at most `max_event_size` (1 MiB by default) and has no limit in its sockets.
 */
export const MESSAGE_BYTES_MAX = 0x1ff_ffff

/** `{"head": {}, "body": …` as Salt's `frame_msg_ipc` packs it, up to the header of the body. */
export const STANDARD_START: Buffer = Buffer.from('82a46865616480a4626f6479', 'hex')

/** Bytes of a block that small messages are gathered in. */
const BLOCK_BYTES = 65_536

/** Whole messages, one behind the other. */
export interface Block {
  readonly bytes: Buffer
  /** How many messages they are. */
  readonly messages: number
}

/**
 * Messages of one turn, gathered in blocks: one write for many events, and the same bytes for all subscribers.
 */
export class FrameBatch {
  readonly #prefixed: boolean
  readonly #messageBytesMax: number
  readonly #full: Block[] = []
  #block: Buffer = Buffer.alloc(0)
  #from = 0
  #at = 0
  #messages = 0

  constructor(framing: Framing, messageBytesMax: number = MESSAGE_BYTES_MAX) {
    this.#prefixed = framing === 'prefixed'
    this.#messageBytesMax = messageBytesMax
  }

  /** Adds an event; both are copied. @throws {SaltError} ERR_SALT_FRAME_TOO_LONG */
  addEvent(tag: string, payload: Buffer): void {
    const tagBytes = Buffer.byteLength(tag)
    this.#start(tagBytes + 2 + payload.length)
    this.#at += this.#block.write(tag, this.#at, tagBytes, 'utf8')
    this.#block[this.#at++] = 0x0a
    this.#block[this.#at++] = 0x0a
    this.#append(payload)
  }

  /** Adds a body as it came; it is copied. @throws {SaltError} ERR_SALT_FRAME_TOO_LONG */
  addBody(body: Buffer): void {
    this.#start(body.length)
    this.#append(body)
  }

  /** What was added since the last call, in order; the bytes are never written again. */
  take(): Buffer[] {
    return this.takeBlocks().map(({ bytes }) => bytes)
  }

  /** The same with the number of messages in each. */
  takeBlocks(): Block[] {
    this.#seal()
    return this.#full.splice(0)
  }

  /** Makes room for a message and writes all that stands before its body. */
  #start(bodyBytes: number): void {
    const header = bodyBytes < 0x100 ? 2 : bodyBytes < 0x1_0000 ? 3 : 5
    const mapBytes = STANDARD_START.length + header + bodyBytes
    if (mapBytes > this.#messageBytesMax) {
      throw new SaltError(
        'ERR_SALT_FRAME_TOO_LONG',
        `message of ${mapBytes} bytes, at most ${this.#messageBytesMax}`,
      )
    }
    this.#reserve(mapBytes + 4)
    this.#messages++
    const block = this.#block
    if (this.#prefixed) this.#at = block.writeUInt32BE(mapBytes, this.#at)
    this.#append(STANDARD_START)
    if (header === 2) this.#at = block.writeUInt16BE(0xc400 | bodyBytes, this.#at)
    else {
      block[this.#at++] = header === 3 ? 0xc5 : 0xc6
      this.#at =
        header === 3 ? block.writeUInt16BE(bodyBytes, this.#at) : block.writeUInt32BE(bodyBytes, this.#at)
    }
  }

  #append(bytes: Buffer): void {
    this.#block.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#block.length - this.#at >= bytes) return
    this.#seal()
    this.#block = Buffer.allocUnsafeSlow(Math.max(bytes, BLOCK_BYTES))
    this.#from = 0
    this.#at = 0
  }

  #seal(): void {
    if (this.#at === this.#from) return
    this.#full.push({ bytes: this.#block.subarray(this.#from, this.#at), messages: this.#messages })
    this.#from = this.#at
    this.#messages = 0
  }
}

/**
 * Bytes that may be kept for long: a copy, unless the view is most of the memory that it would keep alive.
 */
export function keepable(view: Buffer): Buffer {
  return view.length * 2 >= view.buffer.byteLength ? view : Buffer.from(view)
}
