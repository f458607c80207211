/**
 * A bounded queue between one producer and one `for await` consumer.
 *
 * The producer is never blocked: when `limit` items wait, the oldest is dropped and counted.
 * Leaving the loop, aborting `signal`, or `await using` ends it at once and discards what waits;
 * `close()` ends it after what waits has been read.
 */
export class EventQueue<T> implements AsyncIterableIterator<T>, AsyncDisposable {
  readonly #limit: number
  readonly #onEnd: () => void
  readonly #signal: AbortSignal | undefined
  readonly #abort = (): void => this.#end()
  readonly #ring: (T | undefined)[] = []
  #head = 0
  #length = 0
  #waiter: PromiseWithResolvers<IteratorResult<T>> | undefined
  #state: 'open' | 'draining' | 'ended' = 'open'
  #failure: unknown
  #dropped = 0

  /** `limit`: items that may wait, at least 1. `onEnd` runs once, when nothing more will be delivered. */
  constructor(options: { limit: number; signal?: AbortSignal | undefined; onEnd?: () => void }) {
    this.#limit = options.limit
    this.#onEnd = options.onEnd ?? (() => {})
    this.#signal = options.signal
    this.#signal?.addEventListener('abort', this.#abort)
    if (this.#signal?.aborted) this.#end()
  }

  /** Items lost to the limit since the start. */
  get dropped(): number {
    return this.#dropped
  }

  /** Items that wait to be read. */
  get length(): number {
    return this.#length
  }

  push(item: T): void {
    if (this.#state !== 'open') return
    if (this.#waiter) {
      this.#waiter.resolve({ done: false, value: item })
      this.#waiter = undefined
      return
    }
    if (this.#length === this.#limit) {
      this.#take()
      this.#dropped++
    }
    this.#ring[(this.#head + this.#length++) % this.#limit] = item
  }

  /** Takes nothing more in; the consumer reads what waits and then ends, or throws `failure` if one is given. */
  close(failure?: unknown): void {
    if (this.#state !== 'open') return
    this.#failure = failure
    this.#state = 'draining'
    const waiter = this.#waiter
    if (this.#length > 0) return
    this.#waiter = undefined
    this.#end()
    if (failure === undefined) waiter?.resolve({ done: true, value: undefined })
    else waiter?.reject(this.#takeFailure())
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#length > 0) {
      const value = this.#take()
      if (this.#length === 0 && this.#state === 'draining') this.#end()
      return { done: false, value }
    }
    if (this.#state !== 'open') {
      if (this.#failure !== undefined) throw this.#takeFailure()
      return { done: true, value: undefined }
    }
    this.#waiter ??= Promise.withResolvers()
    return this.#waiter.promise
  }

  /** The oldest item that waits, without waiting for one. */
  poll(): T | undefined {
    if (this.#length === 0) return undefined
    const value = this.#take()
    if (this.#length === 0 && this.#state === 'draining') this.#end()
    return value
  }

  async return(): Promise<IteratorResult<T>> {
    this.#end()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end()
  }

  /** Removes the oldest; a ring, because `Array.shift` moves all that stay. */
  #take(): T {
    const item = this.#ring[this.#head] as T // #length > 0 is checked by the callers
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#limit
    this.#length--
    return item
  }

  #takeFailure(): unknown {
    const failure = this.#failure
    this.#failure = undefined
    return failure
  }

  #end(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#ring.length = 0
    this.#length = 0
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#waiter?.resolve({ done: true, value: undefined })
    this.#waiter = undefined
    this.#onEnd()
  }
}
