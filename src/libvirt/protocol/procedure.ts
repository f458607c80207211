import { XdrError, type XdrType } from '../../xdr/index.ts'

/** One procedure of a program: its number and the layouts of its arguments and result. */
export interface Procedure<Args, Result> {
  /** The name in the `.x` file without its prefix, lower case: `domain_get_info`. */
  readonly name: string
  readonly program: number
  readonly version: number
  readonly number: number
  readonly args: XdrType<Args>
  readonly result: XdrType<Result>
  /** Whether data packets follow the reply (`@readstream`: server to client) or the call (`@writestream`). */
  readonly stream?: 'read' | 'write'
  /** `high`: the daemon answers at once, without waiting for a guest or a disk. */
  readonly priority?: 'high'
}

/** One message that a server sends unasked. */
export interface MessageType<Message> {
  /** The name in the `.x` file without its prefix, lower case: `domain_event_callback_lifecycle`. */
  readonly name: string
  readonly program: number
  readonly version: number
  readonly number: number
  readonly message: XdrType<Message>
}

/** No arguments or no result: zero bytes. */
export const VOID: XdrType<undefined> = { decode: () => undefined, encode: () => {} }

export const INT: XdrType<number> = { decode: (r) => r.int(), encode: (w, v) => w.int(v) }
export const UINT: XdrType<number> = { decode: (r) => r.uint(), encode: (w, v) => w.uint(v) }
export const UNSIGNED_HYPER: XdrType<number | bigint> = {
  decode: (r) => r.unsignedHyper(),
  encode: (w, v) => w.unsignedHyper(v),
}

/** REMOTE_STRING_MAX and VIR_NET_MESSAGE_STRING_MAX, in bytes. */
const STRING_BYTES_MAX = 4_194_304

export const NONNULL_STRING: XdrType<string> = {
  decode: (r) => r.string(STRING_BYTES_MAX),
  encode: (w, v) => w.string(v, STRING_BYTES_MAX),
}

export function numberOf(value: number | bigint | string): number {
  if (typeof value !== 'number') throw new XdrError('ERR_XDR_VALUE', `${value} is not a number`)
  return value
}

export function integerOf(value: number | bigint | string): number | bigint {
  if (typeof value === 'string') throw new XdrError('ERR_XDR_VALUE', `'${value}' is not an integer`)
  return value
}

export function stringOf(value: number | bigint | string): string {
  if (typeof value !== 'string') throw new XdrError('ERR_XDR_VALUE', `${value} is not a string`)
  return value
}
