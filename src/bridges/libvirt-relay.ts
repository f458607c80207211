import { BusEvent } from '../bus/index.ts'
import { messageOf } from '../core/errors.ts'
import { Descriptions, type Happening, type Host, type HostMemory } from '../guests/index.ts'
import type { Connection, ConnectionEvent, EventStream, LibvirtEvent } from '../libvirt/index.ts'
import { type Added, type Decision, GuestSelection } from './guest-selection.ts'
import { eventData, uriTag } from './libvirt-event-data.ts'
import type { NamedKind } from './libvirt-event-names.ts'
import { eventOf, happeningOf, LibvirtGuestSource, listGuests } from './libvirt-guests.ts'
import type { EngineStats, LibvirtToBusOptions } from './libvirt-to-bus.ts'

/** The prefix that the Salt engine has by default. */
export const DEFAULT_TAG_PREFIX = 'salt/engines/libvirt_events'

/** Guests that are asked for their descriptions at the same time. */
const ASKERS = 4

/** What goes from one connection to the bus. */
export interface RelayParts {
  readonly connection: Connection
  readonly events: EventStream
  /** Kinds that are published; those that keep the inventory come in any case. */
  readonly kinds: readonly NamedKind[]
  /** The guests as their events have told them; it outlives connections. */
  readonly host: Host
  /** What an earlier run has left. */
  readonly memory: HostMemory | undefined
  readonly stats: EngineStats
}

/**
 * Publishes the events of one connection. After a loss it compares the guests with those that were told, and publishes what happened
 * unseen before anything that was seen since.
 */
export class Relay {
  readonly #parts: RelayParts
  readonly #options: LibvirtToBusOptions
  readonly #prefix: string
  readonly #tags: ReadonlyMap<string, string>
  readonly #names: ReadonlyMap<string, string>
  readonly #hasLifecycle: boolean
  readonly #selection: GuestSelection
  readonly #source: LibvirtGuestSource
  readonly #descriptions: Descriptions
  #hostname: string | undefined
  #dropped = 0

