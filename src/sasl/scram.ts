import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { SaslError } from './errors.ts'
import {
  prepared,
  type SaslClient,
  type SaslClientOptions,
  type SaslServer,
  type SaslServerOptions,
  textOf,
} from './mechanism.ts'

/** The hashes of the mechanisms, and the bytes that each gives. */
const HASHES = {
  'SCRAM-SHA-1': ['sha1', 20],
  'SCRAM-SHA-256': ['sha256', 32],
  'SCRAM-SHA-512': ['sha512', 64],
} as const

/** The mechanisms of this family (RFC 5802, RFC 7677), without channel binding. */
export type ScramMechanism = keyof typeof HASHES

/** RFC 7677 §4 asks for at least 4096; the most is what a server may cost us: a few seconds beside the event loop. */
const ITERATIONS = { min: 4096, max: 5_000_000 }
const NONCE_BYTES = 18
/** A nonce is a few dozen characters; one that is longer than this is none. */
const NONCE_CHARS_MAX = 1024
/** `n,,` in base64: no channel binding, nobody else's identity. */
const NO_BINDING = 'n,,'

const derive = promisify(pbkdf2)

interface Keys {
  readonly client: Buffer
  readonly stored: Buffer
  readonly server: Buffer
}

/** ClientKey, StoredKey and ServerKey of RFC 5802 §3; `pbkdf2` works in a thread of its own. */
async function keysOf(
  mechanism: ScramMechanism,
  password: string,
  salt: Buffer,
  iterations: number,
): Promise<Keys> {
  const [hash, length] = HASHES[mechanism]
  const salted = await derive(prepared(password), salt, iterations, length, hash)
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

/** The attributes of a message, in their order: `r=…,s=…,i=…`. */
function attributesOf(text: string): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const part of text.split(',')) {
    if (part[1] !== '=' || attributes.has(part[0] ?? ''))
      throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM message with an attribute that is none, or twice')
    attributes.set(part[0] ?? '', part.slice(2))
  }
  return attributes
}

function base64(text: string | undefined, what: string): Buffer {
  if (text === undefined || text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text))
    throw new SaslError('ERR_SASL_MALFORMED', `SCRAM ${what} that is no base64`)
  return Buffer.from(text, 'base64')
}

/** The client's side of SCRAM. */
export class ScramClient implements SaslClient {
  readonly mechanism: ScramMechanism
  readonly layer = undefined
  readonly #password: string
  readonly #header: string
  readonly #bare: string
  readonly #nonce: string
  #state: 'first' | 'final' | 'done' = 'first'
  #serverSignature: Buffer | undefined

  /** `nonce`: for tests against the vectors of the RFCs. */
  constructor(mechanism: ScramMechanism, { credentials }: SaslClientOptions, nonce?: string) {
    this.mechanism = mechanism
    this.#password = credentials.password
    this.#nonce = nonce ?? randomBytes(NONCE_BYTES).toString('base64')
    this.#header = credentials.authzid === undefined ? NO_BINDING : `n,a=${saslname(credentials.authzid)},`
    this.#bare = `n=${saslname(prepared(credentials.username))},r=${this.#nonce}`
  }

  get isComplete(): boolean {
    return this.#state === 'done'
  }

  start(): Buffer {
    return Buffer.from(`${this.#header}${this.#bare}`)
  }

