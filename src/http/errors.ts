import { VirbusError } from '../core/errors.ts'

/**
 * What goes wrong between a command and a running virbus.
 *
 * - `ERR_HTTP_UNREACHABLE`: nobody answers at the socket, or not in time.
 * - `ERR_HTTP_REFUSED`: the answer is an error; the message is the server's.
 * - `ERR_HTTP_BODY`: the answer is over the limit.
 */
export class HttpError extends VirbusError<'ERR_HTTP_UNREACHABLE' | 'ERR_HTTP_REFUSED' | 'ERR_HTTP_BODY'> {}
