import { decode, type MsgpackValue } from '../msgpack/index.ts'

/** An event as it came from the wire of a bus. */
export class WireEvent {
  readonly tag: string
  /** The data as it came: one MessagePack map. */
  readonly payload: Buffer
  #data: MsgpackValue | undefined

  constructor(tag: string, payload: Buffer) {
    this.tag = tag
    this.payload = payload
  }

  /**
   * The data, decoded at the first use: a plain object, or a `Map` when a key of the outermost map is no string.
   * Doubles are numbers; who needs to tell 1.0 from 1 decodes `payload` with `{ floats: 'exact' }`.
   *
   * @throws {MsgpackError} when the bytes are no MessagePack, which a bus does not check.
   */
  get data(): MsgpackValue {
    this.#data ??= decode(this.payload)
    return this.#data
  }
}