  async step(challenge: Buffer): Promise<Buffer | undefined> {
    const text = textOf(challenge)
    if (this.#state === 'first') return await this.#prove(text)
    if (this.#state === 'final') {
      this.#verify(text)
      return undefined
    }
    throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM message after the end')
  }

  async #prove(text: string): Promise<Buffer> {
    const attributes = attributesOf(text)
    if (attributes.has('m')) throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM extension that is not known')
    const nonce = attributes.get('r') ?? ''
    if (
      !nonce.startsWith(this.#nonce) ||
      nonce.length === this.#nonce.length ||
      nonce.length > NONCE_CHARS_MAX
    )
      throw new SaslError('ERR_SASL_SERVER', 'SCRAM nonce of the server does not continue ours')
    const iterations = Number(attributes.get('i'))
    if (!Number.isInteger(iterations) || iterations < ITERATIONS.min || iterations > ITERATIONS.max)
      throw new SaslError(
        'ERR_SASL_MALFORMED',
        `SCRAM iterations '${attributes.get('i')}', allowed ${ITERATIONS.min} to ${ITERATIONS.max}`,
      )
    const salt = base64(attributes.get('s'), 'salt')
    const keys = await keysOf(this.mechanism, this.#password, salt, iterations)
    const [hash] = HASHES[this.mechanism]
    const unproved = `c=${Buffer.from(this.#header).toString('base64')},r=${nonce}`
    const signed = `${this.#bare},${text},${unproved}`
    const proof = xor(keys.client, hmac(hash, keys.stored, signed))
    this.#serverSignature = hmac(hash, keys.server, signed)
    this.#state = 'final'
    return Buffer.from(`${unproved},p=${proof.toString('base64')}`)
  }

  #verify(text: string): void {
    const attributes = attributesOf(text)
    const refusal = attributes.get('e')
    if (refusal !== undefined) throw new SaslError('ERR_SASL_CREDENTIALS', `the server says ${refusal}`)
    const signature = base64(attributes.get('v'), 'signature')
    const expected = this.#serverSignature
    if (!expected || signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new SaslError('ERR_SASL_SERVER', 'the server does not know the password')
    this.#state = 'done'
  }
}

/** The server's side of SCRAM. */
export class ScramServer implements SaslServer {
  readonly mechanism: ScramMechanism
  readonly layer = undefined
  readonly #options: SaslServerOptions
  #state: 'first' | 'final' | 'done' = 'first'
  #signed = ''
  #nonce = ''
  #header = ''
  #claimed = ''
  #keys: Keys | undefined

  constructor(mechanism: ScramMechanism, options: SaslServerOptions) {
    this.mechanism = mechanism
    this.#options = options
  }

  get username(): string | undefined {
    return this.#state === 'done' ? this.#claimed : undefined
  }

  async step(response: Buffer | undefined): Promise<{ complete: boolean; data: Buffer | undefined }> {
    if (!response) return { complete: false, data: Buffer.alloc(0) }
    const text = textOf(response)
    if (this.#state === 'first') return { complete: false, data: await this.#challenge(text) }
    if (this.#state === 'final') return { complete: true, data: this.#verify(text) }
    throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM message after the end')
  }

  async #challenge(text: string): Promise<Buffer> {
    const match = /^([ny],(?:a=[^,]*)?,)(n=([^,]+),r=([^,]+))$/.exec(text)
    if (!match || (match[4] ?? '').length > NONCE_CHARS_MAX)
      throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM first message')
    const [, header = '', bare = '', name = '', nonce = ''] = match
    this.#header = header
    this.#claimed = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
    this.#nonce = `${nonce}${randomBytes(NONCE_BYTES).toString('base64')}`
    const salt = randomBytes(16)
    const password = this.#options.password(this.#claimed)
    // Somebody that there is not gets as far as a wrong password does.
    const keys = await keysOf(
      this.mechanism,
      password ?? randomBytes(16).toString('hex'),
      salt,
      ITERATIONS.min,
    )
    if (password !== undefined) this.#keys = keys
    const first = `r=${this.#nonce},s=${salt.toString('base64')},i=${ITERATIONS.min}`
    this.#signed = `${bare},${first}`
    this.#state = 'final'
    return Buffer.from(first)
  }

  #verify(text: string): Buffer {
    const [, unproved = '', proof] = /^(.*),p=([^,]*)$/.exec(text) ?? []
    const attributes = attributesOf(unproved)
    const binding = Buffer.from(this.#header).toString('base64')
    if (attributes.get('r') !== this.#nonce || attributes.get('c') !== binding)
      throw new SaslError('ERR_SASL_MALFORMED', 'SCRAM nonce or binding are not those of the first message')
    const [hash, length] = HASHES[this.mechanism]
    const signed = `${this.#signed},${unproved}`
    const given = base64(proof, 'proof')
    const keys = this.#keys
    if (!keys || given.length !== length) throw this.#refused()
    const client = xor(given, hmac(hash, keys.stored, signed))
    if (!timingSafeEqual(createHash(hash).update(client).digest(), keys.stored)) throw this.#refused()
    this.#state = 'done'
    return Buffer.from(`v=${hmac(hash, keys.server, signed).toString('base64')}`)
  }

  #refused(): SaslError {
    return new SaslError('ERR_SASL_CREDENTIALS', `no ${this.#claimed} with this password`)
  }
}
