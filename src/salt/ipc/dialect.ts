/**
 * How messages are cut on the two sockets of a bus, which differs between Salt releases.
 *
 * | dialect | pub socket | pull socket | releases seen |
 * | --- | --- | --- | --- |
 * | `classic` | maps back to back | maps back to back | 3006.9 … 3006.24, 3007.8, 3007.13, 3008.0 |
 * | `prefixed` | a length before each map | a length before each map | 3006.26 and later |
 * | `split` | maps back to back | a length before each map | 3007.17, 3008.3 |
 */
export type Dialect = 'classic' | 'prefixed' | 'split'

/** The dialects, for settings to check against. */
export const DIALECTS = ['classic', 'prefixed', 'split'] as const

/** How messages are cut on one socket: maps back to back, or 32 bits of length, high byte first, before each. */
export type Framing = 'bare' | 'prefixed'

/** How a bus of this dialect sends to its subscribers. */
export function pubFraming(dialect: Dialect): Framing {
  return dialect === 'prefixed' ? 'prefixed' : 'bare'
}

/** How a bus of this dialect wants its events. */
export function pullFraming(dialect: Dialect): Framing {
  return dialect === 'classic' ? 'bare' : 'prefixed'
}
