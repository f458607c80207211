import { MsgpackError } from './errors.ts'

/**
 * What a first byte says: above 0, the bytes of the whole value, which has no elements; 0, anything else.
 * The MessagePack specification, “Formats”.
 */
export const WHOLE: Uint8Array = wholeSizes()

function wholeSizes(): Uint8Array {
  const sizes = new Uint8Array(256)
  sizes.fill(1, 0x00, 0x80)
  for (let length = 0; length < 32; length++) sizes[0xa0 + length] = 1 + length
  sizes.fill(1, 0xe0, 0x100)
  const others: readonly (readonly [number, number])[] = [
    [0xc0, 1],
    [0xc2, 1],
    [0xc3, 1],
    [0xca, 5],
    [0xcb, 9],
    [0xcc, 2],
    [0xcd, 3],
    [0xce, 5],
    [0xcf, 9],
    [0xd0, 2],
    [0xd1, 3],
    [0xd2, 5],
    [0xd3, 9],
    [0xd4, 3],
    [0xd5, 4],
    [0xd6, 6],
    [0xd7, 10],
    [0xd8, 18],
  ]
  for (const [byte, size] of others) sizes[byte] = size
  return sizes
}

/** What {@link readHeader} found. */
export interface Header {
  /** Offset after the header, and after the content of a value without elements. */
  next: number
  /** Elements that follow: of a map twice its entries. */
  items: number
}

/** Reads a header that {@link WHOLE} does not cover into `header`; `false` when the bytes end inside it. */
export function readHeader(bytes: Buffer, at: number, end: number, header: Header): boolean {
  const byte = bytes[at] as number // callers check at < end
  header.items = 0
  if (byte < 0xa0) {
    header.next = at + 1
    header.items = byte < 0x90 ? (byte & 0x0f) * 2 : byte & 0x0f
    return true
  }
  const width = lengthWidth(byte)
  if (width === 0) throw new MsgpackError('ERR_MSGPACK_TYPE', `byte 0xc1 at ${at} begins no value`)
  header.next = at + 1 + width
  if (header.next > end) return false
  const length = bytes.readUIntBE(at + 1, width)
  if (byte >= 0xdc) header.items = byte >= 0xde ? length * 2 : length
  else header.next += byte >= 0xc7 && byte <= 0xc9 ? length + 1 : length
  return true
}

/** Bytes of the length that follows `byte`; 0 when no length does. */
function lengthWidth(byte: number): 0 | 1 | 2 | 4 {
  switch (byte) {
    case 0xc4:
    case 0xc7:
    case 0xd9:
      return 1
    case 0xc5:
    case 0xc8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 2
    case 0xc6:
    case 0xc9:
    case 0xdb:
    case 0xdd:
    case 0xdf:
      return 4
    default:
      return 0
  }
}

/** Whether the byte begins an array or a map. */
export function isContainer(byte: number): boolean {
  return (byte >= 0x80 && byte < 0xa0) || byte >= 0xdc
}

/** For a value nested too deep. */
export function tooDeep(depthMax: number): MsgpackError {
  return new MsgpackError('ERR_MSGPACK_DEPTH', `nested deeper than ${depthMax} levels`)
}

/** For a value over the limit of bytes. */
export function tooLong(bytesMax: number): MsgpackError {
  return new MsgpackError('ERR_MSGPACK_LIMIT', `a value longer than ${bytesMax} bytes`)
}
