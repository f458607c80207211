import type { Bus } from '../bus.ts'
import { BusEvent, type PayloadCodec } from '../event.ts'
import type { Journal } from './journal.ts'

/** Events that may wait before the reader is sent back to the journal for them. */
const LIVE_MAX = 4096

/** From where to follow, and what. */
export interface FollowOptions {
  /** Glob over tags; all by default. */
  readonly pattern?: string | undefined
  /** The last sequence that the reader has. */
  readonly after: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Events of the journal after a sequence, and then those that are published, without a gap and none twice. A reader that does not keep up
 * gets what it missed from the journal; `lost` counts what is not there either.
 */
export class Followed implements AsyncIterable<BusEvent> {
  readonly #bus: Bus
  readonly #journal: Journal
  readonly #codec: PayloadCodec
  readonly #options: FollowOptions
  #lost = 0

  constructor(parts: { bus: Bus; journal: Journal; codec: PayloadCodec }, options: FollowOptions) {
    this.#bus = parts.bus
    this.#journal = parts.journal
    this.#codec = parts.codec
    this.#options = options
  }

  /** Events that were published and reached this reader neither at once nor from the journal. */
  get lost(): number {
    return this.#lost
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BusEvent> {
    const { pattern = '*', signal } = this.#options
    let last = this.#options.after
    for (;;) {
      const live = this.#bus.subscribe(pattern, { limit: LIVE_MAX, signal })
      try {
        // What is published from here on comes live; what was published before is in the journal.
        const upTo = this.#journal.stats.sequence
        for await (const entry of this.#journal.history({ pattern, after: last, upTo, signal })) {
          last = entry.sequence
          yield BusEvent.ofEntry(entry, this.#codec)
        }
        last = Math.max(last, upTo)
        for await (const event of live) {
          if (live.dropped > 0) break
          yield event
          last = event.sequence ?? last
        }
        if (live.dropped === 0) return
        // A journal that is not written has nothing of what was dropped.
        if (this.#journal.stats.isBroken) this.#lost += live.dropped
      } finally {
        await live.return()
      }
    }
  }
}
