import { createHash, timingSafeEqual } from 'node:crypto'
import { SaslError } from './errors.ts'
import { checkLength } from './mechanism.ts'
import { shown } from './prepare.ts'

/** Quality of protection (RFC 2831 §2.1.1): none, what was sent cannot be changed, what was sent cannot be read. */
export type Qop = 'auth' | 'auth-int' | 'auth-conf'

/** What both sides put into the digest (RFC 2831 §2.1.2.1). */
export interface Digest {
  readonly username: string
  readonly realm: string
  readonly password: string
  readonly authzid: string | undefined
  /** As they are on the wire, one character for each byte; so are `cnonce` and `uri`. */
  readonly nonce: string
  readonly cnonce: string
  readonly uri: string
  readonly qop: Qop
}

/** The nonce count: each nonce is used once. */
export const NONCE_COUNT = '00000001'

/** H(A1): what both sides know in the end (RFC 2831 §2.1.2.1). */
export function sessionKeyOf({ username, realm, password, nonce, cnonce, authzid }: Digest): Buffer {
  const colon = Buffer.from(':')
  const secret = md5([narrow(username), colon, narrow(realm), colon, narrow(password)])
  const parts = [secret, Buffer.from(`:${nonce}:${cnonce}`, 'latin1')]
  return md5(authzid === undefined ? parts : [...parts, colon, Buffer.from(authzid)])
}

/** `response-value` of the client, or with `role` server `rspauth` of the server (RFC 2831 §2.1.2.1, §2.1.3). */
export function responseOf(digest: Digest, key: Buffer, role: 'client' | 'server'): string {
  const { nonce, cnonce, qop, uri } = digest
  const a2 = `${role === 'client' ? 'AUTHENTICATE' : ''}:${uri}${qop === 'auth' ? '' : `:${'0'.repeat(32)}`}`
  const hashed = md5([Buffer.from(a2, 'latin1')]).toString('hex')
  const text = `${key.toString('hex')}:${nonce}:${NONCE_COUNT}:${cnonce}:${qop}:${hashed}`
  return md5([Buffer.from(text, 'latin1')]).toString('hex')
}

/** ISO 8859-1 where every character has a place there, else UTF-8 (RFC 2831 §2.1.2.1). */
function narrow(text: string): Buffer {
  return Buffer.from(text, isLatin1(text) ? 'latin1' : 'utf8')
}

function isLatin1(text: string): boolean {
  return !/[^\0-\xff]/.test(text)
}

function md5(parts: readonly Buffer[]): Buffer {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** The directives of a message by their names in lower case. */
export type Directives = ReadonlyMap<string, string>

/** Directives that may come once; of realms the first is taken, and what is not known is passed over (RFC 2831 §2.1.1, §2.1.2). */
const ONCE = new Set(
  'algorithm authzid charset cipher cnonce digest-uri maxbuf nc nonce qop response rspauth stale username'.split(
    ' ',
  ),
)
/** Directives in the character set that is agreed on; all others are ASCII (RFC 2831 §2.1.1, §2.1.2). */
const TEXTS = ['realm', 'username', 'authzid']

/**
 * Reads `key=value` and `key="value"` with commas between (RFC 2831 §7.1, §7.2).
 *
 * @throws {SaslError} `ERR_SASL_MALFORMED` when the message is longer than 64 KiB, is of another form, or says something twice.
 */
export function directivesOf(message: Buffer): Directives {
  checkLength(message)
  const text = message.toString('latin1')
  const directives = new Map<string, string>()
  const pattern = /[\s,]*([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s",]+))\s*(?=,|$)/y
  let end = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const key = (match[1] ?? '').toLowerCase()
    if (!directives.has(key))
      directives.set(key, match[3] ?? (match[2] ?? '').replaceAll(/\\([\s\S])/g, '$1'))
    else if (ONCE.has(key))
      throw new SaslError('ERR_SASL_MALFORMED', `DIGEST-MD5 message with two of ${shown(key)}`)
    end = pattern.lastIndex
  }
  if (!/^[\s,]*$/.test(text.slice(end)))
    throw new SaslError(
      'ERR_SASL_MALFORMED',
      `DIGEST-MD5 message that breaks off at ${shown(text.slice(end))}`,
    )
  for (const key of TEXTS) {
    const value = directives.get(key)
    if (value !== undefined) directives.set(key, decoded(value, isUtf8(directives)))
  }
  return directives
}

/** Whether the sender of these directives has UTF-8 (RFC 2831 §2.1.1 `charset`). */
export function isUtf8(directives: Directives): boolean {
  return directives.get('charset')?.toLowerCase() === 'utf-8'
}

/**
 * UTF-8 where the bytes are that, else ISO 8859-1: Cyrus SASL's client sends UTF-8 without saying so, although RFC 2831
 * §2.1.2 has ISO 8859-1 without `charset`.
 */
function decoded(bytes: string, hasCharset: boolean): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'))
  } catch (error) {
    if (!hasCharset) return bytes
    throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 message that is not UTF-8', { cause: error })
  }
}

/**
 * A value in quotes, in the bytes of its character set.
 *
 * @throws {SaslError} `ERR_SASL_CREDENTIALS` when the other side does not know UTF-8, and ISO 8859-1 does not have a character.
 */
export function quoted(text: string, charset: 'utf-8' | 'latin1' = 'utf-8'): Buffer {
  if (charset === 'latin1' && !isLatin1(text))
    throw new SaslError('ERR_SASL_CREDENTIALS', `the server does not know UTF-8, which ${shown(text)} needs`)
  return Buffer.from(`"${text.replaceAll(/["\\]/g, '\\$&')}"`, charset)
}

/** The message of these directives; undefined ones are left out. */
export function encodeDirectives(directives: Readonly<Record<string, string | Buffer | undefined>>): Buffer {
  const parts: Buffer[] = []
  for (const [key, value] of Object.entries(directives)) {
    if (value === undefined) continue
    const name = `${parts.length > 0 ? ',' : ''}${key}=`
    parts.push(Buffer.from(name), typeof value === 'string' ? Buffer.from(value, 'latin1') : value)
  }
  return Buffer.concat(parts)
}

/** The items of a list with commas and spaces between. */
export function itemsOf(list: string): Set<string> {
  return new Set(list.toLowerCase().split(/[\s,]+/))
}

/** Whether two digests in hexadecimal are the same, in constant time. */
export function isSameDigest(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1')]
  return a.length === b.length && timingSafeEqual(a, b)
}
