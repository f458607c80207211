import { BusEvent } from '../bus/index.ts'
import { messageOf } from '../core/errors.ts'
import type { Happening, Inventory } from '../guests/index.ts'
import type { Connection, ConnectionEvent, EventStream, LibvirtEvent } from '../libvirt/index.ts'
import { eventData, uriTag } from './libvirt-event-data.ts'
import type { NamedKind } from './libvirt-event-names.ts'
import { eventOf, happeningOf, listGuests } from './libvirt-guests.ts'
import type { EngineStats, LibvirtToBusOptions } from './libvirt-to-bus.ts'

/** The prefix that the Salt engine has by default. */
export const DEFAULT_TAG_PREFIX = 'salt/engines/libvirt_events'

/** What goes from one connection to the bus. */
export interface RelayParts {
  readonly connection: Connection
  readonly events: EventStream
  readonly kinds: readonly NamedKind[]
  /** The guests as their events have told them; it outlives connections. */
  readonly inventory: Inventory
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
    this.#hasLifecycle = this.#tags.has('domain/lifecycle')
  }

  /** Until the connection has ended; `onReconnected` is told how long events may have been missed, in milliseconds. */
  async run(onReconnected: (gapMs: number) => void): Promise<void> {
    await this.#arrive(0, onReconnected)
    for await (const event of this.#parts.events) await this.#handle(event, onReconnected)
  }

  async #handle(
    event: LibvirtEvent | ConnectionEvent,
    onReconnected: (gapMs: number) => void,
  ): Promise<void> {
    if (event.object === 'connection' && event.kind === 'reconnected') {
      onReconnected(event.gapMs)
      await this.#arrive(event.gapMs, onReconnected)
    } else this.#take(event)
  }

  #take(event: LibvirtEvent | ConnectionEvent): void {
    const { events, stats, connection, inventory } = this.#parts
    if (events.dropped > this.#dropped) {
      stats.dropped += events.dropped - this.#dropped
      this.#options.log.warn(
        { uri: connection.uri, dropped: events.dropped },
        'libvirt events lost: not read in time',
      )
      this.#dropped = events.dropped
    }
    if (event.object === 'connection') {
      if (event.kind === 'disconnected')
        this.#publishConnection('down', { code: event.error.code, error: event.error.message })
      return
    }
    const happening = happeningOf(event)
    if (happening) inventory.apply(happening)
    this.#publish(event)
  }

  /** Says that the connection is there, and what happened unseen; whoever hears this hears all that comes after. */
  async #arrive(gapMs: number, onReconnected: (gapMs: number) => void): Promise<void> {
    const { connection, events, inventory } = this.#parts
    const gap = gapMs / 1000
    const wasKnown = inventory.isKnown
    let listed: Awaited<ReturnType<typeof listGuests>> | undefined
    try {
      if (this.#hasLifecycle) listed = await listGuests(connection)
    } catch (error) {
      // A connection that is lost again is told by its events, and looked at when it is back.
      const { uri } = connection
      this.#options.log.warn({ uri, error: messageOf(error) }, 'guests cannot be listed')
    }
    // What came since the events were registered, on either side of the list.
    const waiting: (LibvirtEvent | ConnectionEvent)[] = []
    for (let event = events.poll(); event; event = events.poll()) {
      waiting.push(event)
      // Behind a loss there is another list to be made.
      if (event.object === 'connection') break
    }
    this.#publishConnection('up', { gap, ...(listed && { guests: listed.length }) })
    if (listed) {
      const seen = waiting.map(happeningOf).filter((happening) => happening !== undefined)
      const { happenings, guests } = inventory.resync(listed, seen)
      if (wasKnown) this.#publishUnseen(happenings, { gap, guests })
    }
    for (const event of waiting) await this.#handle(event, onReconnected)
  }

  #publishUnseen(happenings: readonly Happening[], about: { gap: number; guests: number }): void {
    for (const happening of happenings) this.#publish(eventOf(happening), { resync: true })
    this.#parts.stats.resynced += happenings.length
    this.#publishConnection('resync', { ...about, events: happenings.length })
  }

  #publish(event: LibvirtEvent, more: Record<string, unknown> = {}): void {
    const tag = this.#tags.get(`${event.object}/${event.kind}`)
    if (!tag) return
    const { uri } = this.#parts.connection
    this.#send(tag, { ...eventData(event, uri, this.#names.get(event.kind) ?? event.kind), ...more })
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
