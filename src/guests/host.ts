import { messageOf } from '../core/errors.ts'
import { Descriptions } from './descriptions.ts'
import type { Figures, GuestSource, MetadataValue } from './figures.ts'
import type { Guest } from './guest.ts'
import { Inventory, type OnChange } from './inventory.ts'

/** How old figures may be, in milliseconds, unless somebody asks otherwise. */
const MAX_AGE_MS = 1000

/** A guest as it is known, with figures where the host has given them. */
export interface GuestView extends Guest, Partial<Figures> {
  readonly state: number
  /** Only when asked for, and only of guests that have one. */
  readonly title?: string
  /** Elements of the metadata by namespace: only those that were asked for. */
  readonly metadata?: Readonly<Record<string, MetadataValue>>
}

/** A host and its guests at one moment. */
export interface HostView {
  /** What it is called here: its URI. */
  readonly host: string
  /** Its own name, once it was connected. */
  readonly hostname: string | undefined
  readonly isConnected: boolean
  /** Why it is not connected, or why its figures are missing or old. */
  readonly error: string | undefined
  readonly guests: readonly GuestView[]
}

/** What is wanted of a look at a host. */
export interface LookOptions {
  /** Figures that are older, in milliseconds, are asked for anew; default 1,000. */
  readonly maxAgeMs?: number | undefined
  /** Ask for titles, too: one question a guest whose title is not known yet. */
  readonly titles?: boolean | undefined
  /** Namespaces of metadata elements to ask for, every time. */
  readonly metadata?: readonly string[] | undefined
}

/** One connection that is there. */
export interface Attachment {
  readonly uri: string
  /** The host's own name, where it tells one. */
  readonly hostname?: string | undefined
  readonly source: GuestSource
}

/** One host: its guests as events keep them, and its figures, asked for in bulk when somebody wants them. */
export class Host {
  readonly inventory: Inventory
  #name: string
  /** Guests of which there were events since their figures were asked for. */
  #touched = new Set<string>()
  #figures: ReadonlyMap<string, Figures> = new Map()
  #asOf = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  #hostname: string | undefined
  #source: GuestSource | undefined
  #titles: Descriptions | undefined
  #error: string | undefined = 'not connected yet'

  constructor(name: string, onChange: OnChange = () => {}) {
    this.#name = name
    this.inventory = new Inventory((uuid, guest, event) => {
      this.#touched.add(uuid)
      onChange(uuid, guest, event)
    })
  }

  /** From now on the host answers. */
  attach({ uri, hostname, source }: Attachment): void {
    this.#name = uri
    this.#hostname = hostname ?? this.#hostname
    this.#source = source
    this.#titles = new Descriptions(source, [])
    this.#error = undefined
    this.#asOf = Number.NEGATIVE_INFINITY
  }

  /** The connection is lost; what is known stays. */
  detach(error: string): void {
    this.#source = undefined
    this.#titles = undefined
    this.#error = error
  }

  /** Its URI; before the first connection, what it was called when it was made. */
  get name(): string {
    return this.#name
  }

  get isConnected(): boolean {
    return this.#source !== undefined
  }

  get hostname(): string | undefined {
    return this.#hostname
  }

  /** A guest's definition may have changed, so that its title has to be asked for again. */
  redescribed(uuid: string): void {
    this.#titles?.invalidate(uuid)
  }

  /** All guests, with figures and titles as far as the host gives them; never fails, `error` says what is missing. */
  async look(options: LookOptions = {}): Promise<HostView> {
    const { maxAgeMs = MAX_AGE_MS } = options
    let error = this.#error
    try {
      if (this.#source && performance.now() - this.#asOf > maxAgeMs) await this.#askOnce(this.#source)
    } catch (failure) {
      error = messageOf(failure)
    }
    const guests = this.inventory.list().map((guest) => this.#view(guest))
    const { name: host, isConnected } = this
    const isDescribed = options.titles === true || options.metadata !== undefined
    const described = isDescribed
      ? await Promise.all(guests.map((guest) => this.#described(guest, options)))
      : guests
    return { host, hostname: this.#hostname, isConnected, error, guests: described }
  }

  /** Those who want figures at the same time share one question. */
  #askOnce(source: GuestSource): Promise<void> {
    this.#asking ??= this.#ask(source).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(source: GuestSource): Promise<void> {
    this.#touched = new Set()
    const startedAt = performance.now()
    this.#figures = await source.figures()
    this.#asOf = startedAt
  }

  #view(guest: Guest): GuestView {
    const figures = this.#figures.get(guest.uuid)
    if (!figures) return guest
    if (!this.#touched.has(guest.uuid)) return { ...guest, ...figures }
    // An event is newer than the figures: what it tells goes before, and its reason is not known.
    const { reason: _, ...rest } = figures
    return { ...rest, ...guest }
  }

  async #described(guest: GuestView, { titles, metadata }: LookOptions): Promise<GuestView> {
    try {
      const found = metadata
        ? await this.#source?.describe(guest.uuid, metadata)
        : await this.#titles?.get(guest.uuid)
      if (!found) return guest
      return {
        ...guest,
        ...(titles && found.title !== undefined && { title: found.title }),
        ...(metadata && { metadata: Object.fromEntries(found.metadata) }),
      }
    } catch {
      // A host that is lost in between has said so already; its guests are shown without descriptions.
      return guest
    }
  }
}
