import { SaslError } from './errors.ts'
import type { SaslCredentials } from './mechanism.ts'

/** Non-ASCII spaces, which become U+0020 (RFC 3454 table C.1.2). */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g
/** What becomes nothing (RFC 3454 table B.1). */
const NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g
/** What is in no prepared text (RFC 4013 §2.3, that is RFC 3454 tables C.2 to C.9). */
const PROHIBITED =
  /[\p{Cc}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\u06dd\u070f\u180e\u2028\u2029\u2061-\u2063\u200e\u200f\u202a-\u202e\u206a-\u206f\u2ff0-\u2ffb\ufff9-\ufffd\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]|\u0340|\u0341/u
/** Characters shown of what a peer has sent. */
const SHOWN_MAX = 100

/**
 * SASLprep (RFC 4013): spaces of all kinds to the plain one, soft hyphens and the like to nothing, compatibility
 * normalization, and no prohibited characters. Not done: unassigned code points of Unicode 3.2 are let through (a "query"
 * of RFC 3454 §7), and text of both directions is not looked at (§6).
 *
 * @throws {SaslError} `ERR_SASL_CREDENTIALS` when nothing is left or a character is prohibited.
 */
export function prepared(text: string): string {
  const mapped = text.replaceAll(SPACES, ' ').replaceAll(NOTHING, '').normalize('NFKC')
  if (mapped === '' || PROHIBITED.test(mapped))
    throw new SaslError(
      'ERR_SASL_CREDENTIALS',
      'a name or password that is empty or has prohibited characters',
    )
  return mapped
}

/** {@link prepared}, or the text itself where it cannot be prepared. */
export function preparedOrSame(text: string): string {
  try {
    return prepared(text)
  } catch {
    // A password that RFC 4013 does not allow can still be the right one: Cyrus SASL prepares none.
    return text
  }
}

/**
 * Checks credentials of our own. They are sent as they are and not as SASLprep has them: Cyrus SASL, which is in every
 * libvirtd and in virsh, prepares neither what it stores nor what it is given, so a `²` that became a `2` would be refused.
 *
 * @throws {SaslError} `ERR_SASL_CREDENTIALS` when one is empty, no Unicode, or has control characters.
 */
export function checkCredentials({ username, password, authzid = '' }: SaslCredentials): void {
  for (const [what, text] of Object.entries({ 'user name': username, password, authzid })) {
    if (text === '' && what !== 'authzid') throw new SaslError('ERR_SASL_CREDENTIALS', `the ${what} is empty`)
    if (/\p{Cc}/u.test(text) || !text.isWellFormed())
      throw new SaslError('ERR_SASL_CREDENTIALS', `the ${what} has a control character or is not Unicode`)
  }
}

/** What a peer has sent, for a message to people: not too much of it, and nothing that a terminal would obey. */
export function shown(text: string): string {
  const start = text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '\ufffd').slice(0, SHOWN_MAX)
  return `'${start}${text.length > SHOWN_MAX ? '…' : ''}'`
}
