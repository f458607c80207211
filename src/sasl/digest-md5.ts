import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { DIGEST_CIPHERS, type DigestCipher, DigestLayer, LAYER_BYTES_MAX } from './digest-layer.ts'
import { SaslError } from './errors.ts'
import {
  type SaslClient,
  type SaslClientOptions,
  type SaslLayer,
  type SaslServer,
  type SaslServerOptions,
  textOf,
} from './mechanism.ts'

type Qop = 'auth' | 'auth-conf'

/** What both sides put into the digest (RFC 2831 §2.1.2.1). */
interface Digest {
  readonly username: string
  readonly realm: string
  readonly password: string
  readonly nonce: string
  readonly cnonce: string
  readonly authzid: string | undefined
  readonly uri: string
  readonly qop: Qop
}

const NC = '00000001'

/** H(A1): what both sides know in the end. */
function sessionKeyOf({ username, realm, password, nonce, cnonce, authzid }: Digest): Buffer {
  const secret = md5(Buffer.concat([narrow(username), COLON, narrow(realm), COLON, narrow(password)]))
  const rest = `:${nonce}:${cnonce}${authzid === undefined ? '' : `:${authzid}`}`
  return md5(Buffer.concat([secret, Buffer.from(rest)]))
}

const COLON = Buffer.from(':')

/** ISO 8859-1 where every character has a place there, else UTF-8 (RFC 2831 §2.1.2.1). */
function narrow(text: string): Buffer {
  return Buffer.from(text, /[^\0-\xff]/u.test(text) ? 'utf8' : 'latin1')
}

function md5(bytes: Buffer | string): Buffer {
  return createHash('md5').update(bytes).digest()
}

/** `response-value` of the client, or with `role` server `rspauth` of the server. */
function responseOf(digest: Digest, key: Buffer, role: 'client' | 'server'): string {
  const { nonce, cnonce, qop, uri } = digest
  const a2 = `${role === 'client' ? 'AUTHENTICATE' : ''}:${uri}${qop === 'auth' ? '' : `:${'0'.repeat(32)}`}`
  const text = `${key.toString('hex')}:${nonce}:${NC}:${cnonce}:${qop}:${md5(a2).toString('hex')}`
  return md5(text).toString('hex')
}

