import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type LibvirtdOptions, startLibvirtd, type TestDaemon } from '../../support/libvirtd.ts'
import { type Compared, compare } from './compare.ts'
import { Engines } from './engines.ts'
import { Guests } from './guests.ts'
import { VirshOn } from './virsh-on.ts'

/** Bounded: where the file system were another one, no more than a megabyte would be written. */
const FULL = `set -e; mkdir "$1"; mount -t tmpfs -o size=64k tmpfs "$1"; cd "$1"
for name in report ignore stop; do truncate -s 1M $name; done; head -c 1M /dev/zero >rest 2>/dev/null || true`

/** A private libvirtd with its qemu driver, and both engines watching it. */
export class Stage implements AsyncDisposable {
  readonly daemon: TestDaemon
  readonly engines: Engines
  readonly virsh: VirshOn
  readonly guests: Guests
  readonly uri: string

  /** `kinds`: what both engines register for. */
  static async open(kinds: readonly string[], options: LibvirtdOptions = {}): Promise<Stage> {
    const host = options.host ? { host_uuid: '1e000000-0000-4000-8000-0000000000ff' } : {}
    const daemon = await startLibvirtd(host, options)
    try {
      const uri = `qemu:///system?socket=${daemon.socketPath}`
      return new Stage(daemon, uri, await Engines.watch(uri, kinds))
    } catch (error) {
      await daemon[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(daemon: TestDaemon, uri: string, engines: Engines) {
    this.daemon = daemon
    this.uri = uri
    this.engines = engines
    const dir = join(daemon.dir, 'guests')
    mkdirSync(dir)
    this.guests = new Guests(dir)
    this.virsh = new VirshOn(uri, dir)
  }

  /** A folder without room that only the daemon and its guests see, with the sparse images `report`, `ignore` and `stop`. */
  get full(): string {
    return join(this.daemon.dir, 'full')
  }

  /** Runs a program in the daemon's own namespaces. */
  readonly inside = async (...command: readonly string[]): Promise<void> => {
    await promisify(execFile)('nsenter', [
      '-t',
      String(this.daemon.process.pid),
      '-r',
      '-m',
      '-n',
      ...command,
    ])
  }

  /** Makes the folder `full`. */
  async fill(): Promise<void> {
    await this.inside('sh', '-c', FULL, 'sh', this.full)
  }

  /** Compares what both have told. What is told last is about a guest that comes and goes: then all is there. */
  async compared(): Promise<Compared> {
    await this.virsh.xml('define', this.guests.xml('last'))
    await this.virsh.each('undefine last')
    await this.engines.until({ kind: 'domain/lifecycle', of: 'last', fields: { event: 'undefined' } })
    return compare(this.engines.real, this.engines.ours)
  }

  /** Process of a guest, as libvirtd has noted it; undefined where it does not run. */
  pidOf(guest: string): number | undefined {
    const path = `${this.#noted}/${guest}.pid`
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined
  }

  get #noted(): string {
    return `/proc/${this.daemon.process.pid}/root/run/libvirt/qemu`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engines[Symbol.asyncDispose]()
    const notes = existsSync(this.#noted) ? readdirSync(this.#noted) : []
    const left = notes.filter((name) => name.endsWith('.pid')).map((name) => this.pidOf(name.slice(0, -4)))
    await this.daemon[Symbol.asyncDispose]()
    // Guests outlive their daemon; a failed test leaves some.
    for (const pid of left) {
      if (pid === undefined) continue
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended in the meantime.
      }
    }
  }
}
