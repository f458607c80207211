import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { watch } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SETPRIV, saltPython, tempDir } from './peers.ts'

const START_MS = 60_000
const STOP_MS = 10_000
const POLL_MS = 20

/** A real salt-master with folders, sockets and loopback ports of its own. */
export interface SaltMaster extends AsyncDisposable {
  readonly sockDir: string
  /** Configuration folder, for `salt-run -c` and the like. */
  readonly confDir: string
  /** Loopback ports: publishing and requests. */
  readonly publishPort: number
  readonly retPort: number
  /** The end of its log so far: warnings and errors. */
  log(): string
  /** Ends it and starts it again in the same folders. */
  restart(): Promise<void>
}

/** The program of a venv. */
export function saltProgram(version: string, name: string): string {
  return join(dirname(saltPython(version)), name)
}

/** Starts the salt-master of a release and waits until both sockets of its event bus are there. */
export async function startSaltMaster(
  version: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<SaltMaster> {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(tempDir())
  const sockDir = join(dir.path, 's')
  const logFile = join(dir.path, 'log')
  mkdirSync(sockDir)
  const [publishPort, retPort] = await freePorts()
  const config = {
    root_dir: dir.path,
    pki_dir: 'pki',
    // Salt moves a sock_dir that is over 10 characters longer than cachedir (salt/config/__init__.py).
    cachedir: join(dir.path, 'cache'),
    sock_dir: sockDir,
    log_file: logFile,
    pidfile: 'pid',
    user: process.env['USER'] ?? 'root',
    interface: '127.0.0.1',
    publish_port: publishPort,
    ret_port: retPort,
    worker_threads: 1,
    ...settings,
  }
  // JSON is YAML.
  writeFileSync(join(dir.path, 'master'), JSON.stringify(config))
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8').slice(-4000) : '')
  const sockets = ['master_event_pub.ipc', 'master_event_pull.ipc'].map((name) => join(sockDir, name))
  const start = async (): Promise<AsyncDisposable> => {
    await using starting = new AsyncDisposableStack()
    for (const path of sockets) rmSync(path, { force: true })
    const { exited } = starting.use(spawnDaemon(saltProgram(version, 'salt-master'), dir.path))
    await appear(sockets, sockDir, exited, log)
    return starting.move()
  }
  let running = await start()
  stack.defer(() => running[Symbol.asyncDispose]())
  const all = stack.move()
  return {
    sockDir,
    confDir: dir.path,
    publishPort,
    retPort,
    log,
    restart: async () => {
      await running[Symbol.asyncDispose]()
      running = await start()
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/**
 * Starts a daemon of Salt. It has many processes; a group of their own lets all be ended by its number. Where the test itself is
 * killed, the kernel ends the daemon in its place.
 */
export function spawnDaemon(
  program: string,
  confDir: string,
): AsyncDisposable & { readonly exited: Promise<unknown> } {
  const child = spawn(SETPRIV, ['--pdeathsig', 'TERM', program, '-c', confDir], {
    stdio: 'ignore',
    detached: true,
  })
  const exited = once(child, 'exit')
  const end = async (): Promise<void> => {
    signalGroup(child.pid, 'SIGTERM')
    const timer = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), STOP_MS)
    await exited
    clearTimeout(timer)
    signalGroup(child.pid, 'SIGKILL')
  }
  return { exited, [Symbol.asyncDispose]: end }
}

/** Waits until all sockets in a folder are there and somebody listens at each. */
export async function appear(
  paths: readonly string[],
  folder: string,
  exited: Promise<unknown>,
  log: () => string,
): Promise<void> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(new Error(`no bus after ${START_MS} ms: ${log()}`)), START_MS)
  exited.then(() => abort.abort(new Error(`the daemon ended: ${log()}`))).catch(() => {})
  try {
    await made(paths, watch(folder, { signal: abort.signal }))
    // Between making a socket and listening at it there is nothing to be told of.
    for (const path of paths)
      while (!(await listens(path))) await sleep(POLL_MS, undefined, { signal: abort.signal })
  } catch (error) {
    throw abort.signal.reason ?? error
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}

async function made(paths: readonly string[], changes: AsyncIterable<unknown>): Promise<void> {
  const isDone = (): boolean => paths.every((path) => existsSync(path))
  if (isDone()) return
  for await (const _ of changes) if (isDone()) return
}

function listens(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createConnection(path, () => resolve(true)).on('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // The group has ended: there is nobody left to signal.
  }
}

/** Two ports of the loopback interface that nobody listens at. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const address = server.address()
      return typeof address === 'object' && address ? address.port : 0
    }),
  )
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return [ports[0] ?? 0, ports[1] ?? 0]
}