  constructor(parts: RelayParts, options: LibvirtToBusOptions) {
    this.#parts = parts
    this.#options = options
    this.#prefix = `${options.tagPrefix ?? DEFAULT_TAG_PREFIX}/${uriTag(parts.connection.uri)}`
    this.#tags = new Map(
      parts.kinds.map(({ object, name, kind }) => [
        `${object}/${kind.kind}`,
        `${this.#prefix}/${object}/${name}`,
      ]),
    )
    this.#names = new Map(parts.kinds.map(({ kind, name }) => [kind.kind, name]))
    this.#hasLifecycle = !parts.events.skipped.some(
      ({ kind }) => kind.object === 'domain' && kind.kind === 'lifecycle',
    )
    this.#selection = new GuestSelection(options.guests, options.enrich)
    this.#source = new LibvirtGuestSource(parts.connection)
    this.#descriptions = new Descriptions(this.#source, this.#selection.namespaces)
  }

  /** Until the connection has ended; `onReconnected` is told how long events may have been missed, in milliseconds. */
  async run(onReconnected: (gapMs: number) => void): Promise<void> {
    const { host, memory, connection } = this.#parts
    let gapMs = 0
    try {
      if (!host.inventory.isKnown) {
        const remembered = memory?.recall(connection.uri)
        if (remembered) {
          host.inventory.fill(remembered.guests, remembered.uncertain)
          // The clock of another run may have been ahead.
          gapMs = Math.max(0, Date.now() - remembered.seenMs)
        }
      }
      await this.#arrive(gapMs, onReconnected)
      for await (const event of this.#parts.events) await this.#handle(event, onReconnected)
    } finally {
      this.#leave('not connected')
    }
  }

  async #handle(
    event: LibvirtEvent | ConnectionEvent,
    onReconnected: (gapMs: number) => void,
  ): Promise<void> {
    if (event.object === 'connection' && event.kind === 'reconnected') {
      onReconnected(event.gapMs)
      await this.#arrive(event.gapMs, onReconnected)
    } else await this.#take(event)
  }

  #take(event: LibvirtEvent | ConnectionEvent): void | Promise<void> {
    const { events, stats, connection, host } = this.#parts
    if (events.dropped > this.#dropped) {
      stats.dropped += events.dropped - this.#dropped
      this.#options.log.warn(
        { uri: connection.uri, dropped: events.dropped },
        'libvirt events lost: not read in time',
      )
      this.#dropped = events.dropped
    }
    if (event.object === 'connection') {
      if (event.kind === 'disconnected') {
        const { code, message } = event.error
        this.#leave(message)
        this.#publishConnection('down', { code, error: message })
      }
      return
    }
    const happening = happeningOf(event)
    if (happening) this.#heed(happening)
    else if (event.object === 'domain' && event.kind === 'metadata_change') {
      this.#descriptions.invalidate(event.dom.uuid)
      host.redescribed(event.dom.uuid)
    }
    return this.#publish(event)
  }

  #heed(happening: Happening): void {
    const { inventory } = this.#parts.host
    inventory.apply(happening)
    this.#descriptions.heed(happening)
    this.#parts.host.redescribed(happening.guest.uuid)
  }

  #leave(reason: string): void {
    this.#parts.host.detach(reason)
    this.#parts.memory?.watched(false)
  }

  /** Says that the connection is there, and what happened unseen; whoever hears this hears all that comes after. */
  async #arrive(gapMs: number, onReconnected: (gapMs: number) => void): Promise<void> {
    const { connection, events, host } = this.#parts
    const gap = gapMs / 1000
    const wasKnown = host.inventory.isKnown
    let listed: Awaited<ReturnType<typeof listGuests>> | undefined
    try {
      this.#hostname = await connection.getHostname()
      if (this.#hasLifecycle) listed = await listGuests(connection)
    } catch (error) {
      // A connection that is lost again is told by its events, and looked at when it is back.
      const { uri } = connection
      this.#options.log.warn({ uri, error: messageOf(error) }, 'guests cannot be listed')
    }
    // A title may have been changed unseen.
    this.#descriptions.clear()
    // What came since the events were registered, on either side of the list.
    const waiting: (LibvirtEvent | ConnectionEvent)[] = []
    for (let event = events.poll(); event; event = events.poll()) {
      waiting.push(event)
      // Behind a loss there is another list to be made.
      if (event.object === 'connection') break
    }
    host.attach({ uri: connection.uri, hostname: this.#hostname, source: this.#source })
    if (this.#selection.asks && listed) await this.#describe(listed)
    this.#publishConnection('up', { gap, ...(listed && { guests: listed.length }) })
    if (listed) {
      const seen = waiting.map(happeningOf).filter((happening) => happening !== undefined)
      const { happenings, guests } = host.inventory.resync(listed, seen)
      if (wasKnown) await this.#publishUnseen(happenings, { gap, guests })
      this.#parts.memory?.watched(true)
    }
    for (const event of waiting) await this.#handle(event, onReconnected)
  }

  /** Asks for descriptions while the guests are there: of one that is gone nobody can ask any more. */
  async #describe(guests: readonly { uuid: string }[]): Promise<void> {
    const left = guests.values()
    const asker = async (): Promise<void> => {
      for (const { uuid } of left) await this.#descriptions.get(uuid)
    }
    try {
      await Promise.all(Array.from({ length: ASKERS }, asker))
    } catch (error) {
      const { uri } = this.#parts.connection
      this.#options.log.warn({ uri, error: messageOf(error) }, 'guests cannot be asked')
    }
  }

  async #publishUnseen(
    happenings: readonly Happening[],
    about: { gap: number; guests: number },
  ): Promise<void> {
    const { stats } = this.#parts
    const before = stats.published
    for (const happening of happenings) await this.#publish(eventOf(happening), { resync: true })
    const events = stats.published - before
    stats.resynced += events
    this.#publishConnection('resync', { ...about, events })
  }

  /** At once, unless the guest has to be asked first. */
  #publish(event: LibvirtEvent, more: Record<string, unknown> = {}): void | Promise<void> {
    const tag = this.#tags.get(`${event.object}/${event.kind}`)
    if (!tag) {
      if (event.object === 'domain') this.#forget(event.dom.uuid)
      return
    }
    if (event.object !== 'domain') return this.#publishDecided(tag, event, this.#selection.other, more)
    const decision = this.#selection.decide(event.dom, this.#descriptions)
    if (!(decision instanceof Promise)) return this.#publishDecided(tag, event, decision, more)
    return decision
      .catch((error: unknown) => {
        const { uri } = this.#parts.connection
        const { name } = event.dom
        this.#options.log.warn({ uri, guest: name, error: messageOf(error) }, 'a guest cannot be asked')
        return this.#selection.decideUnasked(event.dom)
      })
      .then((decided) => this.#publishDecided(tag, event, decided, more))
  }

  #publishDecided(tag: string, event: LibvirtEvent, decision: Decision, more: Record<string, unknown>): void {
    if (event.object === 'domain') this.#forget(event.dom.uuid)
    if (!decision.isWanted) {
      this.#parts.stats.filtered++
      return
    }
    const { uri } = this.#parts.connection
    const data = { ...eventData(event, uri, this.#names.get(event.kind) ?? event.kind), ...more }
    const added = this.#added(decision.added)
    this.#send(tag, added ? { ...data, virbus: added } : data)
  }

  #added(added: Added | undefined): Added | undefined {
    if (!this.#options.enrich?.host) return added
    return { host: this.#hostname ?? null, ...added }
  }

  /** What was known of a guest that is no more has been told. */
  #forget(uuid: string): void {
    if (this.#selection.asks && !this.#parts.host.inventory.get(uuid)) this.#descriptions.forget(uuid)
  }

  #publishConnection(event: string, more: Record<string, unknown>): void {
    this.#send(`${this.#prefix}/connection/${event}`, { uri: this.#parts.connection.uri, event, ...more })
  }

  #send(tag: string, data: Record<string, unknown>): void {
    const { bus, codec, stamp } = this.#options
    data['_stamp'] = stamp()
    bus.publish(BusEvent.of(tag, data, codec))
    this.#parts.stats.published++
  }
}
