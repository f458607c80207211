const SLOTS = 1024

interface Slot {
  readonly bytes: Uint8Array
  readonly text: string
}

/**
 * The strings of map keys seen lately, found by their bytes; events repeat the same few dozen keys.
 *
 * One slot a hash, the newest key stays: memory is bounded by 1,024 keys of 31 bytes.
 */
export class KeyCache {
  readonly #slots: (Slot | undefined)[] = new Array<Slot | undefined>(SLOTS).fill(undefined)

  /** The text of `length` bytes at `at`, all of which are there; `undefined` unless it is ASCII. */
  get(bytes: Buffer, at: number, length: number): string | undefined {
    let hash = length
    for (let index = 0; index < length; index++) {
      const byte = bytes[at + index] as number // the caller checked the length
      if (byte > 0x7f) return undefined
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    const index = (hash ^ (hash >>> 10)) & (SLOTS - 1)
    const slot = this.#slots[index]
    if (slot !== undefined && holds(slot.bytes, bytes, at, length)) return slot.text
    const text = bytes.toString('latin1', at, at + length)
    this.#slots[index] = { bytes: Uint8Array.prototype.slice.call(bytes, at, at + length), text }
    return text
  }
}

function holds(known: Uint8Array, bytes: Buffer, at: number, length: number): boolean {
  if (known.length !== length) return false
  for (let index = 0; index < length; index++) if (known[index] !== bytes[at + index]) return false
  return true
}
