import { VirbusError } from '../core/errors.ts'

/** A bridge that cannot be built as asked. `ERR_BRIDGE_FILTER`: a filter names no event; the message lists those there are. */
export class BridgeError extends VirbusError<'ERR_BRIDGE_FILTER'> {}
