import { type Header, isContainer, readHeader, tooDeep, tooLong, WHOLE } from './header.ts'
import { INCOMPLETE, type MeasureLimits } from './measure.ts'
import { DEPTH_MAX } from './values.ts'

/**
 * Finds where a value ends while its bytes arrive: each call goes on where the last one stopped, so that the whole costs
 * time in proportion to the bytes, however they are cut.
 */
export class Measurer {
  readonly #depthMax: number
  readonly #bytesMax: number
  /** Elements still to come, one number a level; the first is the value itself. */
  readonly #left: number[] = [1]
  readonly #header: Header = { next: 0, items: 0 }
  #at = 0

  constructor(limits?: MeasureLimits) {
    this.#depthMax = limits?.depthMax ?? DEPTH_MAX
    this.#bytesMax = limits?.bytesMax ?? Number.POSITIVE_INFINITY
  }

  /**
   * Looks at all bytes of the value so far, from its first; at each call the same ones and more.
   * Gives the value's size, or {@link INCOMPLETE}.
   *
   * @throws {MsgpackError} ERR_MSGPACK_TYPE, ERR_MSGPACK_DEPTH or ERR_MSGPACK_LIMIT when no further bytes can mend it.
   */
  resume(bytes: Buffer): number {
    while (this.#left.length > 0) {
      if (this.#at >= bytes.length || !this.#step(bytes)) return INCOMPLETE
    }
    return this.#at <= bytes.length ? this.#at : INCOMPLETE
  }

  #step(bytes: Buffer): boolean {
    const whole = WHOLE[bytes[this.#at] as number] as number // #at < bytes.length; the table has 256 entries
    const header = this.#header
    if (whole > 0) {
      header.next = this.#at + whole
      header.items = 0
    } else if (!readHeader(bytes, this.#at, bytes.length, header)) return false
    else if (header.items > 0 || isContainer(bytes[this.#at] as number)) this.#checkDepth()
    this.#at = header.next
    if (this.#at + header.items > this.#bytesMax) throw tooLong(this.#bytesMax)
    this.#count(header.items)
    return true
  }

  /** Takes one element off the innermost level, which is closed with the levels around it when it was their last. */
  #count(items: number): void {
    const left = this.#left
    left[left.length - 1] = (left.at(-1) as number) - 1 // resume checked that a level is open
    if (items > 0) left.push(items)
    while (left.at(-1) === 0) left.pop()
  }

  #checkDepth(): void {
    if (this.#left.length > this.#depthMax) throw tooDeep(this.#depthMax)
  }
}
