import { VirbusError } from '../core/errors.ts'

/**
 * What can go wrong on a Salt bus.
 *
 * - `ERR_SALT_FRAME`: the peer sent bytes that are no message; the stream cannot be read on.
 * - `ERR_SALT_FRAME_TOO_LONG`: a message longer than the limit.
 * - `ERR_SALT_BODY`: a message whose body is no event: no tag, no empty line, or data that is not one map.
 * - `ERR_SALT_TAG_EMPTY`: an event to fire has no tag.
 * - `ERR_SALT_TAG`: a tag that would not come back: it holds an empty line, ends with a line feed, or is too long.
 * - `ERR_SALT_DATA_NOT_MAP`: the data of an event to fire is no map.
 * - `ERR_SALT_MATCH`: a tag to match that is no regular expression, or a kind of matching that there is not.
 * - `ERR_SALT_SOCKET_IN_USE`: somebody serves the socket already.
 * - `ERR_SALT_SOCKET_PATH`: no socket can be made at the path: too long, no folder, not allowed, or something else is there.
 * - `ERR_SALT_SOCKET_OWNER`: the socket cannot be given to the owner or group that was asked for.
 * - `ERR_SALT_CREDENTIALS`: tags are reserved, and it cannot be known who connects.
 * - `ERR_SALT_NO_BUS`: there is no socket at the path.
 * - `ERR_SALT_ACCESS`: the socket may not be opened by this user.
 * - `ERR_SALT_STALE`: the socket is left over from a bus that is gone.
 * - `ERR_SALT_CONNECT`: the socket cannot be connected to for another reason, which is the `cause`.
 * - `ERR_SALT_CONNECTION_LOST`: the bus closed the connection.
 * - `ERR_SALT_DIALECT`: no framing made the bus answer.
 * - `ERR_SALT_CLOSED`: this side is closed already.
 */
export type SaltErrorCode =
  | 'ERR_SALT_FRAME'
  | 'ERR_SALT_FRAME_TOO_LONG'
  | 'ERR_SALT_BODY'
  | 'ERR_SALT_TAG_EMPTY'
  | 'ERR_SALT_TAG'
  | 'ERR_SALT_DATA_NOT_MAP'
  | 'ERR_SALT_MATCH'
  | 'ERR_SALT_SOCKET_IN_USE'
  | 'ERR_SALT_SOCKET_PATH'
  | 'ERR_SALT_SOCKET_OWNER'
  | 'ERR_SALT_CREDENTIALS'
  | 'ERR_SALT_NO_BUS'
  | 'ERR_SALT_ACCESS'
  | 'ERR_SALT_STALE'
  | 'ERR_SALT_CONNECT'
  | 'ERR_SALT_CONNECTION_LOST'
  | 'ERR_SALT_DIALECT'
  | 'ERR_SALT_CLOSED'

/** Thrown by everything in this room. */
export class SaltError extends VirbusError<SaltErrorCode> {}
