import { VirbusError } from '../core/errors.ts'

/**
 * - `ERR_DAEMON_QUERY`: a question that cannot be answered as it is put, or by a virbus that keeps no events.
 * - `ERR_DAEMON_USER`: there is no user or group of a name in the configuration.
 */
export class DaemonError extends VirbusError<'ERR_DAEMON_QUERY' | 'ERR_DAEMON_USER'> {}
