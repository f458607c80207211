import { VirbusError } from '../core/errors.ts'

/**
 * The bytes are not MessagePack, or the value has no MessagePack form.
 *
 * - `ERR_MSGPACK_SHORT`: the bytes end inside a value, or a header claims more than there is.
 * - `ERR_MSGPACK_TRAILING`: bytes are left after the value.
 * - `ERR_MSGPACK_DEPTH`: arrays and maps are nested deeper than the limit; a cyclic value too.
 * - `ERR_MSGPACK_LIMIT`: more elements or bytes than the limit.
 * - `ERR_MSGPACK_TYPE`: the byte 0xc1, which begins nothing; or a value to encode that has no form (`undefined`, a function).
 * - `ERR_MSGPACK_RANGE`: an integer outside −2⁶³ … 2⁶⁴−1, or an extension type outside −128 … 127.
 */
export class MsgpackError extends VirbusError<
  | 'ERR_MSGPACK_SHORT'
  | 'ERR_MSGPACK_TRAILING'
  | 'ERR_MSGPACK_DEPTH'
  | 'ERR_MSGPACK_LIMIT'
  | 'ERR_MSGPACK_TYPE'
  | 'ERR_MSGPACK_RANGE'
> {}
