import { isUtf8 } from 'node:buffer'
import { measure } from '../../msgpack/index.ts'
import { SaltError } from '../errors.ts'

/** Bytes of a tag, at most. Salt has no limit; its own tags are below 200 bytes. */
export const TAG_BYTES_MAX = 4096

const LINE_FEED = 0x0a

/** Throws unless a tag can be sent and comes back the same. */
export function checkTag(tag: string): void {
  if (tag === '') throw new SaltError('ERR_SALT_TAG_EMPTY', 'an event needs a tag')
  if (tag.includes('\n') && (tag.includes('\n\n') || tag.endsWith('\n'))) {
    throw new SaltError('ERR_SALT_TAG', `tag ${JSON.stringify(tag)} runs into the empty line after it`)
  }
  if (tag.length * 3 > TAG_BYTES_MAX && Buffer.byteLength(tag) > TAG_BYTES_MAX) {
    throw new SaltError('ERR_SALT_TAG', `tag of ${Buffer.byteLength(tag)} bytes, at most ${TAG_BYTES_MAX}`)
  }
}

/** Where the tag of a body ends: the offset of the first empty line. −1 when there is none within the limit. */
export function tagEnd(body: Buffer): number {
  const end = Math.min(body.length - 1, TAG_BYTES_MAX + 1)
  for (let at = 0; at < end; at++) {
    if (body[at] === LINE_FEED && body[at + 1] === LINE_FEED) return at
  }
  return -1
}

/** The tag before `end`; `undefined` when it is empty or not UTF-8. */
export function readTag(body: Buffer, end: number): string | undefined {
  if (end <= 0) return undefined
  const tag = body.toString('utf8', 0, end)
  if (tag.includes('\ufffd') && !isUtf8(body.subarray(0, end))) return undefined
  return tag
}

/**
 * Throws unless the bytes are exactly one MessagePack map.
 *
 * @throws {SaltError} ERR_SALT_BODY
 */
export function checkPayload(payload: Buffer): void {
  const byte = payload[0]
  const isMap = byte !== undefined && ((byte >= 0x80 && byte < 0x90) || byte === 0xde || byte === 0xdf)
  if (!isMap) throw new SaltError('ERR_SALT_BODY', 'the data is no map')
  let end: number
  try {
    end = measure(payload, 0)
  } catch (cause) {
    throw new SaltError('ERR_SALT_BODY', 'the data is not MessagePack', { cause })
  }
  if (end !== payload.length) throw new SaltError('ERR_SALT_BODY', 'the data is not one whole map')
}
