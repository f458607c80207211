/** What goes wrong on purpose. */
export type Fault =
  /** Connections are closed as soon as they are made. */
  | { readonly kind: 'reject' }
  /** The call is refused with this number of `virErrorNumber`, and not executed. */
  | { readonly kind: 'refuse'; readonly code: number; readonly message?: string }
  /** The connection is closed when the call comes, `before` or `after` it was executed; there is no reply. */
  | { readonly kind: 'close'; readonly when: 'before' | 'after' }
  /** The call is executed and never answered. */
  | { readonly kind: 'swallow' }
  /** The reply waits for `ms` milliseconds; later ones overtake it. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Nothing more is sent on the connection: no reply, no event, no answer to keepalive. */
  | { readonly kind: 'stall' }
  /** Replies are kept until there are `count`, and then sent last first. */
  | { readonly kind: 'reorder'; readonly count: number }
  /** The packet ends after `bytes` bytes, and with it the connection; its length says otherwise. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** The length word says `bytes`. */
  | { readonly kind: 'length'; readonly bytes: number }
  /** That many bits are turned, in places that follow from `seed`. */
  | { readonly kind: 'flip'; readonly bits: number; readonly seed: number }
  /** The packet is sent twice. */
  | { readonly kind: 'duplicate' }
  /** The serial is `add` too high. */
  | { readonly kind: 'serial'; readonly add: number }
  /** Events are not sent. */
  | { readonly kind: 'forget' }
  /** The callback id of events is `add` too high. */
  | { readonly kind: 'callback'; readonly add: number }
  /** Keepalive is not answered. */
  | { readonly kind: 'no-pong' }
  /** The connection is cut once that many more bytes were sent on it, in the middle of a packet if it comes to that. */
  | { readonly kind: 'cut'; readonly afterBytes: number }

/** Which packets a fault is for, and how often. */
export interface FaultTarget {
  /**
   * A call by its name in remote_protocol.x, lower case without prefix: `domain_get_info`; an event by object and kind:
   * `domain/lifecycle`. All by default.
   */
  readonly procedure?: string
  /** The connection of that number, counted from 1 in the order of their coming; all by default. */
  readonly connection?: number
  /** How many that match pass unharmed first; 0 by default. */
  readonly skip?: number
  /** How often it strikes; 1 by default, Infinity for ever. */
  readonly times?: number
}

/** A fault that waits for its time; disposing of it takes it back. */
export interface ActiveFault extends Disposable {
  readonly fault: Fault
  /** How often it has struck. */
  readonly hits: number
}

/** What might be struck. */
export interface FaultPlace {
  readonly connection: number
  readonly procedure?: string | undefined
}

class Entry implements ActiveFault {
  readonly fault: Fault
  readonly #target: FaultTarget
  readonly #remove: (entry: Entry) => void
  #skip: number
  hits = 0

  constructor(fault: Fault, target: FaultTarget, remove: (entry: Entry) => void) {
    this.fault = fault
    this.#target = target
    this.#skip = target.skip ?? 0
    this.#remove = remove
  }

  /** Whether it strikes there; counts that it does. */
  strikes(place: FaultPlace): boolean {
    const { procedure, connection, times = 1 } = this.#target
    if (procedure !== undefined && procedure !== place.procedure) return false
    if (connection !== undefined && connection !== place.connection) return false
    if (this.#skip > 0) {
      this.#skip--
      return false
    }
    this.hits++
    if (this.hits >= times) this.#remove(this)
    return true
  }

  [Symbol.dispose](): void {
    this.#remove(this)
  }
}

/**
 * The faults of one simulator.
 *
 * @example
 * using fault = simulator.faults.add({ kind: 'close', when: 'after' }, { procedure: 'domain_suspend' })
 */
export class Faults {
  readonly #entries = new Set<Entry>()
  #hits = 0

  /** Whether any waits; without, nothing is looked at. */
  get isActive(): boolean {
    return this.#entries.size > 0
  }

  /** How often any has struck. */
  get hits(): number {
    return this.#hits
  }

  /** Adds a fault: by default it strikes the next packet that it fits, once. */
  add(fault: Fault, target: FaultTarget = {}): ActiveFault {
    const entry = new Entry(fault, target, (gone) => this.#entries.delete(gone))
    this.#entries.add(entry)
    return entry
  }

  /** Takes all back. */
  clear(): void {
    this.#entries.clear()
  }

  /** The faults of these kinds that strike at a place, in the order in which they were added. */
  at<Kind extends Fault['kind']>(
    kinds: readonly Kind[],
    place: FaultPlace,
  ): Extract<Fault, { kind: Kind }>[] {
    const struck: Extract<Fault, { kind: Kind }>[] = []
    for (const entry of [...this.#entries]) {
      if (!isOf(entry.fault, kinds) || !entry.strikes(place)) continue
      this.#hits++
      struck.push(entry.fault)
    }
    return struck
  }
}

function isOf<Kind extends Fault['kind']>(
  fault: Fault,
  kinds: readonly Kind[],
): fault is Extract<Fault, { kind: Kind }> {
  return (kinds as readonly string[]).includes(fault.kind)
}
