import { timingSafeEqual } from 'node:crypto'
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

/** The client's side of PLAIN (RFC 4616): name and password as they are, for connections that are secret already. */
export class PlainClient implements SaslClient {
  readonly mechanism = 'PLAIN'
  readonly layer = undefined
  readonly #message: Buffer
  #isSent = false

  /** @throws {SaslError} `ERR_SASL_CREDENTIALS` when name or password are empty or have control characters, NUL first of all. */
  constructor({ credentials }: SaslClientOptions) {
    checkCredentials(credentials)
    const { username, password, authzid = '' } = credentials
    this.#message = Buffer.from(`${authzid}\0${username}\0${password}`)
  }

  /** There is nothing to verify: a server proves nothing here. */
  get isComplete(): boolean {
    return this.#isSent
  }

  start(): Buffer {
    this.#isSent = true
    return this.#message
  }

  async step(challenge: Buffer): Promise<Buffer | undefined> {
    if (challenge.length > 0) throw new SaslError('ERR_SASL_MALFORMED', 'PLAIN has no challenge')
    return this.#isSent ? undefined : this.start()
  }
}

/** The server's side of PLAIN (RFC 4616). Nobody may act as somebody else. */
export class PlainServer implements SaslServer {
  readonly mechanism = 'PLAIN'
  readonly layer = undefined
  readonly #options: SaslServerOptions
  #isOver = false
  #username: string | undefined

  constructor(options: SaslServerOptions) {
    this.#options = options
  }

  get username(): string | undefined {
    return this.#username
  }

  async step(response: Buffer | undefined): Promise<SaslServerReply> {
    if (this.#isOver) throw new SaslError('ERR_SASL_MALFORMED', 'PLAIN message after the end')
    if (!response) return { complete: false, data: Buffer.alloc(0) }
    this.#isOver = true
    const parts = textOf(response).split('\0')
    const [authzid = '', username = '', password = ''] = parts
    if (parts.length !== 3 || username === '' || password === '')
      throw new SaslError('ERR_SASL_MALFORMED', 'PLAIN message without its three parts')
    const expected = this.#options.password(username)
    const isRight = expected !== undefined && isSame(expected, password)
    if (!isRight || (authzid !== '' && authzid !== username))
      throw new SaslError('ERR_SASL_CREDENTIALS', `no ${shown(username)} with this password`)
    this.#username = username
    return { complete: true, data: undefined }
  }
}

/** Passwords are the same when they are as they are, or as SASLprep has them (RFC 4616 §2). */
function isSame(expected: string, given: string): boolean {
  return isEqual(expected, given) || isEqual(preparedOrSame(expected), preparedOrSame(given))
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
