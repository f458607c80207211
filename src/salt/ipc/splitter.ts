import { INCOMPLETE, Measurer, MsgpackError, measure } from '../../msgpack/index.ts'
import { SaltError } from '../errors.ts'
import type { Framing } from './dialect.ts'
import { MESSAGE_BYTES_MAX, STANDARD_START } from './frame.ts'

/** Length, standard start and the longest header of a body: with so many bytes the size of a standard message is known. */
const HEADER_BYTES_MAX = 21

const START_BYTES = STANDARD_START.length
/** {@link STANDARD_START} as words, which compare faster. */
const [START_1, START_2, START_3] = [0x82a46865, 0x616480a4, 0x626f6479]
const BODY_KEY = Buffer.from('body')

/**
 * Cuts the bytes of one connection into message bodies, whatever the pieces they come in.
 *
 * The first byte tells the framing: a map (0x80 … 0x8f, 0xde, 0xdf), or the high byte (0x00, 0x01) of a length.
 * Time and memory are in proportion to the bytes. A body is handed on as a view, valid for as long as it is kept, which keeps
 * alive the piece that it came in.
 */
export class MessageSplitter {
  readonly #onBody: (body: Buffer) => void
  readonly #bytesMax: number
  #framing: Framing | undefined
  /** The beginning of a message that is not complete, in `#pending[0 … #length]`. */
  #pending: Buffer = Buffer.alloc(0)
  #length = 0
  /** Bytes of the pending message; 0 while they are not known. */
  #target = 0
  /** Finds the end of a pending message without a length and without the standard start. */
  #measurer: Measurer | undefined
  /** Where the body of the message at hand is; set by {@link #standard}. */
  #bodyFrom = 0
  #bodyTo = 0

  /** `messageBytesMax`: at most {@link MESSAGE_BYTES_MAX}, the default. */
  constructor(options: { onBody: (body: Buffer) => void; messageBytesMax?: number | undefined }) {
    this.#onBody = options.onBody
    this.#bytesMax = Math.min(options.messageBytesMax ?? MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX)
  }

  /** How this connection cuts messages; `undefined` before its first byte. */
  get framing(): Framing | undefined {
    return this.#framing
  }

  /** Bytes of a message whose end has not come. */
  get pendingBytes(): number {
    return this.#length
  }

  /**
   * Takes the next piece and hands on each body that is complete with it.
   *
   * @throws {SaltError} ERR_SALT_FRAME or ERR_SALT_FRAME_TOO_LONG; the bodies before the fault were handed on, and the
   * connection is beyond repair.
   */
  push(chunk: Buffer): void {
    try {
      let at = this.#length > 0 ? this.#continue(chunk) : 0
      while (at < chunk.length) at = this.#next(chunk, at)
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error
      if (error.code === 'ERR_MSGPACK_LIMIT') throw this.#tooLong(error)
      throw new SaltError('ERR_SALT_FRAME', 'bytes that are no message', { cause: error })
    }
  }

