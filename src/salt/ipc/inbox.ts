import type { EventQueue } from '../../core/event-queue.ts'
import type { WireEvent } from '../wire-event.ts'
import type { SaltEventClient } from './client.ts'

/** An event, or why no more will come. */
export type Reading = { readonly event: WireEvent } | { readonly lost: unknown }

/** Every event of a connection, read one at a time by who may stop waiting and come back for the same one. */
export class EventInbox implements AsyncDisposable {
  readonly #client: SaltEventClient
  readonly #queue: EventQueue<WireEvent>
  #next: Promise<Reading> | undefined

  constructor(client: SaltEventClient) {
    this.#client = client
    this.#queue = client.events()
  }

  /** Events that were dropped because too many waited. */
  get dropped(): number {
    return this.#queue.dropped
  }

  /** The oldest that nobody has taken: the same one until {@link taken}. */
  next(): Promise<Reading> {
    this.#next ??= this.#queue.next().then(
      ({ done, value }) => (done ? { lost: undefined } : { event: value }),
      (lost: unknown) => ({ lost }),
    )
    return this.#next
  }

  /** The next call of {@link next} asks for another one. */
  taken(): void {
    this.#next = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }
}
