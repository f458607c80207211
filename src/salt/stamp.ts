/**
 * How `_stamp` is written: `naive` as Salt 3006 does (`2026-11-20T23:30:40.204668`),
 * `offset` as Salt 3008 does (`2026-11-20T23:30:40.204668+00:00`). UTC both.
 */
export type StampForm = 'naive' | 'offset'

/** A wall clock that was set by more than this is followed at once. */
const DRIFT_MAX_MS = 2

/** Time that runs back by less than this is an error of reading; by more, somebody has set the clock. */
const SET_BACK_MS = 1000

/** Makes `_stamp` values: the wall clock with microseconds, which never repeat the past while the clock is not set back. */
export class StampClock {
  readonly #end: string
  #originMs = Number.NaN
  #lastMs = Number.NaN
  #secondMs = Number.NaN
  #second = ''

  constructor(form: StampForm = 'naive') {
    this.#end = form === 'offset' ? '+00:00' : ''
  }

  /** The time of the call. Always with six digits, also in the one case of a million in which Python leaves out zeros. */
  now(): string {
    const wall = Date.now()
    const ticks = performance.now()
    // Date counts whole milliseconds; the monotonic clock, tied to it, brings the rest.
    if (!(Math.abs(this.#originMs + ticks - wall) < DRIFT_MAX_MS)) this.#originMs = wall - ticks
    let now = this.#originMs + ticks
    // A process that was stopped between the two readings has tied them together wrongly.
    if (now < this.#lastMs && this.#lastMs - now < SET_BACK_MS) now = this.#lastMs
    this.#lastMs = now
    const secondMs = Math.floor(now / 1000) * 1000
    if (secondMs !== this.#secondMs) {
      this.#secondMs = secondMs
      this.#second = new Date(secondMs).toISOString().slice(0, 20)
    }
    const micros = Math.floor((now - secondMs) * 1000)
    return this.#second + String(micros).padStart(6, '0') + this.#end
  }
}
