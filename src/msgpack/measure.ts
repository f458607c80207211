import { type Header, isContainer, readHeader, tooDeep, tooLong, WHOLE } from './header.ts'
import { DEPTH_MAX } from './values.ts'

/** What `measure` and `Measurer` give while the bytes end inside the value. */
export const INCOMPLETE = -1

/** Limits of measuring; nothing is allocated, so that only the depth has a default. */
export interface MeasureLimits {
  /** Default {@link DEPTH_MAX}. */
  readonly depthMax?: number
  /** Bytes of the value; a header that claims more is an error without waiting for them. Default: no limit. */
  readonly bytesMax?: number
}

interface Walk {
  readonly bytes: Buffer
  readonly end: number
  readonly depthMax: number
  /** The value may not reach beyond this offset. */
  readonly stop: number
  readonly header: Header
}

/** Walks over `count` values from `from`; gives the offset after them, or {@link INCOMPLETE}. */
function walk(over: Walk, from: number, count: number, depth: number): number {
  const { bytes, end } = over
  let at = from
  for (let left = count; left > 0; left--) {
    if (at >= end) return INCOMPLETE
    const whole = WHOLE[bytes[at] as number] as number // at < end; the table has 256 entries
    if (whole > 0) {
      at += whole
      continue
    }
    at = walkOther(over, at, depth)
    if (at === INCOMPLETE) return INCOMPLETE
  }
  if (at > over.stop) throw tooLong(over.stop)
  return at <= end ? at : INCOMPLETE
}

function walkOther(over: Walk, at: number, depth: number): number {
  const { header } = over
  if (!readHeader(over.bytes, at, over.end, header)) return INCOMPLETE
  const { next, items } = header
  if (next + items > over.stop) throw tooLong(over.stop)
  if (!isContainer(over.bytes[at] as number)) return next // at < end, walk checked
  if (depth >= over.depthMax) throw tooDeep(over.depthMax)
  return walk(over, next, items, depth + 1)
}

/**
 * The offset after the value that begins at `offset`, or {@link INCOMPLETE} when the bytes end inside it.
 *
 * The structure is checked and nothing is built: what decodes within the same limits measures, and what measures decodes
 * but for the number of elements.
 *
 * @throws {MsgpackError} ERR_MSGPACK_TYPE, ERR_MSGPACK_DEPTH or ERR_MSGPACK_LIMIT when no further bytes can mend it.
 */
export function measure(bytes: Buffer, offset: number, limits?: MeasureLimits): number {
  const over: Walk = {
    bytes,
    end: bytes.length,
    depthMax: limits?.depthMax ?? DEPTH_MAX,
    stop: offset + (limits?.bytesMax ?? Number.POSITIVE_INFINITY),
    header: { next: 0, items: 0 },
  }
  return walk(over, offset, 1, 0)
}
