import { randomBytes } from 'node:crypto'
import { DIGEST_CIPHERS, type DigestCipher, DigestLayer, LAYER_BYTES_MAX } from './digest-layer.ts'
import {
  type Digest,
  type Directives,
  directivesOf,
  encodeDirectives,
  isSameDigest,
  isUtf8,
  itemsOf,
  NONCE_COUNT,
  type Qop,
  quoted,
  responseOf,
  sessionKeyOf,
} from './digest-message.ts'
import { SaslError } from './errors.ts'
import type {
  SaslClient,
  SaslClientOptions,
  SaslLayer,
  SaslServer,
  SaslServerOptions,
  SaslServerReply,
} from './mechanism.ts'
import { checkCredentials, shown } from './prepare.ts'

/** What one side insists on; by default what the wish for a layer makes of it. */
export interface DigestChoices {
  /** `auth-int` is had only so: where libvirt wants a layer, it wants one that encrypts. */
  readonly qop?: Qop
  /** Ciphers to offer or to take. */
  readonly ciphers?: readonly DigestCipher[]
  /** For tests against the example of the RFC. */
  readonly cnonce?: string
}

/** RFC 2831 §2.1.1 has 17 to 16,777,215; in fewer than 64 there would be hardly a byte that is not protection. */
const MAXBUF = { min: 64, max: 0xff_ffff }
const NONCE_BYTES = 24
// The table's keys are its only properties.
const ALL_CIPHERS = Object.keys(DIGEST_CIPHERS) as readonly DigestCipher[]

function qopOf({ qop }: DigestChoices, layer: 'required' | 'none'): Qop {
  return qop ?? (layer === 'required' ? 'auth-conf' : 'auth')
}

/** The first of our ciphers that is in the other side's list. */
function cipherOf(listed: string | undefined, ours: readonly DigestCipher[] = ALL_CIPHERS): DigestCipher {
  const names = itemsOf(listed ?? '')
  const found = ours.find((cipher) => names.has(cipher))
  if (!found) throw new SaslError('ERR_SASL_MECHANISM', `no strong cipher among ${shown(listed ?? '')}`)
  return found
}

function maxbufOf(directives: Directives): number {
  const text = directives.get('maxbuf') ?? String(LAYER_BYTES_MAX)
  const given = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0
  if (given < MAXBUF.min || given > MAXBUF.max)
    throw new SaslError('ERR_SASL_MALFORMED', `DIGEST-MD5 maxbuf ${shown(text)}`)
  return given
}

/** The client's side of DIGEST-MD5 (RFC 2831): `auth`, or `auth-conf` with its layer where one is required. */
export class DigestMd5Client implements SaslClient {
  readonly mechanism = 'DIGEST-MD5'
  readonly #options: SaslClientOptions
  readonly #choices: DigestChoices
  #state: 'challenge' | 'rspauth' | 'done' | 'failed' = 'challenge'
  #expected = ''
  #layer: SaslLayer | undefined

  /** @throws {SaslError} `ERR_SASL_CREDENTIALS` when name or password are empty or have control characters. */
  constructor(options: SaslClientOptions, choices: DigestChoices = {}) {
    checkCredentials(options.credentials)
    this.#options = options
    this.#choices = choices
  }

  get isComplete(): boolean {
    return this.#state === 'done'
  }

  get layer(): SaslLayer | undefined {
    return this.isComplete ? this.#layer : undefined
  }

  start(): undefined {
    return undefined
  }

