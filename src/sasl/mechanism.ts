import { SaslError } from './errors.ts'

/** Who logs in. */
export interface SaslCredentials {
  readonly username: string
  readonly password: string
  /** As whom to act, where that is somebody else. */
  readonly authzid?: string
  /** The realm, where a mechanism knows such a thing; the server's by default. */
  readonly realm?: string
}

/** Whether bytes after the conversation are to be encrypted by SASL itself. */
export type SaslLayerWish = 'required' | 'none'

/** The client's side of one conversation (RFC 4422 §3). */
export interface SaslClient {
  readonly mechanism: string
  /** The initial response; undefined when the server speaks first. */
  start(): Buffer | undefined
  /** The answer to a challenge; undefined when there is nothing to send. @throws {SaslError} */
  step(challenge: Buffer): Promise<Buffer | undefined>
  /** The client has verified all that it can. */
  readonly isComplete: boolean
  /** After completion, where one was negotiated. */
  readonly layer: SaslLayer | undefined
}

/** The server's side of one conversation. */
export interface SaslServer {
  readonly mechanism: string
  /** Takes the client's response, undefined for none. @throws {SaslError} when the client is not let in. */
  step(response: Buffer | undefined): Promise<{ complete: boolean; data: Buffer | undefined }>
  /** Who has logged in, after completion. */
  readonly username: string | undefined
  readonly layer: SaslLayer | undefined
}

/** What goes around every byte after the conversation (RFC 4422 §3.7): u32 length, then the protected bytes. */
export interface SaslLayer {
  /** Strength in bits of a key. */
  readonly ssf: number
  /** Plain bytes to bytes for the wire, length words included. */
  wrap(plain: Buffer): Buffer
  /** Takes the next bytes from the wire; the buffer that `onPlain` gets is its own only during the call. @throws {SaslError} */
  unwrap(chunk: Buffer, onPlain: (plain: Buffer) => void): void
}

/** What a client needs besides the mechanism's name. */
export interface SaslClientOptions {
  readonly credentials: SaslCredentials
  /** `libvirt`: the service's name as GSSAPI has it. */
  readonly service: string
  readonly host: string
  readonly layer: SaslLayerWish
}

/** What a server needs besides the mechanism's name. */
export interface SaslServerOptions {
  /** The password of a user; undefined for one that there is not. */
  password(username: string): string | undefined
  readonly service: string
  readonly host: string
  readonly layer: SaslLayerWish
}

/** Bytes of one message of a conversation: the limit of libvirt's protocol (REMOTE_AUTH_SASL_DATA_MAX). */
const MESSAGE_BYTES_MAX = 65_536

/**
 * The text of a message.
 *
 * @throws {SaslError} `ERR_SASL_MALFORMED` when it is too long or not UTF-8.
 */
export function textOf(message: Buffer): string {
  if (message.length > MESSAGE_BYTES_MAX)
    throw new SaslError('ERR_SASL_MALFORMED', `message of ${message.length} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message)
  } catch (error) {
    throw new SaslError('ERR_SASL_MALFORMED', 'message that is not UTF-8', { cause: error })
  }
}

/** Characters that RFC 4013 §2.3 prohibits, as far as ASCII and the C1 controls go. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const PROHIBITED = /[\u0000-\u001f\u007f-\u009f]/

/**
 * Prepares a name or password for comparison (SASLprep, RFC 4013): compatibility normalization, spaces of all kinds to
 * the plain one, soft hyphens and the like to nothing. Unassigned code points and the rules for right-to-left text are
 * not checked, since no server refuses what its own database holds.
 *
 * @throws {SaslError} `ERR_SASL_CREDENTIALS` when it is empty or has control characters.
 */
export function prepared(text: string): string {
  const mapped = text
    .replaceAll(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ')
    .replaceAll(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC')
  if (mapped === '' || PROHIBITED.test(mapped))
    throw new SaslError('ERR_SASL_CREDENTIALS', 'a name or password that is empty or has control characters')
  return mapped
}
