import { timingSafeEqual } from 'node:crypto'
import { SaslError } from './errors.ts'
import {
  type SaslClient,
  type SaslClientOptions,
  type SaslServer,
  type SaslServerOptions,
  textOf,
} from './mechanism.ts'

/** PLAIN (RFC 4616): name and password as they are, for connections that are secret already. */
export class PlainClient implements SaslClient {
  readonly mechanism = 'PLAIN'
  readonly layer = undefined
  readonly isComplete = true
  readonly #message: Buffer

  /** @throws {SaslError} `ERR_SASL_CREDENTIALS` when a part has a NUL in it or name or password are empty. */
  constructor({ credentials: { username, password, authzid = '' } }: SaslClientOptions) {
    if ([username, password, authzid].some((part) => part.includes('\0')) || !username || !password)
      throw new SaslError('ERR_SASL_CREDENTIALS', 'a name or password that is empty or has a NUL')
    this.#message = Buffer.from(`${authzid}\0${username}\0${password}`)
  }

  start(): Buffer {
    return this.#message
  }

  async step(challenge: Buffer): Promise<undefined> {
    if (challenge.length > 0) throw new SaslError('ERR_SASL_MALFORMED', 'PLAIN has no challenge')
  }
}

/** The other side of PLAIN. */
export class PlainServer implements SaslServer {
  readonly mechanism = 'PLAIN'
  readonly layer = undefined
  readonly #options: SaslServerOptions
  #username: string | undefined

  constructor(options: SaslServerOptions) {
    this.#options = options
  }

  get username(): string | undefined {
    return this.#username
  }

  async step(response: Buffer | undefined): Promise<{ complete: boolean; data: Buffer | undefined }> {
    if (!response) return { complete: false, data: Buffer.alloc(0) }
    const parts = textOf(response).split('\0')
    const [authzid = '', username = '', password = ''] = parts
    if (parts.length !== 3 || !username) throw new SaslError('ERR_SASL_MALFORMED', 'PLAIN has three parts')
    const expected = this.#options.password(username)
    if (expected === undefined || !equalTexts(expected, password) || (authzid !== '' && authzid !== username))
      throw new SaslError('ERR_SASL_CREDENTIALS', `no ${username} with this password`)
    this.#username = username
    return { complete: true, data: undefined }
  }
}

function equalTexts(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
