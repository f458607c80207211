import { VirbusError } from '../core/errors.ts'

/**
 * An event that the bus does not take.
 *
 * - `ERR_BUS_TAG_EMPTY`: the tag is empty.
 * - `ERR_BUS_SUBSCRIBERS`: there are as many subscribers as are allowed.
 * - `ERR_BUS_CLOSED`: the bus is closed.
 */
export class BusError extends VirbusError<'ERR_BUS_TAG_EMPTY' | 'ERR_BUS_SUBSCRIBERS' | 'ERR_BUS_CLOSED'> {}