  /** Handles the message that begins at `at`; gives where the next begins, which is the end when this one is not complete. */
  #next(chunk: Buffer, at: number): number {
    this.#framing ??= framingOf(chunk[at] as number) // at < chunk.length
    const size = this.#framing === 'prefixed' ? this.#prefixedSize(chunk, at) : this.#bareSize(chunk, at)
    if (size === INCOMPLETE || at + size > chunk.length) {
      this.#stash(chunk, at, size)
      return chunk.length
    }
    this.#deliver(chunk, at, at + size)
    return at + size
  }

  /** Adds to the pending message what belongs to it; gives where in `chunk` the next one begins. */
  #continue(chunk: Buffer): number {
    const wanted = (this.#target > 0 ? this.#target : HEADER_BYTES_MAX) - this.#length
    const taken = this.#measurer ? chunk.length : Math.min(wanted, chunk.length)
    this.#append(chunk, 0, taken)
    const pending = this.#pending.subarray(0, this.#length)
    if (this.#target === 0) this.#target = Math.max(0, this.#pendingSize(pending))
    if (this.#target === 0 || this.#target > this.#length) {
      if (taken === chunk.length) return taken
      return taken + this.#continue(chunk.subarray(taken))
    }
    const surplus = this.#length - this.#target
    const message = pending.subarray(0, this.#target)
    this.#pending = Buffer.alloc(0)
    this.#length = 0
    this.#target = 0
    this.#measurer = undefined
    this.#deliver(message, 0, message.length)
    return taken - surplus
  }

  #pendingSize(pending: Buffer): number {
    if (this.#measurer) return this.#measurer.resume(pending)
    return this.#framing === 'prefixed' ? this.#prefixedSize(pending, 0) : this.#bareSize(pending, 0)
  }

  #stash(chunk: Buffer, at: number, size: number): void {
    this.#target = Math.max(0, size)
    this.#append(chunk, at, chunk.length)
    if (size === INCOMPLETE && this.#measurer) this.#measurer.resume(this.#pending.subarray(0, this.#length))
  }

  /** Grows by doubling, never beyond the message: a length that is only claimed costs nothing. */
  #append(chunk: Buffer, from: number, to: number): void {
    const needed = this.#length + to - from
    if (needed > this.#pending.length) {
      const doubled = Math.max(this.#pending.length * 2, 1024)
      const larger = Buffer.allocUnsafeSlow(
        Math.max(needed, this.#target > 0 ? Math.min(doubled, this.#target) : doubled),
      )
      this.#pending.copy(larger, 0, 0, this.#length)
      this.#pending = larger
    }
    chunk.copy(this.#pending, this.#length, from, to)
    this.#length = needed
  }

  /** Length word and message together, or {@link INCOMPLETE} while the length word is. */
  #prefixedSize(bytes: Buffer, at: number): number {
    if (bytes.length - at < 4) return INCOMPLETE
    const length = bytes.readUInt32BE(at)
    if (length > this.#bytesMax) throw this.#tooLong()
    return 4 + length
  }

  #bareSize(bytes: Buffer, at: number): number {
    const standard = this.#standard(bytes, at, bytes.length)
    if (standard === 'cut') return INCOMPLETE
    if (standard === 'yes') {
      if (this.#bodyTo - at > this.#bytesMax) throw this.#tooLong()
      return this.#bodyTo - at
    }
    framingOf(bytes[at] as number) // at < bytes.length; throws on what is no map
    const limits = { bytesMax: this.#bytesMax }
    const end = measure(bytes, at, limits)
    if (end !== INCOMPLETE) return end - at
    this.#measurer = new Measurer(limits)
    return INCOMPLETE
  }

  /** Whether the standard start and the header of its body stand at `at`; `cut` when the bytes end before that is clear. */
  #standard(bytes: Buffer, at: number, end: number): 'yes' | 'no' | 'cut' {
    if (end - at < START_BYTES + 2) return startsLikeStandard(bytes, at, end) ? 'cut' : 'no'
    if (
      bytes.readUInt32BE(at) !== START_1 ||
      bytes.readUInt32BE(at + 4) !== START_2 ||
      bytes.readUInt32BE(at + 8) !== START_3
    ) {
      return 'no'
    }
    return this.#content(bytes, at + START_BYTES, end)
  }

  /** Finds the content of a bin, or of the str that `frame_msg` makes of the body. */
  #content(bytes: Buffer, at: number, end: number): 'yes' | 'no' | 'cut' {
    const byte = bytes[at] as number // callers check that at < end
    let width: number
    if (byte === 0xc4 || byte === 0xd9) width = 1
    else if (byte === 0xc5 || byte === 0xda) width = 2
    else if (byte === 0xc6 || byte === 0xdb) width = 4
    else if (byte >= 0xa0 && byte < 0xc0) width = 0
    else return 'no'
    if (at + 1 + width > end) return 'cut'
    this.#bodyFrom = at + 1 + width
    this.#bodyTo = this.#bodyFrom + (width === 0 ? byte & 0x1f : bytes.readUIntBE(at + 1, width))
    return 'yes'
  }

  #deliver(bytes: Buffer, from: number, to: number): void {
    const at = this.#framing === 'prefixed' ? from + 4 : from
    if (this.#standard(bytes, at, to) !== 'yes' || this.#bodyTo !== to) this.#findBody(bytes, at, to)
    this.#onBody(bytes.subarray(this.#bodyFrom, this.#bodyTo))
  }

  /** Walks over a map in another form than the standard one: its keys in any order, and more of them. */
  #findBody(all: Buffer, from: number, to: number): void {
    const bytes = all.subarray(0, to)
    const limits = { bytesMax: to - from }
    if (from >= to || framingOf(bytes[from] as number) !== 'bare' || measure(bytes, from, limits) !== to) {
      throw new SaltError('ERR_SALT_FRAME', 'a message that is not one map')
    }
    const byte = bytes[from] as number // from < to
    const entries =
      byte === 0xdf
        ? bytes.readUInt32BE(from + 1)
        : byte === 0xde
          ? bytes.readUInt16BE(from + 1)
          : byte & 0x0f
    let at = from + (byte === 0xdf ? 5 : byte === 0xde ? 3 : 1)
    for (let left = entries; left > 0; left--) {
      const isBody =
        this.#content(bytes, at, to) === 'yes' &&
        BODY_KEY.equals(bytes.subarray(this.#bodyFrom, this.#bodyTo))
      at = measure(bytes, at)
      if (isBody && this.#content(bytes, at, to) === 'yes') return
      at = measure(bytes, at)
    }
    throw new SaltError('ERR_SALT_FRAME', 'a message without a body')
  }

  #tooLong(cause?: unknown): SaltError {
    return new SaltError('ERR_SALT_FRAME_TOO_LONG', `a message longer than ${this.#bytesMax} bytes`, {
      cause,
    })
  }
}

/** What the first byte of a connection, or of a bare message, says. */
function framingOf(byte: number): Framing {
  if (byte <= 0x01) return 'prefixed'
  if ((byte >= 0x80 && byte < 0x90) || byte === 0xde || byte === 0xdf) return 'bare'
  throw new SaltError('ERR_SALT_FRAME', `byte 0x${byte.toString(16).padStart(2, '0')} begins no message`)
}

function startsLikeStandard(bytes: Buffer, at: number, end: number): boolean {
  const length = Math.min(end - at, START_BYTES)
  return STANDARD_START.subarray(0, length).equals(bytes.subarray(at, at + length))
}
