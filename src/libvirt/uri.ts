import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientEnvironment, readClientConfig } from './client-config.ts'
import { LibvirtError } from './errors.ts'

/** Where a connection URI leads: the socket, the name for CONNECT_OPEN, and the URI as the client will show it. */
export interface Target {
  /** The URI as it was given; undefined when the daemon is to choose, and will be asked. */
  readonly uri: string | undefined
  /** The URI for the daemon: without transport and without the parameters that are the client's own. */
  readonly name: string
  readonly socketPath: string
}

/** Parameters that the client takes for itself (doRemoteOpen in remote_driver.c); all others are the daemon's. */
const OWN_PARAMETERS: ReadonlySet<string> = new Set(
  (
    'name command auth netcat keyfile pkipath known_hosts known_hosts_verify sshauth tls_priority mode proxy ' +
    'no_verify no_sanity no_tty socket authfile'
  ).split(' '),
)

/** Drivers that are part of the C library, so that no daemon serves their URI unless a transport is named. */
const DRIVERS_WITHOUT_DAEMON: ReadonlySet<string> = new Set([
  'test',
  'esx',
  'gsx',
  'vpx',
  'hyperv',
  'vmwarews',
  'vmwareplayer',
  'vmwarefusion',
  'openvz',
  'phyp',
])

/** In the order in which libvirtd probes them (remote_sockets.c). */
const PROBED_DRIVERS = ['xen', 'qemu', 'lxc', 'vbox', 'bhyve', 'vz'] as const

const SYSTEM_RUN_DIR = '/run/libvirt'

interface Options {
  readonly readOnly: boolean
  readonly environment: ClientEnvironment
  /** For tests: where the system daemons' sockets are. */
  readonly systemRunDir?: string
}

/**
 * Finds the daemon that a URI means, or, without one, the daemon that libvirt itself would choose:
 * `LIBVIRT_DEFAULT_URI`, then `uri_default` of libvirt.conf, then the local daemon: the system's for root, this user's otherwise.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_URI` when the URI cannot be understood or needs a transport that is not there.
 */
export async function resolveTarget(given: string | undefined, options: Options): Promise<Target> {
  const config = await readClientConfig(options.environment)
  const uri = given || options.environment.env['LIBVIRT_DEFAULT_URI'] || config.uriDefault || ''
  if (uri === '') return localTarget(options)
  const target = config.uriAliases.get(uri) ?? uri
  return targetOf(target, options)
}

function targetOf(text: string, options: Options): Target {
  const match = /^([A-Za-z][A-Za-z0-9]*)(?:\+([A-Za-z0-9]+))?:(.*)$/.exec(text)
  if (!match) throw uriError(text, 'expected driver[+transport]://[host]/path[?parameters]')
  const [, driver = '', transport, rest = ''] = match
  let url: URL
  try {
    url = new URL(`x:${rest}`)
  } catch (error) {
    throw new LibvirtError('ERR_LIBVIRT_URI', `${text}: not a URI`, { cause: error })
  }
  if (transport === undefined && url.host === '' && DRIVERS_WITHOUT_DAEMON.has(driver))
    throw withoutDaemon(text, driver)
  const wanted = transport ?? (url.host === '' ? 'unix' : 'tls')
  if (wanted !== 'unix') throw uriError(text, `transport '${wanted}' is not supported, only 'unix' is`)
  if (url.host !== '') throw uriError(text, `the unix transport has no host, but '${url.host}' is given`)
  const name = url.searchParams.get('name') ?? (driver === 'remote' ? '' : serverName(driver, url))
  return { uri: text, name, socketPath: socketPath(driver, url, options) }
}

/** The URI that the daemon gets: scheme without transport, path, and the parameters that are not the client's. */
function serverName(driver: string, url: URL): string {
  const others = [...url.searchParams].filter(([key]) => !OWN_PARAMETERS.has(key))
  const query = others
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .join('&')
  return `${driver}://${url.pathname}${query === '' ? '' : `?${query}`}`
}

function socketPath(driver: string, url: URL, options: Options): string {
  const given = url.searchParams.get('socket')
  if (given) return given
  const mode = url.searchParams.get('mode') ?? 'auto'
  if (!['auto', 'legacy', 'direct'].includes(mode))
    throw uriError(url.href, `mode '${mode}' is none of auto, legacy, direct`)
  const session = url.pathname === '/session' || (url.pathname !== '/system' && options.environment.uid !== 0)
  const modular = driver === 'remote' ? undefined : daemonSocket(`virt${driver}d`, session, options)
  const legacy = daemonSocket('libvirt', session, options)
  if (mode === 'direct') {
    if (!modular) throw uriError(url.href, "mode 'direct' needs a driver, not 'remote'")
    return modular
  }
  return mode === 'auto' && modular && existsSync(modular) ? modular : legacy
}

function localTarget(options: Options): Target {
  const session = options.environment.uid !== 0
  const legacy = daemonSocket('libvirt', session, options)
  if (!existsSync(legacy)) {
    const scope = session ? 'session' : 'system'
    for (const driver of PROBED_DRIVERS) {
      const path = daemonSocket(`virt${driver}d`, session, options)
      if (existsSync(path))
        return { uri: `${driver}:///${scope}`, name: `${driver}:///${scope}`, socketPath: path }
    }
  }
  return { uri: undefined, name: '', socketPath: legacy }
}

/** Sessions have one socket for both; the system daemons have a second one that is read-only (remote_sockets.c). */
function daemonSocket(
  daemon: string,
  session: boolean,
  { readOnly, environment, systemRunDir }: Options,
): string {
  if (!session) return join(systemRunDir ?? SYSTEM_RUN_DIR, `${daemon}-sock${readOnly ? '-ro' : ''}`)
  const { env, uid } = environment
  const runDir = env['XDG_RUNTIME_DIR'] || `/run/user/${uid}`
  return join(runDir, 'libvirt', `${daemon}-sock`)
}

function withoutDaemon(uri: string, driver: string): LibvirtError {
  const advice =
    driver === 'test' ? `; ask a daemon for it: test+unix://${uri.replace(/^test:\/*/, '/')}` : ''
  return uriError(uri, `the ${driver} driver is part of libvirt's C library and has no daemon${advice}`)
}

function uriError(uri: string, what: string): LibvirtError {
  return new LibvirtError('ERR_LIBVIRT_URI', `${uri}: ${what}`)
}
