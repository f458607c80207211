import { VirbusError } from '../core/errors.ts'

/**
 * What can go wrong in a SASL conversation.
 *
 * - `ERR_SASL_MECHANISM`: no mechanism that both sides have.
 * - `ERR_SASL_MALFORMED`: the peer said something that the mechanism does not know, or that is over a limit.
 * - `ERR_SASL_CREDENTIALS`: user name or password are wrong, or of a form that the mechanism cannot carry.
 * - `ERR_SASL_SERVER`: the server could not prove that it knows the password.
 * - `ERR_SASL_LAYER`: bytes under a security layer that are not what was sent, or too many.
 */
export type SaslErrorCode =
  | 'ERR_SASL_MECHANISM'
  | 'ERR_SASL_MALFORMED'
  | 'ERR_SASL_CREDENTIALS'
  | 'ERR_SASL_SERVER'
  | 'ERR_SASL_LAYER'

/** Thrown by everything in this room. */
export class SaslError extends VirbusError<SaslErrorCode> {}