/** `key=value` and `key="value"` with commas between (RFC 2831 §7.1); a key that may come often keeps its first value. */
function directivesOf(text: string): Map<string, string> {
  const directives = new Map<string, string>()
  const pattern = /[\s,]*([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s",]+))\s*(?=,|$)/y
  let end = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const key = (match[1] ?? '').toLowerCase()
    if (!directives.has(key))
      directives.set(key, match[3] ?? (match[2] ?? '').replaceAll(/\\([\s\S])/g, '$1'))
    end = pattern.lastIndex
  }
  if (!/^[\s,\0]*$/.test(text.slice(end))) throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 message')
  return directives
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

function has(list: string | undefined, item: string): boolean {
  return (list ?? '').split(/[\s,]+/).includes(item)
}

function maxbufOf(directives: ReadonlyMap<string, string>): number {
  const given = Number(directives.get('maxbuf') ?? LAYER_BYTES_MAX)
  if (!Number.isInteger(given) || given < 64 || given > 0xff_ffff)
    throw new SaslError('ERR_SASL_MALFORMED', `DIGEST-MD5 maxbuf '${directives.get('maxbuf')}'`)
  return given
}

function equal(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

/** The client's side of DIGEST-MD5 (RFC 2831): `auth`, and `auth-conf` with its layer where one is required. */
export class DigestMd5Client implements SaslClient {
  readonly mechanism = 'DIGEST-MD5'
  readonly #options: SaslClientOptions
  readonly #cnonce: string
  #state: 'challenge' | 'rspauth' | 'done' = 'challenge'
  #expected = ''
  #layer: SaslLayer | undefined

  /** `cnonce`: for tests against the examples of the RFC. */
  constructor(options: SaslClientOptions, cnonce?: string) {
    this.#options = options
    this.#cnonce = cnonce ?? randomBytes(24).toString('base64')
  }

  get isComplete(): boolean {
    return this.#state === 'done'
  }

  get layer(): SaslLayer | undefined {
    return this.#layer
  }

  start(): undefined {
    return undefined
  }

  async step(challenge: Buffer): Promise<Buffer | undefined> {
    const directives = directivesOf(textOf(challenge))
    if (this.#state === 'challenge') return this.#answer(directives)
    if (this.#state === 'done') throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 message after the end')
    if (!equal(directives.get('rspauth') ?? '', this.#expected))
      throw new SaslError('ERR_SASL_SERVER', 'the server does not know the password')
    this.#state = 'done'
    // The last word of the client is empty (RFC 2831 §2.1.3).
    return Buffer.alloc(0)
  }

  #answer(directives: ReadonlyMap<string, string>): Buffer {
    const { credentials, service, host, layer } = this.#options
    const nonce = directives.get('nonce')
    if (!nonce || directives.get('algorithm') !== 'md5-sess')
      throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 challenge without nonce or algorithm')
    const qop: Qop = layer === 'required' ? 'auth-conf' : 'auth'
    if (!has(directives.get('qop') ?? 'auth', qop))
      throw new SaslError('ERR_SASL_MECHANISM', `the server does not offer ${qop}`)
    const cipher = qop === 'auth-conf' ? cipherOf(directives.get('cipher')) : undefined
    const digest: Digest = {
      username: credentials.username,
      password: credentials.password,
      realm: credentials.realm ?? directives.get('realm') ?? '',
      authzid: credentials.authzid,
      nonce,
      cnonce: this.#cnonce,
      uri: `${service}/${host}`,
      qop,
    }
    const key = sessionKeyOf(digest)
    this.#expected = responseOf(digest, key, 'server')
    if (cipher)
      this.#layer = new DigestLayer({
        sessionKey: key,
        cipher,
        side: 'client',
        peerBytesMax: maxbufOf(directives),
      })
    this.#state = 'rspauth'
    const parts = [
      `username=${quoted(digest.username)}`,
      `realm=${quoted(digest.realm)}`,
      `nonce=${quoted(nonce)}`,
      `cnonce=${quoted(digest.cnonce)}`,
      `nc=${NC}`,
      `qop=${qop}`,
      ...(cipher ? [`cipher=${cipher}`, `maxbuf=${LAYER_BYTES_MAX}`] : []),
      `digest-uri=${quoted(digest.uri)}`,
      `response=${responseOf(digest, key, 'client')}`,
      ...(directives.get('charset') === 'utf-8' ? ['charset=utf-8'] : []),
      ...(digest.authzid === undefined ? [] : [`authzid=${quoted(digest.authzid)}`]),
    ]
    return Buffer.from(parts.join(','))
  }
}

function cipherOf(offered: string | undefined): DigestCipher {
  // The table's keys are its only properties.
  const found = (Object.keys(DIGEST_CIPHERS) as DigestCipher[]).find((cipher) => has(offered, cipher))
  if (!found) throw new SaslError('ERR_SASL_MECHANISM', `the server has no strong cipher: '${offered}'`)
  return found
}

/** The server's side of DIGEST-MD5. */
export class DigestMd5Server implements SaslServer {
  readonly mechanism = 'DIGEST-MD5'
  readonly #options: SaslServerOptions
  readonly #nonce = randomBytes(24).toString('base64')
  #state: 'start' | 'response' | 'done' = 'start'
  #username: string | undefined
  #layer: SaslLayer | undefined

  constructor(options: SaslServerOptions) {
    this.#options = options
  }

  get username(): string | undefined {
    return this.#username
  }

  get layer(): SaslLayer | undefined {
    return this.#layer
  }

  async step(response: Buffer | undefined): Promise<{ complete: boolean; data: Buffer | undefined }> {
    if (this.#state === 'start') {
      this.#state = 'response'
      return { complete: false, data: this.#challenge() }
    }
    if (this.#state === 'response' && response) return { complete: true, data: this.#verify(response) }
    throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 message out of its order')
  }

  #challenge(): Buffer {
    const { host, layer } = this.#options
    const qop = layer === 'required' ? 'auth-conf' : 'auth'
    const ciphers = layer === 'required' ? `,cipher="${Object.keys(DIGEST_CIPHERS).join(',')}"` : ''
    return Buffer.from(
      `nonce=${quoted(this.#nonce)},realm=${quoted(host)},qop="${qop}"${ciphers},maxbuf=${LAYER_BYTES_MAX},charset=utf-8,algorithm=md5-sess`,
    )
  }

  #verify(response: Buffer): Buffer {
    const directives = directivesOf(textOf(response))
    const { service, layer } = this.#options
    const qop: Qop = layer === 'required' ? 'auth-conf' : 'auth'
    const username = directives.get('username') ?? ''
    const uri = directives.get('digest-uri') ?? ''
    if (
      directives.get('nonce') !== this.#nonce ||
      directives.get('nc') !== NC ||
      (directives.get('qop') ?? 'auth') !== qop ||
      !uri.startsWith(`${service}/`)
    )
      throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 response to another challenge')
    const password = this.#options.password(username)
    const digest: Digest = {
      username,
      password: password ?? '',
      realm: directives.get('realm') ?? '',
      nonce: this.#nonce,
      cnonce: directives.get('cnonce') ?? '',
      authzid: directives.get('authzid'),
      uri,
      qop,
    }
    const key = sessionKeyOf(digest)
    const given = directives.get('response') ?? ''
    if (password === undefined || !equal(given, responseOf(digest, key, 'client')))
      throw new SaslError('ERR_SASL_CREDENTIALS', `no ${username} with this password`)
    if (qop === 'auth-conf')
      this.#layer = new DigestLayer({
        sessionKey: key,
        cipher: cipherOf(directives.get('cipher')),
        side: 'server',
        peerBytesMax: maxbufOf(directives),
      })
    this.#username = username
    this.#state = 'done'
    return Buffer.from(`rspauth=${responseOf(digest, key, 'server')}`)
  }
}
