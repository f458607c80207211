import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { SaslError } from './errors.ts'
import {
  type SaslClient,
  type SaslClientOptions,
  type SaslServer,
  type SaslServerOptions,
  type SaslServerReply,
  textOf,
} from './mechanism.ts'
import { checkCredentials, preparedOrSame, shown } from './prepare.ts'

/** The hashes of the mechanisms, and the bytes that each gives. */
const HASHES = {
  'SCRAM-SHA-1': ['sha1', 20],
  'SCRAM-SHA-256': ['sha256', 32],
  'SCRAM-SHA-512': ['sha512', 64],
} as const

/** The mechanisms of this family (RFC 5802, RFC 7677), without channel binding. */
export type ScramMechanism = keyof typeof HASHES

/**
 * RFC 7677 §4 asks for 4096 at least. The most is what a hostile server may cost us, on a thread of the pool and not on
 * the event loop: half a second or so. Cyrus SASL's own client stops at 65,536.
 */
const ITERATIONS = { min: 4096, max: 1_000_000 }
const NONCE_BYTES = 18
/** A nonce is a few dozen characters; one that is longer than this is none. */
const NONCE_CHARS_MAX = 1024

const derive = promisify(pbkdf2)

interface Keys {
  readonly client: Buffer
  readonly stored: Buffer
  readonly server: Buffer
}

/** ClientKey, StoredKey and ServerKey (RFC 5802 §3); `pbkdf2` works in a thread of its own. */
async function keysOf(
  mechanism: ScramMechanism,
  password: string,
  salt: Buffer,
  iterations: number,
): Promise<Keys> {
  const [hash, length] = HASHES[mechanism]
  const salted = await derive(password, salt, iterations, length, hash)
  const client = hmac(hash, salted, 'Client Key')
  return {
    client,
    stored: createHash(hash).update(client).digest(),
    server: hmac(hash, salted, 'Server Key'),
  }
}

function hmac(hash: string, key: Buffer, text: string): Buffer {
  return createHmac(hash, key).update(text).digest()
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)))
}

/** `=2C` and `=3D` for the two characters that a name cannot have (RFC 5802 §5.1). */
function saslname(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}

function nameOf(saslname: string): string {
  if (/=(?!2C|3D)/.test(saslname))
    throw new SaslError('ERR_SASL_MALFORMED', `SCRAM name ${shown(saslname)} with a wrong escape`)
  return saslname.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

/** The values of a message that begins with these attributes in this order; extensions may follow (RFC 5802 §5.1, §7). */
function valuesOf(text: string, ...names: readonly string[]): string[] {
  const parts = text.split(',')
  if (parts.some((part) => !/^[A-Za-z]=/.test(part)) || names.some((name, at) => parts[at]?.[0] !== name))
    throw new SaslError('ERR_SASL_MALFORMED', `SCRAM message ${shown(text)}, which should have ${names}`)
  return names.map((_, at) => (parts[at] ?? '').slice(2))
}

function base64(text: string, what: string): Buffer {
  if (text === '' || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
    throw new SaslError('ERR_SASL_MALFORMED', `SCRAM ${what} ${shown(text)} that is no base64`)
  return Buffer.from(text, 'base64')
}

/** The client's side of SCRAM (RFC 5802 §5). */
export class ScramClient implements SaslClient {
  readonly mechanism: ScramMechanism
  readonly layer = undefined
  readonly #password: string
  readonly #header: string
  readonly #bare: string
  readonly #nonce: string
  #state: 'first' | 'final' | 'done' | 'failed' = 'first'
  #serverSignature: Buffer = Buffer.alloc(0)

  /**
   * `nonce`: for tests against the vectors of the RFCs.
   *
   * @throws {SaslError} `ERR_SASL_CREDENTIALS` when name or password are empty or have control characters.
   */
  constructor(mechanism: ScramMechanism, { credentials }: SaslClientOptions, nonce?: string) {
    checkCredentials(credentials)
    const { username, password, authzid = '' } = credentials
    this.mechanism = mechanism
    this.#password = password
    this.#nonce = nonce ?? randomBytes(NONCE_BYTES).toString('base64')
    // No channel binding.
    this.#header = `n,${authzid === '' ? '' : `a=${saslname(authzid)}`},`
    this.#bare = `n=${saslname(username)},r=${this.#nonce}`
  }

  get isComplete(): boolean {
    return this.#state === 'done'
  }

  start(): Buffer {
    return Buffer.from(`${this.#header}${this.#bare}`)
  }

  async step(challenge: Buffer): Promise<Buffer | undefined> {
    const state = this.#state
    // Until this step has gone well: neither a second one beside it nor one after a failure is listened to.
    this.#state = 'failed'
    const text = textOf(challenge)
    if (state === 'first') {
      const answer = await this.#prove(text)
      this.#state = 'final'
      return answer
    }
    if (state !== 'final') throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM message after the end')
    this.#verify(text)
    this.#state = 'done'
    return undefined
  }

  async #prove(text: string): Promise<Buffer> {
    const [nonce = '', salt = '', count = ''] = valuesOf(text, 'r', 's', 'i')
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce || nonce.length > NONCE_CHARS_MAX)
      throw new SaslError('ERR_SASL_SERVER', 'SCRAM nonce of the server does not continue ours')
    const iterations = /^[1-9][0-9]{0,9}$/.test(count) ? Number(count) : 0
    if (iterations < ITERATIONS.min || iterations > ITERATIONS.max)
      throw new SaslError(
        'ERR_SASL_MALFORMED',
        `SCRAM iterations ${shown(count)}, allowed ${ITERATIONS.min} to ${ITERATIONS.max}`,
      )
    const keys = await keysOf(this.mechanism, this.#password, base64(salt, 'salt'), iterations)
    const [hash] = HASHES[this.mechanism]
    const unproved = `c=${Buffer.from(this.#header).toString('base64')},r=${nonce}`
    const signed = `${this.#bare},${text},${unproved}`
    const proof = xor(keys.client, hmac(hash, keys.stored, signed))
    this.#serverSignature = hmac(hash, keys.server, signed)
    return Buffer.from(`${unproved},p=${proof.toString('base64')}`)
  }

  #verify(text: string): void {
    if (text.startsWith('e='))
      throw new SaslError('ERR_SASL_CREDENTIALS', `the server says ${shown(text.slice(2))}`)
    const [verifier = ''] = valuesOf(text, 'v')
    const signature = base64(verifier, 'signature')
    const expected = this.#serverSignature
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new SaslError('ERR_SASL_SERVER', 'the server does not know the password')
  }
}

