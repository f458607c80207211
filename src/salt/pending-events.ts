import { type MatchType, tagMatcher } from './tag-match.ts'
import type { WireEvent } from './wire-event.ts'

interface Subscription {
  readonly tag: string
  readonly matchType: MatchType
  readonly matches: (tag: string) => boolean
}

/**
 * Events that somebody subscribed to and that came while another tag was waited for: `pending_tags` and `pending_events` of
 * `salt.utils.event.SaltEvent`.
 */
export class PendingEvents {
  readonly #limit: number
  readonly #subscriptions: Subscription[] = []
  #events: WireEvent[] = []
  #dropped = 0

  /** `limit`: events that may be kept; beyond it the oldest are dropped. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get events(): readonly WireEvent[] {
    return this.#events
  }

  get dropped(): number {
    return this.#dropped
  }

  subscribe(tag: string, matchType: MatchType): void {
    this.#subscriptions.push({ tag, matchType, matches: tagMatcher(tag, matchType) })
  }

  /** The same tag may be subscribed to more than once; one of them goes. */
  unsubscribe(tag: string, matchType: MatchType): void {
    const at = this.#subscriptions.findIndex((one) => one.tag === tag && one.matchType === matchType)
    if (at !== -1) this.#subscriptions.splice(at, 1)
    this.#events = this.#events.filter((event) => this.#isWanted(event))
  }

  /** Keeps an event that is subscribed to. */
  offer(event: WireEvent): void {
    if (!this.#isWanted(event)) return
    this.#events.push(event)
    if (this.#events.length <= this.#limit) return
    this.#events.shift()
    this.#dropped++
  }

  /** The oldest that matches. Those that neither match nor are subscribed to any more are forgotten by the way. */
  take(matches: (tag: string) => boolean): WireEvent | undefined {
    const matching = this.#events.filter(({ tag }) => matches(tag))
    const [found] = matching
    this.#events = this.#events.filter(
      (event) => event !== found && (matching.includes(event) || this.#isWanted(event)),
    )
    return found
  }

  clear(): void {
    this.#events = []
  }

  #isWanted({ tag }: WireEvent): boolean {
    return this.#subscriptions.some(({ matches }) => matches(tag))
  }
}
