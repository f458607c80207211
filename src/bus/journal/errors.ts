import { VirbusError } from '../../core/errors.ts'

/**
 * What goes wrong with the journal; never with the bus.
 *
 * - `ERR_JOURNAL_OPEN`: the file cannot be made or read, or is of a newer release.
 * - `ERR_JOURNAL_READ`: a question to it failed.
 * - `ERR_JOURNAL_CLOSED`: it is closed, or was given up after an error of writing.
 */
export class JournalError extends VirbusError<
  'ERR_JOURNAL_OPEN' | 'ERR_JOURNAL_READ' | 'ERR_JOURNAL_CLOSED'
> {}
