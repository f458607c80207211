import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { socketPaths } from '../../src/salt/index.ts'
import { tempDir } from './peers.ts'
import { appear, type SaltMaster, saltProgram, spawnDaemon } from './salt-master.ts'

/** A real salt-minion with folders and sockets of its own. */
export interface SaltMinion extends AsyncDisposable {
  readonly id: string
  readonly sockDir: string
  /** Configuration folder, for `salt-call -c`. */
  readonly confDir: string
}

/** The configuration of a minion in a folder of its own; `master` says where its master is. */
export function minionConfig(
  id: string,
  settings: Readonly<Record<string, unknown>> = {},
): Omit<SaltMinion, keyof AsyncDisposable> & Disposable {
  const dir = tempDir()
  const sockDir = join(dir.path, 's')
  mkdirSync(sockDir)
  const config = {
    id,
    root_dir: dir.path,
    pki_dir: 'pki',
    cachedir: join(dir.path, 'cache'),
    sock_dir: sockDir,
    log_file: join(dir.path, 'log'),
    pidfile: 'pid',
    user: process.env['USER'] ?? 'root',
    enable_fqdns_grains: false,
    ...settings,
  }
  // JSON is YAML.
  writeFileSync(join(dir.path, 'minion'), JSON.stringify(config))
  return { id, sockDir, confDir: dir.path, [Symbol.dispose]: () => dir[Symbol.dispose]() }
}

/** Starts the salt-minion of a release and waits until both sockets of its event bus are there; the master accepts it by itself. */
export async function startSaltMinion(version: string, master: SaltMaster, id: string): Promise<SaltMinion> {
  await using stack = new AsyncDisposableStack()
  const config = stack.use(
    minionConfig(id, {
      master: '127.0.0.1',
      master_port: master.retPort,
      publish_port: master.publishPort,
      acceptance_wait_time: 1,
    }),
  )
  const { exited } = stack.use(spawnDaemon(saltProgram(version, 'salt-minion'), config.confDir))
  const { pub, pull } = socketPaths(config.sockDir, { node: 'minion', id })
  const logFile = join(config.confDir, 'log')
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8').slice(-4000) : '')
  await appear([pub, pull], config.sockDir, exited, log)
  const all = stack.move()
  return { ...config, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
