import { VirbusError } from '../core/errors.ts'

/** `ERR_DAEMON_QUERY`: a question that cannot be answered as it is put, or by a virbus that keeps no events. */
export class DaemonError extends VirbusError<'ERR_DAEMON_QUERY'> {}
