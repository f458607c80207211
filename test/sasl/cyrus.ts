import { execFileSync } from 'node:child_process'
import { SASLPASSWD2 } from '../support/libvirtd.ts'
import { PythonScript } from '../support/python.ts'

export const PYTHON = '/usr/bin/python3'

export interface CyrusOptions {
  readonly side: 'server' | 'client'
  readonly mechanism: string
  readonly service: string
  readonly host: string
  readonly minSsf: number
  readonly maxSsf: number
  readonly bufferBytes: number
  /** Of a server: what saslpasswd2 has made, and other settings of its configuration file. */
  readonly database?: string
  readonly settings?: Readonly<Record<string, string>>
  /** Of a client. */
  readonly username?: string
  readonly password?: string
  readonly authzid?: string
}

/** Cyrus SASL itself as the other side of a conversation, through cyrus_peer.py; throws what it refuses. */
export class Cyrus implements AsyncDisposable {
  readonly #script = new PythonScript(PYTHON, '../sasl/cyrus_peer.py')

  constructor(options: CyrusOptions) {
    this.#script.send(JSON.stringify(options))
  }

  async start(response?: Buffer): Promise<{ complete: boolean; data: Buffer | undefined }> {
    const { complete, data } = await this.#do('start', response)
    return { complete: complete === true, data: bytes(data) }
  }

  async step(message: Buffer | undefined): Promise<{ complete: boolean; data: Buffer | undefined }> {
    const { complete, data } = await this.#do('step', message)
    return { complete: complete === true, data: bytes(data) }
  }

  async result(): Promise<{ ssf: unknown; username: unknown }> {
    this.#script.send(JSON.stringify({ do: 'result' }))
    const { ssf, username } = await this.#answer()
    return { ssf, username }
  }

  async encode(plain: Buffer): Promise<Buffer> {
    return bytes((await this.#do('encode', plain))['data']) ?? Buffer.alloc(0)
  }

  async decode(wire: Buffer): Promise<Buffer> {
    return bytes((await this.#do('decode', wire))['data']) ?? Buffer.alloc(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#script[Symbol.asyncDispose]()
  }

  async #do(what: string, data: Buffer | undefined): Promise<Record<string, unknown>> {
    this.#script.send(JSON.stringify({ do: what, data: data?.toString('base64') ?? null }))
    return await this.#answer()
  }

  async #answer(): Promise<Record<string, unknown>> {
    const answer = (await this.#script.json()) as Record<string, unknown> // the script prints objects only
    if (typeof answer['error'] === 'string') throw new Error(`Cyrus SASL: ${answer['error']}`)
    return answer
  }
}

function bytes(data: unknown): Buffer | undefined {
  return typeof data === 'string' ? Buffer.from(data, 'base64') : undefined
}

/** Writes a user into a database of Cyrus SASL, in the realm of this host. */
export function addUser(database: string, host: string, username: string, password: string): void {
  execFileSync(SASLPASSWD2, ['-p', '-a', 'libvirt', '-f', database, '-u', host, username], {
    input: password,
  })
}
