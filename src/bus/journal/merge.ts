type Row = Record<string, unknown>

/** A tag by its number, and the last event that has it. */
export interface KnownTag {
  readonly id: number
  readonly last: number
}

/** Where the events of some tags are found. */
export interface MergeOptions {
  readonly tags: readonly KnownTag[]
  readonly after: number
  readonly upTo: number
  readonly newestFirst: boolean
  /** The first event of a tag after `from` and up to `to`, or with the newest first the last one; undefined when there is none. */
  readonly nextOf: (tag: number, from: number, to: number) => number | undefined
  readonly rowOf: (sequence: number) => Row | undefined
}

interface Head {
  readonly tag: number
  readonly sequence: number
  /** Where there is no event: none is nearer, and it has to be looked for. */
  readonly isBound: boolean
}

/**
 * The events of several tags in the order of their sequences: the nearest of each tag waits in a heap. With the newest first that is known
 * from the tag alone, or a bound for it is, so that tags whose turn never comes are not looked up.
 */
export class MergedTags implements Iterable<Row> {
  readonly #options: MergeOptions
  readonly #heap: Head[] = []

  constructor(options: MergeOptions) {
    this.#options = options
  }

  *[Symbol.iterator](): Generator<Row> {
    const { tags, after, upTo, newestFirst, nextOf, rowOf } = this.#options
    for (const { id, last } of tags) {
      if (!newestFirst) this.#push(id, nextOf(id, after, upTo))
      else this.#push(id, Math.min(last, upTo), last > upTo)
    }
    for (let head = this.#pop(); head; head = this.#pop()) {
      const { tag, sequence, isBound } = head
      if (isBound) {
        this.#push(tag, nextOf(tag, after, sequence))
        continue
      }
      const row = rowOf(sequence)
      if (row) yield row
      this.#push(tag, newestFirst ? nextOf(tag, after, sequence - 1) : nextOf(tag, sequence, upTo))
    }
  }

  #isBefore(a: Head | undefined, b: Head | undefined): boolean {
    if (!a || !b) return false
    return this.#options.newestFirst ? a.sequence > b.sequence : a.sequence < b.sequence
  }

  #push(tag: number, sequence: number | undefined, isBound: boolean = false): void {
    if (sequence === undefined) return
    const heap = this.#heap
    heap.push({ tag, sequence, isBound })
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(heap[at], heap[parent])) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #pop(): Head | undefined {
    const heap = this.#heap
    const [top] = heap
    const last = heap.pop()
    if (!top || !last || heap.length === 0) return top
    heap[0] = last
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      const child = this.#isBefore(heap[right], heap[left]) ? right : left
      if (!this.#isBefore(heap[child], heap[at])) return top
      this.#swap(at, child)
      at = child
    }
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]]
    if (first && second) [this.#heap[a], this.#heap[b]] = [second, first]
  }
}
