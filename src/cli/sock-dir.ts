import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Where the event sockets are: `VIRBUS_SOCK_DIR`, else `/run/virbus` for root, else `virbus` under `XDG_RUNTIME_DIR`,
 * else a folder of this user in the folder for temporary files.
 */
export function defaultSockDir(env: Readonly<Record<string, string | undefined>>, uid: number): string {
  if (env['VIRBUS_SOCK_DIR']) return env['VIRBUS_SOCK_DIR']
  if (uid === 0) return '/run/virbus'
  if (env['XDG_RUNTIME_DIR']) return join(env['XDG_RUNTIME_DIR'], 'virbus')
  return join(tmpdir(), `virbus-${uid}`)
}

/** {@link defaultSockDir} of this process. */
export function ownSockDir(): string {
  return defaultSockDir(process.env, process.getuid?.() ?? 0)
}

/**
 * Where guests are kept over restarts: `VIRBUS_STATE_DIR` (empty: nowhere), else `/var/lib/virbus` for root, else `virbus` under
 * `XDG_STATE_HOME` or `~/.local/state`.
 */
export function defaultStateDir(env: Readonly<Record<string, string | undefined>>, uid: number): string {
  if (env['VIRBUS_STATE_DIR'] !== undefined) return env['VIRBUS_STATE_DIR']
  if (uid === 0) return '/var/lib/virbus'
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local/state'), 'virbus')
}
