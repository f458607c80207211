/** What can be chosen, with how much weight. */
export type Weighted<T> = readonly (readonly [weight: number, item: T])[]

/**
 * Numbers that look random and follow from a seed alone: mulberry32, one 32-bit word of state.
 * For scripts of activity, not for secrets.
 */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 inclusive to 1 exclusive. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number from 0 to `end`, exclusive. */
  integer(end: number): number {
    return Math.floor(this.next() * end)
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T // the index is inside
  }

  /** One item, each as often as its weight says. */
  weighted<T>(items: Weighted<T>): T {
    const total = items.reduce((sum, [weight]) => sum + weight, 0)
    let rest = this.next() * total
    for (const [weight, item] of items) {
      rest -= weight
      if (rest < 0) return item
    }
    return (items.at(-1) as readonly [number, T])[1] // only rounding leads here; items is not empty
  }

  /** A version 4 UUID. */
  uuid(): string {
    const hex = Array.from({ length: 4 }, () =>
      Math.floor(this.next() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0'),
    ).join('')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
  }
}
