/** One event as it is kept. */
export interface JournalEntry {
  /** Grows by at least one with every event, and never comes twice, also over restarts. */
  readonly sequence: number
  /** When it was published, in milliseconds since 1970; never less than that of the one before. */
  readonly timeMs: number
  readonly tag: string
  readonly payload: Buffer
}

/** Sequence, time (doubles), bytes of tag and of payload (u32), all little endian. */
const HEAD_BYTES = 24
/** The least memory for a batch; otherwise as much as the one before has needed. */
const BATCH_BYTES = 16 * 1024

/** Puts entries one behind the other into one buffer, to be handed to another thread whole. */
export class EntryPacker {
  #buffer: Buffer = Buffer.alloc(0)
  #bytes = 0
  #bytesBefore = 0
  #count = 0

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#count
  }

  add({ sequence, timeMs, tag, payload }: JournalEntry): void {
    // A UTF-16 unit has at most three bytes in UTF-8.
    this.#reserve(HEAD_BYTES + tag.length * 3 + payload.length)
    const at = this.#bytes
    const tagBytes = this.#buffer.write(tag, at + HEAD_BYTES, 'utf8')
    this.#buffer.writeDoubleLE(sequence, at)
    this.#buffer.writeDoubleLE(timeMs, at + 8)
    this.#buffer.writeUInt32LE(tagBytes, at + 16)
    this.#buffer.writeUInt32LE(payload.length, at + 20)
    payload.copy(this.#buffer, at + HEAD_BYTES + tagBytes)
    this.#bytes = at + HEAD_BYTES + tagBytes + payload.length
    this.#count++
  }

  /** Takes what waits; its memory belongs to the caller, to be transferred. */
  take(): Buffer {
    const batch = this.#buffer.subarray(0, this.#bytes)
    this.#buffer = Buffer.alloc(0)
    this.#bytesBefore = this.#bytes
    this.#bytes = 0
    this.#count = 0
    return batch
  }

  #reserve(bytes: number): void {
    const wanted = this.#bytes + bytes
    if (wanted <= this.#buffer.length) return
    // Never from the pool of small buffers, whose memory is shared and cannot be transferred.
    const larger = Buffer.allocUnsafeSlow(
      Math.max(BATCH_BYTES, wanted, this.#bytesBefore, this.#buffer.length * 2),
    )
    this.#buffer.copy(larger, 0, 0, this.#bytes)
    this.#buffer = larger
  }
}

/** The entries of a packed buffer; payloads are views into it. */
export function* unpackEntries(batch: Uint8Array): Generator<JournalEntry> {
  const buffer = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength)
  for (let at = 0; at < buffer.length; ) {
    const tagAt = at + HEAD_BYTES
    const payloadAt = tagAt + buffer.readUInt32LE(at + 16)
    const end = payloadAt + buffer.readUInt32LE(at + 20)
    yield {
      sequence: buffer.readDoubleLE(at),
      timeMs: buffer.readDoubleLE(at + 8),
      tag: buffer.toString('utf8', tagAt, payloadAt),
      payload: buffer.subarray(payloadAt, end),
    }
    at = end
  }
}
