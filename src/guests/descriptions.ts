import type { Description, GuestSource } from './figures.ts'
import { EVENT, type Happening } from './guest.ts'

/** Guests whose descriptions are remembered; of more, those that were asked for longest ago are asked again. */
const GUESTS_MAX = 16_384

/**
 * Titles and metadata of one host's guests, asked for once and again when an event says that they may be others.
 * After a guest has gone, what was known of it stays until the event that says so has been told.
 */
export class Descriptions {
  readonly #known = new Map<string, Description>()
  readonly #stale = new Set<string>()
  readonly #source: GuestSource
  readonly #namespaces: readonly string[]

  constructor(source: GuestSource, namespaces: readonly string[]) {
    this.#source = source
    this.#namespaces = namespaces
  }

  /** What is known and still so; undefined when it has to be asked for. */
  peek(uuid: string): Description | undefined {
    return this.#stale.has(uuid) ? undefined : this.#known.get(uuid)
  }

  /** Asks where that is needed. A guest that is gone has what it had last. Fails as the source does. */
  async get(uuid: string): Promise<Description | undefined> {
    const known = this.peek(uuid)
    if (known) return known
    const asked = await this.#source.describe(uuid, this.#namespaces)
    if (!asked) return this.#known.get(uuid)
    this.#stale.delete(uuid)
    this.#known.delete(uuid)
    this.#known.set(uuid, asked)
    const [oldest] = this.#known.keys()
    if (this.#known.size > GUESTS_MAX && oldest !== undefined) this.forget(oldest)
    return asked
  }

  /** The guest may be described otherwise from now on. */
  invalidate(uuid: string): void {
    if (this.#known.has(uuid)) this.#stale.add(uuid)
  }

  /** After a lifecycle event: a new definition, a run with or without what was changed for the run alone. */
  heed({ guest, event }: Happening): void {
    if (event === EVENT.defined || event === EVENT.started || event === EVENT.stopped)
      this.invalidate(guest.uuid)
  }

  /** Any guest may be described otherwise from now on. */
  clear(): void {
    for (const uuid of this.#known.keys()) this.#stale.add(uuid)
  }

  forget(uuid: string): void {
    this.#known.delete(uuid)
    this.#stale.delete(uuid)
  }
}
