import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { ClientEnvironment } from './client-config.ts'

/** Which of libvirt's daemons to look for. */
export interface DaemonQuery {
  /** `qemu`, `lxc` …; undefined where the URI leaves the choice to the daemon. */
  readonly driver: string | undefined
  /** This user's own daemons, not the system's. */
  readonly session: boolean
  readonly readOnly: boolean
  /** `remote_mode`: the modular daemon of the driver, libvirtd, or whichever is there. */
  readonly mode: 'auto' | 'legacy' | 'direct'
  readonly environment: ClientEnvironment
  /** For tests: where the system daemons' sockets are. */
  readonly systemRunDir?: string | undefined
}

/** Where a daemon listens. */
export interface DaemonSocket {
  readonly socketPath: string
  /** The program to start where nobody listens: only for a user's own daemon (`--timeout=120`). */
  readonly daemon: string | undefined
  /** The driver, when it was found out by looking. */
  readonly driver: string | undefined
}

const SYSTEM_RUN_DIR = '/run/libvirt'

/** In the order in which libvirt probes them (remoteProbeSystemDriverFromSocket, remoteProbeSessionDriverFromSocket). */
const SYSTEM_DRIVERS = ['xen', 'qemu', 'lxc', 'vbox', 'bhyve', 'vz'] as const
const SESSION_DRIVERS = ['qemu', 'vbox'] as const

/**
 * The daemon that libvirt itself would connect to (remoteGetUNIXSocket in remote_sockets.c): the modular daemon of the
 * driver where its socket is there, else libvirtd. Undefined when mode `direct` has no driver to go by.
 */
export function findDaemon(query: DaemonQuery): DaemonSocket | undefined {
  const legacy = socketOf('libvirt', query)
  const guessed = query.driver ?? (query.mode === 'legacy' ? undefined : guessDriver(query, legacy))
  const direct = guessed === undefined ? undefined : socketOf(`virt${guessed}d`, query)
  const isDirect =
    query.mode === 'direct' || (query.mode === 'auto' && direct !== undefined && existsSync(direct))
  const driver = query.driver === undefined ? guessed : undefined
  if (!isDirect) return { socketPath: legacy, daemon: programOf('libvirtd', query), driver: undefined }
  if (direct === undefined) return undefined
  return { socketPath: direct, daemon: programOf(`virt${guessed}d`, query), driver }
}

function guessDriver(query: DaemonQuery, legacy: string): string | undefined {
  if (query.mode === 'auto' && existsSync(legacy)) return undefined
  const drivers = query.session ? SESSION_DRIVERS : SYSTEM_DRIVERS
  return drivers.find((driver) => existsSync(socketOf(`virt${driver}d`, query)))
}

/** Sessions have one socket for both; the system daemons have a second one that is read-only. */
function socketOf(daemon: string, { session, readOnly, environment, systemRunDir }: DaemonQuery): string {
  if (!session) return join(systemRunDir ?? SYSTEM_RUN_DIR, `${daemon}-sock${readOnly ? '-ro' : ''}`)
  const { env, uid } = environment
  return join(env['XDG_RUNTIME_DIR'] || `/run/user/${uid}`, 'libvirt', `${daemon}-sock`)
}

/** The program of a user's own daemon, which clients start on demand unless `LIBVIRT_AUTOSTART` is 0. */
function programOf(name: string, { session, environment: { env } }: DaemonQuery): string | undefined {
  if (!session || env['LIBVIRT_AUTOSTART'] === '0') return undefined
  const given = env['VIRTD_PATH'] ?? env['LIBVIRTD_PATH']
  if (given) return given
  const folders = [...(env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}
