import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { watch } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tempDir } from './peers.ts'

export const LIBVIRTD = '/usr/sbin/libvirtd'
export const VIRSH = '/usr/bin/virsh'

/** A libvirtd of its own: its configuration, run, state and cache folders are empty file systems that only it sees. */
export interface TestDaemon extends AsyncDisposable {
  /** `test+unix:///default` over the read-write socket. */
  readonly uri: string
  readonly socketPath: string
  readonly readOnlySocketPath: string
  readonly process: ChildProcess
  readonly dir: string
  /** Ends it by a signal and starts it anew on the same sockets. */
  restart(signal: NodeJS.Signals): Promise<TestDaemon>
}

const START_MS = 20_000

/** Debian's default user for guests comes with a package that the tests do not need; there is no virtlogd either. */
const QEMU_CONF = `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
stdio_handler = "file"
`

/** Starts a real libvirtd on sockets in a temporary folder; `settings` go into libvirtd.conf. */
export async function startLibvirtd(settings: Readonly<Record<string, string>> = {}): Promise<TestDaemon> {
  const dir = tempDir()
  mkdirSync(join(dir.path, 'run'))
  const all = { unix_sock_dir: `${dir.path}/run`, auth_unix_ro: 'none', auth_unix_rw: 'none', ...settings }
  const lines = Object.entries(all).map(([key, value]) => `${key} = "${value}"\n`)
  writeFileSync(join(dir.path, 'libvirtd.conf'), lines.join(''))
  writeFileSync(join(dir.path, 'qemu.conf'), QEMU_CONF)
  return await run(dir)
}

async function run(dir: { path: string } & Disposable): Promise<TestDaemon> {
  const script =
    'set -e; for d in /etc/libvirt /run/libvirt /var/lib/libvirt /var/cache/libvirt; do ' +
    'mkdir -p $d; mount -t tmpfs tmpfs $d; done; cp "$1/qemu.conf" /etc/libvirt/; ' +
    'exec "$0" -f "$1/libvirtd.conf" -p "$1/pid"'
  const sockets = join(dir.path, 'run')
  const socketPath = join(sockets, 'libvirt-sock')
  const readOnlySocketPath = join(sockets, 'libvirt-sock-ro')
  // What a killed daemon has left behind would look like one that is up.
  for (const path of [socketPath, readOnlySocketPath]) rmSync(path, { force: true })
  const child = spawn('unshare', ['-m', 'sh', '-c', script, LIBVIRTD, dir.path], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000)
  })
  await appears([socketPath, readOnlySocketPath], sockets, child, () => log)
  return {
    uri: `test+unix:///default?socket=${socketPath}`,
    socketPath,
    readOnlySocketPath,
    process: child,
    dir: dir.path,
    async restart(signal) {
      await stop(child, signal)
      return await run(dir)
    },
    async [Symbol.asyncDispose]() {
      await stop(child)
      dir[Symbol.dispose]()
    },
  }
}

async function appears(
  paths: readonly string[],
  folder: string,
  child: ChildProcess,
  log: () => string,
): Promise<void> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(new Error(`not up after ${START_MS} ms: ${log()}`)), START_MS)
  child.once('exit', (code) => abort.abort(new Error(`ended with ${code} before it was up: ${log()}`)))
  try {
    const changes = watch(folder, { signal: abort.signal })
    if (paths.every((path) => existsSync(path))) return
    for await (const _ of changes) if (paths.every((path) => existsSync(path))) return
  } catch (error) {
    child.kill('SIGKILL')
    throw abort.signal.reason ?? error
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}

/** Asks a child to end and waits until it has. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await exited
  clearTimeout(timer)
}

/**
 * Defines a domain again and again until `isSeen` says that an observer sees events, and undefines it. With a uuid:
 * without one, libvirt takes the second definition for another domain of the same name, and refuses it.
 */
export async function defineUntil(
  { uri, dir }: TestDaemon,
  name: string,
  isSeen: () => boolean,
): Promise<void> {
  const xml = join(dir, `${name}.xml`)
  writeFileSync(
    xml,
    `<domain type='test'><name>${name}</name><uuid>${randomUUID()}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>`,
  )
  const deadline = performance.now() + 30_000
  do {
    if (performance.now() > deadline) throw new Error(`${name} was defined and defined, and nobody saw it`)
    await promisify(execFile)(VIRSH, ['-c', uri, 'define', xml])
  } while (!isSeen())
  await promisify(execFile)(VIRSH, ['-c', uri, 'undefine', name])
}
