import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const OPENSSL = '/usr/bin/openssl'

const run = promisify(execFile)

/** An authority whose certificate and key are `cacert.pem` and `cakey.pem` of a folder. */
export class Authority {
  readonly dir: string
  readonly name: string

  private constructor(dir: string, name: string) {
    this.dir = dir
    this.name = name
  }

  static async create(dir: string, name: string): Promise<Authority> {
    mkdirSync(dir, { recursive: true })
    const [key, cert] = [join(dir, 'cakey.pem'), join(dir, 'cacert.pem')]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`]
    const extensions = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
    await run(OPENSSL, [...request, ...extensions, '-keyout', key, '-out', cert])
    return new Authority(dir, name)
  }

  /** Makes `<prefix>cert.pem` and `<prefix>key.pem` in `dir`; `days` under 0: expired. */
  async issue(
    dir: string,
    prefix: 'client' | 'server',
    options: { name: string; alternatives?: string; days?: number },
  ): Promise<void> {
    mkdirSync(dir, { recursive: true })
    const { name, alternatives, days = 1 } = options
    const [key, request, cert] = ['key.pem', '.csr', 'cert.pem'].map((end) => join(dir, `${prefix}${end}`))
    const extensions = join(dir, `${prefix}.ext`)
    writeFileSync(
      extensions,
      `keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=${prefix}Auth\n${alternatives ? `subjectAltName=${alternatives}\n` : ''}`,
    )
    await run(OPENSSL, [
      ...['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`],
      ...['-keyout', key ?? '', '-out', request ?? ''],
    ])
    await run(OPENSSL, [
      ...['x509', '-req', '-in', request ?? '', '-out', cert ?? '', '-extfile', extensions],
      ...['-CA', join(this.dir, 'cacert.pem'), '-CAkey', join(this.dir, 'cakey.pem'), '-CAcreateserial'],
      ...['-days', String(days)],
    ])
  }
}
