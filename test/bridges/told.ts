/** An event as it was published. */
export interface Told {
  readonly tag: string
  readonly data: Record<string, unknown>
}

/** The Salt engine's words for virDomainEventType, in its order. */
export const WORDS: readonly string[] = [
  'defined',
  'undefined',
  'started',
  'suspended',
  'resumed',
  'stopped',
  'shutdown',
  'pmsuspended',
  'crashed',
]
