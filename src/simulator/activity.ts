import { guestStep } from './guest-activity.ts'
import { hostStep } from './host-activity.ts'
import type { Hypervisor } from './hypervisor.ts'
import { Random } from './random.ts'

/** Shortest time between two ticks: at higher rates each tick brings several events. */
const TICK_MS = 5
/** Longest: a change of the rate is felt by then. */
const TICK_MS_MAX = 250
/** After a pause of the whole process, this share of a second is made up in one tick at most. */
const CATCH_UP = 0.1
const EVENTS_PER_SECOND_MAX = 1_000_000
/** Of 10 steps, so many concern the host and not a guest. */
const HOST_STEPS_OF_TEN = 1

/** How an activity runs. */
export interface ActivityOptions {
  /** A whole number; the same seed on the same inventory brings the same events in the same order. */
  readonly seed: number
  /** Events a second, on average; 0 stands still. At most 1,000,000. */
  readonly eventsPerSecond: number
  readonly signal?: AbortSignal
}

/**
 * Lets things happen on a simulated host: guests boot, pause, reboot, crash, migrate away and come back; networks,
 * pools, devices and secrets change. What happens follows from the seed, how fast from the rate; neither drifts.
 *
 * @example
 * await using activity = new Activity(simulator.hypervisor, { seed: 1, eventsPerSecond: 10 })
 */
export class Activity implements AsyncDisposable {
  readonly #hypervisor: Hypervisor
  readonly #random: Random
  readonly #signal: AbortSignal | undefined
  readonly #stopCounting: () => void
  readonly #stop = (): void => this.#end()
  #rate: number
  #timer: NodeJS.Timeout | undefined
  /** From when and from how many events on the rate is counted. */
  #base = { atMs: performance.now(), events: 0 }
  #events = 0
  #isStepping = false
  #ended = false

  constructor(hypervisor: Hypervisor, options: ActivityOptions) {
    this.#hypervisor = hypervisor
    this.#random = new Random(options.seed)
    this.#rate = checkedRate(options.eventsPerSecond)
    this.#signal = options.signal
    this.#stopCounting = hypervisor.onEvent(() => {
      if (this.#isStepping) this.#events++
    })
    this.#signal?.addEventListener('abort', this.#stop, { once: true })
    if (this.#signal?.aborted) this.#end()
    else this.#schedule()
  }

  /** Events that this activity has brought about. */
  get events(): number {
    return this.#events
  }

  /** Events a second; can be set at any time. @throws {RangeError} outside 0 to 1,000,000. */
  get rate(): number {
    return this.#rate
  }

  set rate(eventsPerSecond: number) {
    this.#rate = checkedRate(eventsPerSecond)
    this.#base = { atMs: performance.now(), events: this.#events }
    this.#schedule()
  }

  /** Lets one thing happen at once, beside the clock: mostly one event, some steps bring up to four. */
  step(): void {
    const before = this.#events
    this.#isStepping = true
    try {
      // A step may find nothing to do (no network is left): the next one will.
      for (let attempts = 0; attempts < 10 && this.#events === before; attempts++) this.#attempt()
    } finally {
      this.#isStepping = false
    }
  }

  /** Stops; nothing happens after it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end()
  }

  #attempt(): void {
    const { domains } = this.#hypervisor
    const domain = domains.at(this.#random.integer(domains.size))
    if (!domain || this.#random.integer(10) < HOST_STEPS_OF_TEN) hostStep(this.#hypervisor, this.#random)
    else guestStep(domain, this.#hypervisor, this.#random)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#ended || this.#rate === 0) return
    const nextAtMs = this.#base.atMs + ((this.#events - this.#base.events + 1) / this.#rate) * 1000
    const waitMs = Math.min(TICK_MS_MAX, Math.max(TICK_MS, Math.ceil(nextAtMs - performance.now())))
    this.#timer = setTimeout(() => this.#tick(), waitMs)
  }

  /** Reckons from the base, not from the last tick: late timers do not add up. */
  #tick(): void {
    const elapsedMs = performance.now() - this.#base.atMs
    const due = this.#base.events + Math.floor((elapsedMs / 1000) * this.#rate)
    const most = this.#events + Math.max(1, Math.ceil(this.#rate * CATCH_UP))
    while (!this.#ended && this.#events < Math.min(due, most)) {
      const before = this.#events
      this.step()
      if (this.#events === before) break
    }
    this.#schedule()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    this.#stopCounting()
    this.#signal?.removeEventListener('abort', this.#stop)
  }
}

function checkedRate(eventsPerSecond: number): number {
  if (eventsPerSecond >= 0 && eventsPerSecond <= EVENTS_PER_SECOND_MAX) return eventsPerSecond
  throw new RangeError(`${eventsPerSecond} events a second, allowed 0 to ${EVENTS_PER_SECOND_MAX}`)
}
