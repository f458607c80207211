import { BusError } from './errors.ts'
import type { JournalEntry } from './journal/entry.ts'

/** Data of an event: a map with string keys, as Salt wants it. */
export type EventData = Readonly<Record<string, unknown>>

/** How data becomes the bytes that travel and back. The bus itself knows no format. */
export interface PayloadCodec {
  encode(data: EventData): Buffer
  decode(payload: Buffer): EventData
}

/**
 * One event: a tag and its data, either as a value, or as the bytes in which it came.
 * Each form is made from the other at most once and only when somebody asks: an event that is only passed on is never decoded.
 */
export class BusEvent {
  readonly tag: string
  /** Its place in the journal; undefined before it is published, or when it is not kept. */
  sequence: number | undefined
  /** When it was published, in milliseconds since 1970; known only of events of the past. */
  timeMs: number | undefined
  readonly #codec: PayloadCodec
  #data: EventData | undefined
  #payload: Buffer | undefined

  private constructor(
    tag: string,
    codec: PayloadCodec,
    data: EventData | undefined,
    payload: Buffer | undefined,
  ) {
    if (tag === '') throw new BusError('ERR_BUS_TAG_EMPTY', 'an event needs a tag')
    this.tag = tag
    this.#codec = codec
    this.#data = data
    this.#payload = payload
  }

  /** An event made here. `data` must not be changed afterwards. @throws {BusError} `ERR_BUS_TAG_EMPTY` */
  static of(tag: string, data: EventData, codec: PayloadCodec): BusEvent {
    return new BusEvent(tag, codec, data, undefined)
  }

  /** An event that came as bytes, which are kept. @throws {BusError} `ERR_BUS_TAG_EMPTY` */
  static ofPayload(tag: string, payload: Buffer, codec: PayloadCodec): BusEvent {
    return new BusEvent(tag, codec, undefined, payload)
  }

  /** An event of the past. */
  static ofEntry({ tag, payload, sequence, timeMs }: JournalEntry, codec: PayloadCodec): BusEvent {
    const event = BusEvent.ofPayload(tag, payload, codec)
    event.sequence = sequence
    event.timeMs = timeMs
    return event
  }

  /** The data as a value. @throws what the codec throws, when the event came as bytes that are not data. */
  get data(): EventData {
    this.#data ??= this.#codec.decode(this.payload)
    return this.#data
  }

  /** The data as bytes. */
  get payload(): Buffer {
    // One of the two is always there; data is only absent when the payload was given.
    this.#payload ??= this.#codec.encode(this.#data ?? {})
    return this.#payload
  }
}