/** What the server remembers of its first message. */
interface Challenge {
  readonly username: string
  readonly nonce: string
  /** What the client's last message has to repeat, in base64. */
  readonly binding: string
  /** The first two messages as they are signed. */
  readonly signed: string
  /** None for somebody that there is not. More than one where SASLprep changes the password. */
  readonly keys: readonly Keys[]
}

/** The server's side of SCRAM (RFC 5802 §5). Nobody may act as somebody else. */
export class ScramServer implements SaslServer {
  readonly mechanism: ScramMechanism
  readonly layer = undefined
  readonly #options: SaslServerOptions
  #state: 'first' | 'final' | 'done' | 'failed' = 'first'
  #challenge: Challenge | undefined

  constructor(mechanism: ScramMechanism, options: SaslServerOptions) {
    this.mechanism = mechanism
    this.#options = options
  }

  get username(): string | undefined {
    return this.#state === 'done' ? this.#challenge?.username : undefined
  }

  async step(response: Buffer | undefined): Promise<SaslServerReply> {
    const state = this.#state
    if (state === 'first' && !response) return { complete: false, data: Buffer.alloc(0) }
    this.#state = 'failed'
    const text = textOf(response ?? Buffer.alloc(0))
    if (state === 'first') {
      const data = await this.#first(text)
      this.#state = 'final'
      return { complete: false, data }
    }
    if (state !== 'final' || !this.#challenge)
      throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM message after the end')
    const data = this.#final(text, this.#challenge)
    this.#state = 'done'
    return { complete: true, data }
  }

  async #first(text: string): Promise<Buffer> {
    const match = /^([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([^,]+)(?:,.*)?)$/s.exec(text)
    const [, header = '', authzid = '', bare = '', name = '', clientNonce = ''] = match ?? []
    if (!match || clientNonce.length > NONCE_CHARS_MAX)
      throw new SaslError('ERR_SASL_MALFORMED', `SCRAM first message ${shown(text)}`)
    const username = nameOf(name)
    if (authzid !== '' && nameOf(authzid) !== username)
      throw new SaslError('ERR_SASL_CREDENTIALS', `${shown(username)} may not act as ${shown(authzid)}`)
    const nonce = `${clientNonce}${randomBytes(NONCE_BYTES).toString('base64')}`
    const salt = randomBytes(16)
    const first = `r=${nonce},s=${salt.toString('base64')},i=${ITERATIONS.min}`
    this.#challenge = {
      username,
      nonce,
      binding: Buffer.from(header).toString('base64'),
      signed: `${bare},${first}`,
      keys: await this.#keysOf(username, salt),
    }
    return Buffer.from(first)
  }

  async #keysOf(username: string, salt: Buffer): Promise<Keys[]> {
    const password = this.#options.password(username)
    // Somebody that there is not gets as far as a wrong password does, and as late.
    const known = password ?? randomBytes(16).toString('hex')
    // Clients that prepare what they send (RFC 5802 §2.2) are right, and those that do not, as Cyrus SASL, are let in.
    const forms = [...new Set([known, preparedOrSame(known)])]
    const keys = await Promise.all(forms.map((form) => keysOf(this.mechanism, form, salt, ITERATIONS.min)))
    return password === undefined ? [] : keys
  }

  #final(text: string, { username, nonce, binding, signed, keys }: Challenge): Buffer {
    const at = text.lastIndexOf(',p=')
    const unproved = text.slice(0, Math.max(at, 0))
    const [channel, repeated] = valuesOf(unproved, 'c', 'r')
    const proof = base64(text.slice(at + 3), 'proof')
    if (repeated !== nonce || channel !== binding)
      throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM nonce or binding are not those of the first message')
    const [hash, length] = HASHES[this.mechanism]
    const message = `${signed},${unproved}`
    for (const { stored, server } of keys) {
      if (proof.length !== length) break
      const client = xor(proof, hmac(hash, stored, message))
      if (timingSafeEqual(createHash(hash).update(client).digest(), stored))
        return Buffer.from(`v=${hmac(hash, server, message).toString('base64')}`)
    }
    throw new SaslError('ERR_SASL_CREDENTIALS', `no ${shown(username)} with this password`)
  }
}