  async step(challenge: Buffer): Promise<Buffer> {
    const state = this.#state
    // Until this step has gone well: after a failure nothing is listened to.
    this.#state = 'failed'
    const directives = directivesOf(challenge)
    if (state === 'challenge') {
      const answer = this.#answer(directives)
      this.#state = 'rspauth'
      return answer
    }
    if (state !== 'rspauth') throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 message after the end')
    if (!isSameDigest(directives.get('rspauth') ?? '', this.#expected))
      throw new SaslError('ERR_SASL_SERVER', 'the server does not know the password')
    this.#state = 'done'
    // The last word of the client is empty (RFC 2831 §2.1.3).
    return Buffer.alloc(0)
  }

  #answer(challenge: Directives): Buffer {
    const { credentials, service, host, layer } = this.#options
    const nonce = challenge.get('nonce')
    if (!nonce || challenge.get('algorithm')?.toLowerCase() !== 'md5-sess')
      throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 challenge without nonce or algorithm')
    const qop = qopOf(this.#choices, layer)
    if (!itemsOf(challenge.get('qop') ?? 'auth').has(qop))
      throw new SaslError('ERR_SASL_MECHANISM', `the server does not offer ${qop}`)
    const cipher = qop === 'auth-conf' ? cipherOf(challenge.get('cipher'), this.#choices.ciphers) : undefined
    const digest: Digest = {
      username: credentials.username,
      password: credentials.password,
      realm: credentials.realm ?? challenge.get('realm') ?? '',
      authzid: credentials.authzid || undefined,
      nonce,
      cnonce: this.#choices.cnonce ?? randomBytes(NONCE_BYTES).toString('base64'),
      uri: Buffer.from(`${service}/${host}`).toString('latin1'),
      qop,
    }
    const sessionKey = sessionKeyOf(digest)
    this.#expected = responseOf(digest, sessionKey, 'server')
    if (qop !== 'auth')
      this.#layer = new DigestLayer({ sessionKey, cipher, side: 'client', peerBytesMax: maxbufOf(challenge) })
    return encodeResponse(digest, {
      cipher,
      response: responseOf(digest, sessionKey, 'client'),
      charset: isUtf8(challenge) ? 'utf-8' : 'latin1',
    })
  }
}

/** The `digest-response` of RFC 2831 §2.1.2. */
function encodeResponse(
  digest: Digest,
  how: { cipher: DigestCipher | undefined; response: string; charset: 'utf-8' | 'latin1' },
): Buffer {
  const { username, realm, nonce, cnonce, qop, uri, authzid } = digest
  const { cipher, response, charset } = how
  return encodeDirectives({
    charset: charset === 'utf-8' ? charset : undefined,
    username: quoted(username, charset),
    realm: quoted(realm, charset),
    nonce: quoted(nonce, 'latin1'),
    nc: NONCE_COUNT,
    cnonce: quoted(cnonce, 'latin1'),
    'digest-uri': quoted(uri, 'latin1'),
    response,
    qop,
    cipher,
    maxbuf: qop === 'auth' ? undefined : String(LAYER_BYTES_MAX),
    authzid: authzid === undefined ? undefined : quoted(authzid, charset),
  })
}

/** The server's side of DIGEST-MD5 (RFC 2831), without subsequent authentication. Nobody may act as somebody else. */
export class DigestMd5Server implements SaslServer {
  readonly mechanism = 'DIGEST-MD5'
  readonly #options: SaslServerOptions
  readonly #choices: DigestChoices
  readonly #nonce = randomBytes(NONCE_BYTES).toString('base64')
  #state: 'start' | 'response' | 'done' | 'failed' = 'start'
  #username: string | undefined
  #layer: SaslLayer | undefined

  constructor(options: SaslServerOptions, choices: DigestChoices = {}) {
    this.#options = options
    this.#choices = choices
  }

  get username(): string | undefined {
    return this.#username
  }

  get layer(): SaslLayer | undefined {
    return this.#layer
  }

  async step(response: Buffer | undefined): Promise<SaslServerReply> {
    if (this.#state === 'start') {
      this.#state = 'response'
      return { complete: false, data: this.#challenge() }
    }
    const state = this.#state
    this.#state = 'failed'
    if (state !== 'response' || !response)
      throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 message out of its order')
    const data = this.#verify(directivesOf(response))
    this.#state = 'done'
    return { complete: true, data }
  }

  #challenge(): Buffer {
    const { host, layer } = this.#options
    const { ciphers = ALL_CIPHERS } = this.#choices
    const qop = qopOf(this.#choices, layer)
    return encodeDirectives({
      nonce: quoted(this.#nonce),
      realm: quoted(host),
      qop: quoted(qop),
      cipher: qop === 'auth-conf' ? quoted(ciphers.join(',')) : undefined,
      maxbuf: String(LAYER_BYTES_MAX),
      charset: 'utf-8',
      algorithm: 'md5-sess',
    })
  }

  #verify(response: Directives): Buffer {
    const password = this.#options.password(response.get('username') ?? '')
    const digest = this.#digestOf(response, password ?? '')
    const { qop, username, authzid } = digest
    const cipher = qop === 'auth-conf' ? cipherOf(response.get('cipher'), this.#choices.ciphers) : undefined
    const peerBytesMax = maxbufOf(response)
    const sessionKey = sessionKeyOf(digest)
    const isRight = isSameDigest(response.get('response') ?? '', responseOf(digest, sessionKey, 'client'))
    if (!isRight || password === undefined)
      throw new SaslError('ERR_SASL_CREDENTIALS', `no ${shown(username)} with this password`)
    if (authzid && authzid !== username)
      throw new SaslError('ERR_SASL_CREDENTIALS', `${shown(username)} may not act as ${shown(authzid)}`)
    if (qop !== 'auth') this.#layer = new DigestLayer({ sessionKey, cipher, side: 'server', peerBytesMax })
    this.#username = username
    return encodeDirectives({ rspauth: responseOf(digest, sessionKey, 'server') })
  }

  /** What the client says that it has digested, with the password that it should have had. */
  #digestOf(response: Directives, password: string): Digest {
    const { service, layer } = this.#options
    const qop = qopOf(this.#choices, layer)
    const [username, cnonce] = [response.get('username'), response.get('cnonce')]
    const uri = response.get('digest-uri') ?? ''
    if (
      !username ||
      !cnonce ||
      response.get('nonce') !== this.#nonce ||
      response.get('nc') !== NONCE_COUNT ||
      (response.get('qop') ?? 'auth').toLowerCase() !== qop ||
      // The host goes by many names, so it is not compared; Cyrus SASL does not, either.
      !uri.toLowerCase().startsWith(`${service.toLowerCase()}/`)
    )
      throw new SaslError('ERR_SASL_MALFORMED', 'DIGEST-MD5 response to another challenge')
    const [realm = '', authzid] = [response.get('realm'), response.get('authzid')]
    return { username, password, realm, authzid, nonce: this.#nonce, cnonce, uri, qop }
  }
}
