/** Asks a silent client whether it lives, and gives it up when it does not answer (virkeepalive.c). */
export class Keepalive {
  readonly #timer: NodeJS.Timeout | undefined
  #receivedAtMs = performance.now()
  #pingsInVain = 0

  /** An interval of 0: never. */
  constructor(
    { keepaliveIntervalMs, keepaliveCount }: { keepaliveIntervalMs: number; keepaliveCount: number },
    handlers: { ping(): void; dead(): void },
  ) {
    if (keepaliveIntervalMs <= 0) return
    this.#timer = setInterval(() => {
      // A tick may come a little early; half an interval of slack costs at most one interval.
      if (performance.now() - this.#receivedAtMs < keepaliveIntervalMs / 2) return
      if (this.#pingsInVain++ < keepaliveCount) handlers.ping()
      else handlers.dead()
    }, keepaliveIntervalMs)
    this.#timer.unref()
  }

  /** Something came from the client. */
  received(): void {
    this.#receivedAtMs = performance.now()
    this.#pingsInVain = 0
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
