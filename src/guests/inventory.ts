import { EVENT, type Guest, type Happening, isActive, STATE } from './guest.ts'
import { after, again, between } from './reconcile.ts'

/** What has to be told so that everybody knows what is. */
export interface Resync {
  readonly happenings: readonly Happening[]
  /** Guests that are there now. */
  readonly guests: number
}

/** Told about each guest that is known otherwise after an event (virDomainEventType); undefined when it is no more. */
export type OnChange = (uuid: string, guest: Guest | undefined, event: number) => void

/** The guests of one host as its events have told them. */
export class Inventory {
  readonly #guests = new Map<string, Guest>()
  readonly #onChange: OnChange
  #uncertain: ReadonlyMap<string, number> = new Map()
  #isKnown = false

  constructor(onChange: OnChange = () => {}) {
    this.#onChange = onChange
  }

  /** Whether the host has ever been looked at: before that, nothing that is found has happened unseen. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  get size(): number {
    return this.#guests.size
  }

  /** All guests, in the order in which they came to be known. */
  list(): Guest[] {
    return [...this.#guests.values()]
  }

  get(uuid: string): Guest | undefined {
    return this.#guests.get(uuid)
  }

  /** Takes one lifecycle event in. */
  apply(happening: Happening): void {
    const { uuid } = happening.guest
    const guest = after(this.#guests.get(uuid), happening)
    if (guest) this.#guests.set(uuid, guest)
    else this.#guests.delete(uuid)
    this.#onChange(uuid, guest, happening.event)
  }

  /**
   * Takes guests for those that were told: what a run before this one has left. `uncertain`: the last events of those of which it is
   * not known whether they were told; they are told again. `onChange` is not called.
   */
  fill(guests: readonly Guest[], uncertain: ReadonlyMap<string, number> = new Map()): void {
    this.#isKnown = true
    this.#uncertain = uncertain
    for (const guest of guests) this.#guests.set(guest.uuid, guest)
  }

  /**
   * Compares what was told with what is, and returns the events that happened unseen; they are taken in.
   *
   * `seen`: events that came while the guests were listed. A guest of which there are any is compared with the state
   * that its first one needs, because nobody knows on which side of it the list was made.
   */
  resync(listed: readonly Guest[], seen: readonly Happening[] = []): Resync {
    const now = new Map<string, Guest | undefined>(listed.map((guest) => [guest.uuid, guest]))
    for (const [uuid, happenings] of byGuest(seen))
      now.set(uuid, stateBefore(happenings, { known: this.#guests.get(uuid), listed: now.get(uuid) }))
    this.#isKnown = true
    const happenings: Happening[] = []
    for (const uuid of new Set([...this.#guests.keys(), ...now.keys()])) {
      const story = between(this.#guests.get(uuid), now.get(uuid))
      const guest = this.#guests.get(uuid)
      const event = this.#uncertain.get(uuid)
      if (story.length === 0 && guest && event !== undefined) story.push(again(guest, event))
      happenings.push(...story)
    }
    this.#uncertain = new Map()
    for (const happening of happenings) this.apply(happening)
    return { happenings, guests: this.#guests.size }
  }
}

function byGuest(happenings: readonly Happening[]): Map<string, Happening[]> {
  const groups = new Map<string, Happening[]>()
  for (const happening of happenings) {
    const { uuid } = happening.guest
    groups.set(uuid, [...(groups.get(uuid) ?? []), happening])
  }
  return groups
}

/**
 * The state of a guest before the events of the time of listing. What these do not touch, the list knows: whether it is
 * kept, when it was neither defined nor undefined; whether it runs, when it neither started nor stopped. What they touch, they need
 * to have been in a certain state before; where that leaves a choice, it is what was known.
 */
function stateBefore(
  happenings: readonly Happening[],
  { known, listed }: { known: Guest | undefined; listed: Guest | undefined },
): Guest | undefined {
  const definition = happenings.find(({ event }) => event === EVENT.defined || event === EVENT.undefined)
  const run = happenings.find(({ event }) => event !== EVENT.defined && event !== EVENT.undefined)
  const persistent = definition
    ? definition.event === EVENT.undefined || (known?.persistent ?? false)
    : (listed?.persistent ?? false)
  const { state, id } = run ? runBefore(run, known) : (listed ?? { state: STATE.shutoff, id: -1 })
  const { uuid = '', name = '' } = happenings[0]?.guest ?? {}
  if (!persistent && id < 0) return undefined
  return { uuid, name, id, state, persistent }
}

/** The state nearest to `known` in which an event that starts, stops or changes a running guest can happen. */
function runBefore({ guest, event }: Happening, known: Guest | undefined): { state: number; id: number } {
  const wasActive = known !== undefined && isActive(known)
  if (event === EVENT.started) return { state: STATE.shutoff, id: -1 }
  const id = guest.id >= 0 ? guest.id : wasActive ? known.id : 0
  if (event === EVENT.resumed)
    return { state: known?.state === STATE.pmsuspended ? STATE.pmsuspended : STATE.paused, id }
  if (event === EVENT.stopped && wasActive) return { state: known.state, id }
  return { state: STATE.running, id }
}
