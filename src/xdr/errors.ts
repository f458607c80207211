import { VirbusError } from '../core/errors.ts'

/**
 * The bytes are not the XDR value that was asked for, or the value does not fit the type it is written as.
 *
 * - `ERR_XDR_SHORT`: the body ends inside a value.
 * - `ERR_XDR_LIMIT`: a length is over the limit of its type.
 * - `ERR_XDR_VALUE`: a value outside its type: a boolean that is neither 0 nor 1, an unknown union arm, an integer out of range.
 * - `ERR_XDR_TRAILING`: bytes are left after the last value.
 */
export class XdrError extends VirbusError<
  'ERR_XDR_SHORT' | 'ERR_XDR_LIMIT' | 'ERR_XDR_VALUE' | 'ERR_XDR_TRAILING'
> {}
