import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { watch } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { SETPRIV, tempDir } from './peers.ts'

export const LIBVIRTD = '/usr/sbin/libvirtd'
export const VIRSH = '/usr/bin/virsh'
export const SASLPASSWD2 = '/usr/sbin/saslpasswd2'

/** A libvirtd of its own: its configuration, run, state and cache folders are empty file systems that only it sees. */
export interface TestDaemon extends AsyncDisposable {
  /** `test+unix:///default` over the read-write socket. */
  readonly uri: string
  readonly socketPath: string
  readonly readOnlySocketPath: string
  readonly process: ChildProcess
  readonly dir: string
  /** Ports of `tcp` and `tls`, where these were asked for. */
  readonly port: number
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

/** How a daemon can be reached besides its UNIX sockets. */
export interface LibvirtdOptions {
  /** Listens on loopback, too. */
  readonly listen?: 'tcp' | 'tls'
  /** Mechanisms of SASL and who may log in, for the sockets that settings give to it (`auth_tcp`, `auth_unix_rw` …). */
  readonly sasl?: { readonly mechanisms: string; readonly users: Readonly<Record<string, string>> }
  /** Starts in the mount namespace of this process, in one of its own that begins as that. */
  readonly namespaceOf?: number
  /** Its network is a namespace of its own, which udev's messages do not leave, and its host has this name. */
  readonly host?: string
}

/** Starts a real libvirtd on sockets in a temporary folder; `settings` go into libvirtd.conf. */
export async function startLibvirtd(
  settings: Readonly<Record<string, string | number>> = {},
  { listen, sasl, namespaceOf, host }: LibvirtdOptions = {},
): Promise<TestDaemon> {
  const dir = tempDir()
  mkdirSync(join(dir.path, 'run'))
  mkdirSync(join(dir.path, 'sasl2'))
  const port = listen ? await freePort() : 0
  const all = {
    unix_sock_dir: `${dir.path}/run`,
    auth_unix_ro: 'none',
    auth_unix_rw: 'none',
    listen_tcp: listen === 'tcp' ? 1 : 0,
    listen_tls: listen === 'tls' ? 1 : 0,
    ...(listen && { listen_addr: '127.0.0.1', [`${listen}_port`]: String(port) }),
    ...settings,
  }
  const lines = Object.entries(all).map(
    ([key, value]) => `${key} = ${typeof value === 'number' ? value : `"${value}"`}\n`,
  )
  writeFileSync(join(dir.path, 'libvirtd.conf'), lines.join(''))
  writeFileSync(join(dir.path, 'qemu.conf'), QEMU_CONF)
  if (sasl) await writeSasl(dir.path, sasl)
  const enter = namespaceOf === undefined ? [] : ['nsenter', '-t', `${namespaceOf}`, '-r', '-m']
  return await run(dir, { port, enter, args: listen ? ['--listen'] : [], host: host ?? '' })
}

/** What Cyrus SASL reads for the application `libvirt`, and its database of users. */
async function writeSasl(dir: string, sasl: NonNullable<LibvirtdOptions['sasl']>): Promise<void> {
  const database = join(dir, 'users.db')
  writeFileSync(
    join(dir, 'sasl2/libvirt.conf'),
    `mech_list: ${sasl.mechanisms}\nauxprop_plugin: sasldb\nsasldb_path: ${database}\n`,
  )
  for (const [name, password] of Object.entries(sasl.users)) {
    const child = spawn(SASLPASSWD2, ['-p', '-a', 'libvirt', '-f', database, name], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    child.stdin.end(password)
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`${SASLPASSWD2} ended with ${code}`)
  }
}

/** A port of loopback that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function run(
  dir: { path: string } & Disposable,
  how: { port: number; enter: readonly string[]; args: readonly string[]; host: string },
): Promise<TestDaemon> {
  const script =
    'set -e; for d in /etc/libvirt /run/libvirt /var/lib/libvirt /var/cache/libvirt; do ' +
    'mkdir -p $d; mount -t tmpfs tmpfs $d; done; cp "$1/qemu.conf" /etc/libvirt/; ' +
    'mkdir -p /etc/sasl2; mount --bind "$1/sasl2" /etc/sasl2; ' +
    'd=$1; [ -z "$2" ] || printf %s "$2" >/proc/sys/kernel/hostname; shift 2; exec "$0" -f "$d/libvirtd.conf" -p "$d/pid" "$@"'
  const sockets = join(dir.path, 'run')
  const socketPath = join(sockets, 'libvirt-sock')
  const readOnlySocketPath = join(sockets, 'libvirt-sock-ro')
  // What a killed daemon has left behind would look like one that is up.
  for (const path of [socketPath, readOnlySocketPath]) rmSync(path, { force: true })
  // Where the test itself is killed, the kernel ends the daemon in its place.
  const namespaces = how.host === '' ? ['-m'] : ['-m', '-n', '-u']
  const shell = ['sh', '-c', script, LIBVIRTD, dir.path, how.host, ...how.args]
  const command = ['--pdeathsig', 'TERM', ...how.enter, 'unshare', ...namespaces, ...shell]
  const child = spawn(SETPRIV, command, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000)
  })
  await appears([socketPath, readOnlySocketPath], sockets, child, () => log)
  if (how.port > 0) await untilListens(how.port, child, () => log)
  return {
    uri: `test+unix:///default?socket=${socketPath}`,
    socketPath,
    readOnlySocketPath,
    process: child,
    dir: dir.path,
    port: how.port,
    async restart(signal) {
      await stop(child, signal)
      return await run(dir, how)
    },
    async [Symbol.asyncDispose]() {
      await stop(child)
      dir[Symbol.dispose]()
    },
  }
}

/** Waits until somebody listens on a port of loopback. */
export async function untilListens(port: number, child: ChildProcess, log: () => string): Promise<void> {
  const deadline = performance.now() + START_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      // Nobody listens yet.
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`not up: ${log()}`)
      await delay(10)
    } finally {
      socket.destroy()
    }
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
