/**
 * Waiting times between attempts: doubling from `firstMs` up to `maxMs`, each drawn between half and the whole,
 * so that many clients of one restarted server do not come back in step.
 */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  #attempt = 0

  constructor(options: { firstMs: number; maxMs: number }) {
    this.#firstMs = options.firstMs
    this.#maxMs = options.maxMs
  }

  /** Milliseconds to wait before the next attempt. */
  nextMs(): number {
    const ceiling = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#attempt)
    if (ceiling < this.#maxMs) this.#attempt++
    return ceiling / 2 + Math.random() * (ceiling / 2)
  }

  /** To be called after a success: the next failure starts from `firstMs` again. */
  reset(): void {
    this.#attempt = 0
  }
}
