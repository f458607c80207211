import { VirbusError } from '../core/errors.ts'

/**
 * What can go wrong in a SASL conversation (RFC 4422).
 *
 * - `ERR_SASL_MECHANISM`: no mechanism, protection or cipher that both sides have.
 * - `ERR_SASL_MALFORMED`: the peer said something that the mechanism does not know, at a wrong time, or over a limit.
 * - `ERR_SASL_CREDENTIALS`: name or password are wrong, or of a form that the mechanism cannot carry.
 * - `ERR_SASL_SERVER`: the server could not prove that it knows the password, or is not the one that we began with.
 * - `ERR_SASL_LAYER`: bytes under a security layer that are not what was sent, or too many.
 */
export type SaslErrorCode =
  | 'ERR_SASL_MECHANISM'
  | 'ERR_SASL_MALFORMED'
  | 'ERR_SASL_CREDENTIALS'
  | 'ERR_SASL_SERVER'
  | 'ERR_SASL_LAYER'

/** Thrown by everything in this room; a conversation or layer that has thrown is over, and refuses all that follows. */
export class SaslError extends VirbusError<SaslErrorCode> {}
