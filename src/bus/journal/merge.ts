type Row = Record<string, unknown>

/** Where the events of some tags are found. */
export interface MergeOptions {
  readonly tags: readonly number[]
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
}

/** The events of several tags in the order of their sequences: the nearest of each tag waits in a heap. */
export class MergedTags implements Iterable<Row> {
  readonly #options: MergeOptions
  readonly #heap: Head[] = []

  constructor(options: MergeOptions) {
    this.#options = options
  }

  *[Symbol.iterator](): Generator<Row> {
    const { tags, after, upTo, newestFirst, nextOf, rowOf } = this.#options
    for (const tag of tags) this.#push(tag, nextOf(tag, after, upTo))
    for (let head = this.#pop(); head; head = this.#pop()) {
      const row = rowOf(head.sequence)
      if (row) yield row
      const { tag, sequence } = head
      this.#push(tag, newestFirst ? nextOf(tag, after, sequence - 1) : nextOf(tag, sequence, upTo))
    }
  }

  #isBefore(a: Head | undefined, b: Head | undefined): boolean {
    if (!a || !b) return false
    return this.#options.newestFirst ? a.sequence > b.sequence : a.sequence < b.sequence
  }

  #push(tag: number, sequence: number | undefined): void {
    if (sequence === undefined) return
    const heap = this.#heap
    heap.push({ tag, sequence })
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
