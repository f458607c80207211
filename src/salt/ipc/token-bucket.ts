/** So many a second on average; what was not used is saved up for one second. */
export class TokenBucket {
  readonly #perMs: number
  readonly #tokensMax: number
  #tokens: number
  #filledMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#tokensMax = perSecond
    this.#tokens = perSecond
    this.#filledMs = nowMs
  }

  /** Takes tokens, also those that are not there yet; gives the milliseconds until there are some again. */
  take(count: number, nowMs: number): number {
    const filled = this.#tokens + (nowMs - this.#filledMs) * this.#perMs
    this.#filledMs = nowMs
    this.#tokens = Math.min(this.#tokensMax, filled) - count
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / this.#perMs)
  }
}
