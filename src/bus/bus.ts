import { EventQueue } from '../core/event-queue.ts'
import { globMatcher } from '../core/glob.ts'
import { BusError } from './errors.ts'
import type { BusEvent } from './event.ts'

/** Events that wait for one subscriber. */
const QUEUED_MAX = 4096
/** Subscribers inside this process: bridges and connections of the API, not clients of the sockets. */
const SUBSCRIBERS_MAX = 1024

/** Who keeps events: gives each its place, or none when it cannot. */
export interface Recorder {
  append(tag: string, payload: Buffer): number | undefined
}

/** How to subscribe. */
export interface SubscribeOptions {
  /** Events that wait before the oldest is dropped and counted; 4,096 by default. */
  readonly limit?: number
  readonly signal?: AbortSignal | undefined
}

/** Counters of a bus; they only grow. */
export interface BusStats {
  readonly published: number
  /** Events lost by slow subscribers, those that have left included. */
  readonly dropped: number
  readonly subscribers: number
}

interface Subscriber {
  readonly matches: (tag: string) => boolean
  readonly queue: EventQueue<BusEvent>
}

/**
 * Events inside the process. Publishing never waits: each subscriber has a bounded queue of its own,
 * loses its oldest events when it does not keep up, and can see how many (`dropped`).
 *
 * @example
 * for await (const event of bus.subscribe('salt/job/*', { limit: 4096, signal })) console.log(event.tag, event.data)
 */
export class Bus implements AsyncDisposable {
  readonly #subscribers = new Set<Subscriber>()
  #recorder: Recorder | undefined
  #published = 0
  #droppedByLeft = 0
  #closed = false

  /** From now on every event is kept before anybody gets it. */
  record(recorder: Recorder): void {
    this.#recorder = recorder
  }

  /** Gives the event to every subscriber whose pattern matches its tag, in order. @throws {BusError} `ERR_BUS_CLOSED` */
  publish(event: BusEvent): void {
    if (this.#closed) throw new BusError('ERR_BUS_CLOSED', 'the bus is closed')
    this.#published++
    if (this.#recorder) event.sequence = this.#recorder.append(event.tag, event.payload)
    for (const { matches, queue } of this.#subscribers) if (matches(event.tag)) queue.push(event)
  }

  /**
   * Events whose tag matches the glob `pattern` (`*` any characters, `?` one, `[…]` one of a set), from now on.
   * Ends when the loop is left, `signal` aborts, or the bus is closed.
   *
   * @throws {BusError} `ERR_BUS_SUBSCRIBERS` when 1,024 subscribers are there already, `ERR_BUS_CLOSED`.
   */
  subscribe(pattern = '*', options: SubscribeOptions = {}): EventQueue<BusEvent> {
    if (this.#closed) throw new BusError('ERR_BUS_CLOSED', 'the bus is closed')
    if (this.#subscribers.size >= SUBSCRIBERS_MAX)
      throw new BusError('ERR_BUS_SUBSCRIBERS', `${SUBSCRIBERS_MAX} subscribers are connected already`)
    const queue: EventQueue<BusEvent> = new EventQueue<BusEvent>({
      limit: options.limit ?? QUEUED_MAX,
      signal: options.signal,
      onEnd: () => {
        if (this.#subscribers.delete(subscriber)) this.#droppedByLeft += queue.dropped
      },
    })
    const subscriber = { matches: globMatcher(pattern), queue }
    if (!options.signal?.aborted) this.#subscribers.add(subscriber)
    return queue
  }

  get stats(): BusStats {
    let dropped = this.#droppedByLeft
    for (const { queue } of this.#subscribers) dropped += queue.dropped
    return { published: this.#published, dropped, subscribers: this.#subscribers.size }
  }

  /** Takes no more events; subscribers read what waits and end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const { queue } of [...this.#subscribers]) queue.close()
  }
}
