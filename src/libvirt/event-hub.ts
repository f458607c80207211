import { EventQueue } from '../core/event-queue.ts'
import { LibvirtError } from './errors.ts'
import { EventRegistry, isUnsupported } from './event-registry.ts'
import type { Packet } from './packets.ts'
import type { EventKind, LibvirtEvent } from './protocol/events.gen.ts'
import type { RpcClient } from './rpc-client.ts'
import { protocolError } from './rpc-errors.ts'

/** What happened to the connection itself, told among the events in its place. */
export type ConnectionEvent =
  | {
      readonly object: 'connection'
      readonly kind: 'disconnected'
      /** Why the connection was lost. */
      readonly error: LibvirtError
    }
  | {
      readonly object: 'connection'
      readonly kind: 'reconnected'
      readonly uri: string
      /** How long events may have been missed, in milliseconds. All kinds are registered anew when this is told. */
      readonly gapMs: number
    }

/** A kind that the daemon or its driver does not have. */
export interface SkippedKind {
  readonly kind: EventKind
  readonly reason: string
}

/** Events of one subscription. */
export interface EventStream<Event extends LibvirtEvent = LibvirtEvent>
  extends AsyncIterableIterator<Event | ConnectionEvent>,
    AsyncDisposable {
  /** Events lost because they were not read in time. */
  readonly dropped: number
  /** Kinds that were asked for and that the daemon or its driver does not have; complete once `ready` is. */
  readonly skipped: readonly SkippedKind[]
  /** Settles when the daemon has registered all kinds: what happens from then on is told. Rejects as the iterator throws. */
  readonly ready: Promise<void>
  /** The oldest event that waits, without waiting for one. */
  poll(): Event | ConnectionEvent | undefined
}

class Subscription extends EventQueue<LibvirtEvent | ConnectionEvent> {
  readonly kinds: readonly EventKind[]
  readonly skipped: SkippedKind[] = []
  readonly #ready = Promise.withResolvers<void>()
  readonly #limit: number
  /** Events that came before all kinds were registered anew; they follow the word that they are. */
  #held: LibvirtEvent[] | undefined
  #heldDropped = 0

  constructor(
    kinds: readonly EventKind[],
    options: { limit: number; signal?: AbortSignal | undefined; onEnd: () => void },
  ) {
    super(options)
    this.kinds = kinds
    this.#limit = options.limit
    // Nobody has to wait for it.
    this.#ready.promise.catch(() => {})
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  override get dropped(): number {
    return super.dropped + this.#heldDropped
  }

  override push(event: LibvirtEvent | ConnectionEvent): void {
    if (!this.#held || event.object === 'connection') {
      super.push(event)
      return
    }
    if (this.#held.length === this.#limit) {
      this.#held.shift()
      this.#heldDropped++
    }
    this.#held.push(event)
  }

  hold(): void {
    this.#held = []
  }

  release(first: ConnectionEvent): void {
    const held = this.#held ?? []
    this.#held = undefined
    super.push(first)
    for (const event of held) super.push(event)
  }

  registered(): void {
    this.#ready.resolve()
  }

  override close(failure?: unknown): void {
    this.ended(failure)
    super.close(failure)
  }

  /** Nobody who waits for the registration waits for ever. */
  ended(reason?: unknown): void {
    this.#ready.reject(reason ?? new LibvirtError('ERR_LIBVIRT_CLOSED', 'the subscription has ended'))
  }
}

/** All subscriptions of one connection, over every socket that it has in its life. */
export class EventHub {
  readonly #subscriptions = new Set<Subscription>()
  #registry: EventRegistry | undefined
  #failure: LibvirtError | undefined

  /** Takes one message from the daemon. @throws {LibvirtError} when it is no event that was registered. */
  deliver(packet: Packet): void {
    if (this.#registry) this.#registry.deliver(packet)
    // While we leave, what was registered may still come.
    else if (!this.#failure) throw protocolError(packet, 'an event before any was registered')
  }

  /** Begins a subscription; its kinds are registered now, or as soon as there is a connection. */
  subscribe(
    kinds: readonly EventKind[],
    options: { limit: number; signal?: AbortSignal | undefined },
  ): Subscription {
    const { limit, signal } = options
    const isAborted = signal?.aborted ?? false
    const subscription: Subscription = new Subscription(kinds, {
      limit,
      signal: isAborted ? undefined : signal,
      onEnd: () => this.#left(subscription, kinds),
    })
    if (isAborted) {
      subscription.ended(signal?.reason)
      void subscription.return()
    } else if (this.#failure) subscription.close(this.#failure)
    else {
      this.#subscriptions.add(subscription)
      if (this.#registry) void this.#join(this.#registry, subscription)
    }
    return subscription
  }

  /**
   * Registers everything on a new connection.
   *
   * @throws {LibvirtError} when that connection fails meanwhile.
   */
  async attach(client: RpcClient): Promise<void> {
    const registry = new EventRegistry(client)
    this.#registry = registry
    await Promise.all([...this.#subscriptions].map((subscription) => this.#join(registry, subscription)))
    if (registry.failure) throw registry.failure
  }

  /** Tells all that events come again. */
  resumed(uri: string, gapMs: number): void {
    for (const subscription of this.#subscriptions)
      subscription.release({ object: 'connection', kind: 'reconnected', uri, gapMs })
  }

  /** Tells all that events are missed from here on. */
  lost(error: LibvirtError): void {
    this.#registry = undefined
    for (const subscription of this.#subscriptions) {
      subscription.push({ object: 'connection', kind: 'disconnected', error })
      subscription.hold()
    }
  }

  /** Ends every subscription; each consumer reads what waits and then gets `error`. */
  fail(error: LibvirtError): void {
    this.#registry = undefined
    this.#failure ??= error
    for (const subscription of [...this.#subscriptions]) subscription.close(error)
    this.#subscriptions.clear()
  }

  /** Ends every subscription, each after what waits in it, and deregisters with the daemon. Never rejects. */
  async close(): Promise<void> {
    const registry = this.#registry
    this.#registry = undefined
    this.#failure ??= new LibvirtError('ERR_LIBVIRT_CLOSED', 'the connection was closed')
    const done = registry?.close()
    for (const subscription of [...this.#subscriptions]) subscription.close()
    this.#subscriptions.clear()
    await done
  }

  async #join(registry: EventRegistry, subscription: Subscription): Promise<void> {
    const { kinds, skipped } = subscription
    skipped.length = 0
    const outcomes = await Promise.allSettled(kinds.map((kind) => registry.join(kind, subscription)))
    // A connection that is gone by now takes its registrations along; the next one does it all again.
    if (registry !== this.#registry || registry.failure) return
    if (!this.#subscriptions.has(subscription)) {
      for (const kind of kinds) void registry.leave(kind, subscription)
      return
    }
    for (const [index, outcome] of outcomes.entries()) {
      const kind = kinds[index]
      if (outcome.status === 'fulfilled' || !kind) continue
      if (!isUnsupported(outcome.reason)) {
        subscription.close(outcome.reason)
        return
      }
      skipped.push({ kind, reason: outcome.reason.message })
    }
    subscription.registered()
  }

  #left(subscription: Subscription, kinds: readonly EventKind[]): void {
    this.#subscriptions.delete(subscription)
    subscription.ended()
    const registry = this.#registry
    if (registry) for (const kind of kinds) void registry.leave(kind, subscription)
  }
}
