import { SaslError } from './errors.ts'

/** Who logs in. */
export interface SaslCredentials {
  readonly username: string
  readonly password: string
  /** As whom to act, where that is somebody else (RFC 4422 §2). */
  readonly authzid?: string
  /** The realm, where a mechanism knows such a thing; the server's first by default. */
  readonly realm?: string
}

/** Whether bytes after the conversation have to be encrypted by SASL itself (RFC 4422 §3.7). */
export type SaslLayerWish = 'required' | 'none'

/** The client's side of one conversation (RFC 4422 §3). */
export interface SaslClient {
  readonly mechanism: string
  /** The initial response; undefined when the server speaks first. */
  start(): Buffer | undefined | Promise<Buffer | undefined>
  /** The answer to a challenge; undefined when there is nothing to send. @throws {SaslError} */
  step(challenge: Buffer): Buffer | undefined | Promise<Buffer | undefined>
  /** The client has verified all that it can. */
  readonly isComplete: boolean
  /** After completion, where one was negotiated. */
  readonly layer: SaslLayer | undefined
}

/** What a server says to a response (RFC 4422 §3.3, §3.6). */
export interface SaslServerReply {
  readonly complete: boolean
  /** The next challenge, or with `complete` what the client still has to see. */
  readonly data: Buffer | undefined
}

/** The server's side of one conversation (RFC 4422 §3). */
export interface SaslServer {
  readonly mechanism: string
  /** Takes the client's response, undefined for none. @throws {SaslError} when the client is not let in. */
  step(response: Buffer | undefined): Promise<SaslServerReply>
  /** Who has logged in, after completion. */
  readonly username: string | undefined
  /** After completion, where one was negotiated. It begins after the bytes that carry the last reply. */
  readonly layer: SaslLayer | undefined
}

/** What goes around every byte after the conversation (RFC 4422 §3.7): u32 length, then the protected bytes. */
export interface SaslLayer {
  /** Strength in bits of a key; 1: what is sent can be read by everybody, but not changed. */
  readonly ssf: number
  /** Plain bytes to bytes for the wire, length words included. */
  wrap(plain: Buffer): Buffer
  /** Takes the next bytes from the wire; the buffer that `onPlain` gets is its own only during the call. @throws {SaslError} */
  unwrap(chunk: Buffer, onPlain: (plain: Buffer) => void): void
}

/** What a client needs besides the mechanism's name (RFC 4422 §3). */
export interface SaslClientOptions {
  readonly credentials: SaslCredentials
  /** `libvirt`: the service's name (RFC 4422 §4). */
  readonly service: string
  readonly host: string
  readonly layer: SaslLayerWish
}

/** What a server needs besides the mechanism's name (RFC 4422 §3). */
export interface SaslServerOptions {
  /** The password of a user; undefined for one that there is not. */
  password(username: string): string | undefined
  readonly service: string
  readonly host: string
  readonly layer: SaslLayerWish
}

/** Bytes of one message of a conversation: the limit of libvirt's protocol (REMOTE_AUTH_SASL_DATA_MAX). */
const MESSAGE_BYTES_MAX = 65_536

/** @throws {SaslError} `ERR_SASL_MALFORMED` when a message is longer than 64 KiB. */
export function checkLength(message: Buffer): void {
  if (message.length > MESSAGE_BYTES_MAX)
    throw new SaslError(
      'ERR_SASL_MALFORMED',
      `message of ${message.length} bytes, limit ${MESSAGE_BYTES_MAX}`,
    )
}

/**
 * The text of a message.
 *
 * @throws {SaslError} `ERR_SASL_MALFORMED` when it is longer than 64 KiB or not UTF-8.
 */
export function textOf(message: Buffer): string {
  checkLength(message)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message)
  } catch (error) {
    throw new SaslError('ERR_SASL_MALFORMED', 'message that is not UTF-8', { cause: error })
  }
}
