import type { Logger } from './logger.ts'

/** How often the same warning is written, in milliseconds. */
const EVERY_MS = 10_000

interface Kind {
  writtenMs: number
  leftOut: number
}

/**
 * Warnings that a stranger can cause as often as he likes: one line of each message in ten seconds. A line after others that were left out has
 * their number in `leftOut`.
 */
export class LogLimit {
  readonly #log: Logger
  readonly #everyMs: number
  /** By message: messages are constants, so that these are few. */
  readonly #kinds = new Map<string, Kind>()

  constructor(log: Logger, options: { everyMs?: number } = {}) {
    this.#log = log
    this.#everyMs = options.everyMs ?? EVERY_MS
  }

  warn(fields: Record<string, unknown>, message: string): void {
    const now = performance.now()
    const kind = this.#kinds.get(message) ?? { writtenMs: Number.NEGATIVE_INFINITY, leftOut: 0 }
    this.#kinds.set(message, kind)
    if (now - kind.writtenMs < this.#everyMs) {
      kind.leftOut++
      return
    }
    this.#log.warn(kind.leftOut > 0 ? { ...fields, leftOut: kind.leftOut } : fields, message)
    kind.writtenMs = now
    kind.leftOut = 0
  }
}
