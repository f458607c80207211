import { VirbusError } from '../core/errors.ts'

/**
 * What goes wrong with the guests that are kept on disk.
 *
 * - `ERR_GUESTS_STORE`: the file cannot be made, read or written, or is of another release.
 * - `ERR_GUESTS_STORE_IN_USE`: another process keeps its guests in it.
 */
export class GuestsError extends VirbusError<'ERR_GUESTS_STORE' | 'ERR_GUESTS_STORE_IN_USE'> {}
