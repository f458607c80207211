import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { VIRSH } from '../../support/libvirtd.ts'

/** The real virsh on one URI, with XML given as text. */
export class VirshOn {
  readonly #uri: string
  readonly #dir: string

  /** `dir`: where XML is written for virsh to read. */
  constructor(uri: string, dir: string) {
    this.#uri = uri
    this.#dir = dir
  }

  /** Runs a command and gives its standard output; rejects when it fails. */
  async run(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(VIRSH, ['-q', '-c', this.#uri, ...args], {
      env: { ...process.env, LC_ALL: 'C' },
    })
    return stdout.trim()
  }

  /** Runs commands one after the other, the words of each between spaces. */
  async each(...commands: readonly string[]): Promise<void> {
    for (const command of commands) await this.run(...command.split(' '))
  }

  /** Runs a command whose argument is a file with this XML. */
  async xml(command: string, xml: string, ...args: readonly string[]): Promise<string> {
    const path = join(this.#dir, `${randomUUID()}.xml`)
    writeFileSync(path, xml)
    const [name = '', ...before] = command.split(' ')
    return await this.run(name, ...before, path, ...args)
  }
}
