import { type Bus, BusEvent, type PayloadCodec } from '../bus/index.ts'
import { codeOf, messageOf } from '../core/errors.ts'
import type { EventQueue } from '../core/event-queue.ts'
import type { Logger } from '../core/logger.ts'
import type { EventPublisher, ReceivedEvent } from '../salt/index.ts'

/** Events that may wait between the bus and the sockets; they are written in the same turn of the loop. */
const QUEUED_MAX = 65_536

/** Joins the bus with a pair of Salt sockets: what clients fire goes onto the bus, what is on the bus goes to subscribers. */
export class BusToSalt implements AsyncDisposable {
  readonly #bus: Bus
  readonly #codec: PayloadCodec
  readonly #publisher: EventPublisher
  readonly #log: Logger
  readonly #events: EventQueue<BusEvent>
  readonly #done: Promise<void>
  #refused = 0

  constructor(options: { bus: Bus; codec: PayloadCodec; publisher: EventPublisher; log: Logger }) {
    this.#bus = options.bus
    this.#codec = options.codec
    this.#publisher = options.publisher
    this.#log = options.log
    this.#events = options.bus.subscribe('*', { limit: QUEUED_MAX })
    this.#done = this.#relay()
  }

  /** Events lost on the way to the sockets. */
  get dropped(): number {
    return this.#events.dropped
  }

  /** Events that could not be written as Salt's. */
  get refused(): number {
    return this.#refused
  }

  /** Takes an event that a client fired; its bytes are passed on as they are. */
  take(event: ReceivedEvent): void {
    this.#bus.publish(BusEvent.ofPayload(event.tag, event.payload, this.#codec))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#events.return()
    await this.#done
  }

  /** An event that cannot go onto a Salt bus (a tag with an empty line, data over the limit) stops no other. */
  #publish(event: BusEvent): void {
    try {
      this.#publisher.publish(event.tag, event.payload)
    } catch (error) {
      this.#refused++
      this.#log.warn(
        { tag: event.tag, code: codeOf(error), error: messageOf(error) },
        'event left out of the sockets',
      )
    }
  }

  async #relay(): Promise<void> {
    let dropped = 0
    for await (const event of this.#events) {
      this.#publish(event)
      if (this.#events.dropped > dropped) {
        dropped = this.#events.dropped
        this.#log.warn({ dropped }, 'events lost between the bus and the sockets')
      }
    }
  }
}
