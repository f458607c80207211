import { globMatcher } from '../core/glob.ts'
import type { Description, Descriptions, MetadataValue } from '../guests/index.ts'

/** A guest has this element in its metadata, and where `text` is given, its text matches that glob. */
export interface MetadataFilter {
  /** Namespace of the element. */
  readonly uri: string
  readonly text?: string | undefined
}

/** Guests whose events are wanted: those that any of these fits. */
export interface GuestFilter {
  /** Globs over names. */
  readonly names?: readonly string[] | undefined
  readonly uuids?: readonly string[] | undefined
  readonly metadata?: readonly MetadataFilter[] | undefined
}

/** What is added to the data of events, under `virbus`. */
export interface Enrichment {
  /** The name that the host itself has. */
  readonly host?: boolean | undefined
  /** The guest's title. */
  readonly title?: boolean | undefined
  /** Namespaces of metadata elements. */
  readonly metadata?: readonly string[] | undefined
}

/** What becomes of an event: it is not wanted, or published with what is added to it. */
export type Decision = { readonly isWanted: false } | { readonly isWanted: true; readonly added?: Added }

/** The value of `virbus` in the data of an event. */
export type Added = Readonly<Record<string, unknown>>

/** Who an event is about. */
export interface Subject {
  readonly uuid: string
  readonly name: string
}

const NOT_WANTED: Decision = { isWanted: false }

/** Picks events by their guests and says what is added to them. */
export class GuestSelection {
  /** Namespaces of which guests are asked. */
  readonly namespaces: readonly string[]
  /** Whether guests have to be asked for anything beyond what events tell. */
  readonly asks: boolean
  readonly #filter: GuestFilter | undefined
  readonly #enrich: Enrichment
  readonly #matchesName: (name: string) => boolean
  readonly #uuids: ReadonlySet<string>
  readonly #metadata: readonly ((description: Description) => boolean)[]

  constructor(filter: GuestFilter | undefined, enrich: Enrichment = {}) {
    this.#filter = filter
    this.#enrich = enrich
    const names = (filter?.names ?? []).map((glob) => globMatcher(glob))
    this.#matchesName = (name) => names.some((matches) => matches(name))
    this.#uuids = new Set((filter?.uuids ?? []).map((uuid) => uuid.toLowerCase()))
    this.#metadata = (filter?.metadata ?? []).map(metadataMatcher)
    const wanted = [...(filter?.metadata ?? []).map(({ uri }) => uri), ...(enrich.metadata ?? [])]
    this.namespaces = [...new Set(wanted)]
    this.asks = enrich.title === true || this.namespaces.length > 0
  }

  /** What becomes of an event that is about no guest. */
  get other(): Decision {
    return this.#wanted(undefined)
  }

  /**
   * What becomes of an event about a guest: at once where all is known, else a promise. Fails when the host cannot be asked.
   */
  decide(subject: Subject, descriptions: Descriptions): Decision | Promise<Decision> {
    if (!this.asks) return this.#isNamed(subject) ? this.#wanted(undefined) : NOT_WANTED
    const known = descriptions.peek(subject.uuid)
    if (known) return this.#decide(subject, known)
    return descriptions.get(subject.uuid).then((description) => this.#decide(subject, description))
  }

  /** What becomes of an event whose guest cannot be asked: nothing is added, and no metadata fits. */
  decideUnasked(subject: Subject): Decision {
    return this.#decide(subject, undefined)
  }

  #isNamed({ name, uuid }: Subject): boolean {
    return !this.#filter || this.#matchesName(name) || this.#uuids.has(uuid)
  }

  #decide(subject: Subject, description: Description | undefined): Decision {
    const fits =
      this.#isNamed(subject) ||
      (description !== undefined && this.#metadata.some((matches) => matches(description)))
    return fits ? this.#wanted(description) : NOT_WANTED
  }

  #wanted(description: Description | undefined): Decision {
    const { title, metadata = [] } = this.#enrich
    if (!description || (!title && metadata.length === 0)) return { isWanted: true }
    const found = metadata.flatMap((uri) => {
      const value = description.metadata.get(uri)
      return value === undefined ? [] : [[uri, value] as const]
    })
    return {
      isWanted: true,
      added: {
        ...(title && description.title !== undefined && { title: description.title }),
        ...(found.length > 0 && { metadata: Object.fromEntries(found) }),
      },
    }
  }
}

function metadataMatcher({ uri, text }: MetadataFilter): (description: Description) => boolean {
  const matches = text === undefined ? () => true : globMatcher(text)
  return ({ metadata }) => {
    const value = metadata.get(uri)
    return value !== undefined && matches(textOf(value))
  }
}

function textOf(value: MetadataValue): string {
  return typeof value === 'string' ? value : String(value['#text'] ?? '')
}
