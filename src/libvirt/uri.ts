import { type ClientConfig, type ClientEnvironment, readClientConfig } from './client-config.ts'
import { findDaemon } from './daemon-sockets.ts'
import { LibvirtError } from './errors.ts'
import { sshArguments } from './transports/ssh-command.ts'

/** How the bytes get to the daemon. */
export type Route =
  | {
      readonly transport: 'unix'
      readonly socketPath: string
      /** The program to start where nobody listens. */
      readonly daemon: string | undefined
    }
  | { readonly transport: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly transport: 'tls'
      readonly host: string
      readonly port: number
      /** Folder of cacert.pem, clientcert.pem and clientkey.pem; undefined: libvirt's own places. */
      readonly pkipath: string | undefined
      /** Whether the daemon's certificate is checked. */
      readonly verify: boolean
      /** Priority string of GnuTLS. */
      readonly priority: string | undefined
    }
  /** `ssh` and `ext`: a program whose standard input and output are the connection. */
  | {
      readonly transport: 'ssh' | 'ext'
      readonly command: string
      readonly args: readonly string[]
      /** May ask at the terminal. */
      readonly tty: boolean
    }

/** Where a connection URI leads. */
export interface Target {
  /** The URI as it was given; undefined when the daemon is to choose, and will be asked. */
  readonly uri: string | undefined
  /** The URI for the daemon: without transport and without the parameters that are the client's own. */
  readonly name: string
  readonly route: Route
  /** The host that is named to SASL and looked up in the authentication file; `localhost` where the URI has none. */
  readonly host: string
  readonly username: string | undefined
  /** `auth=`: `sasl`, `sasl.MECHANISM`, `polkit`, `none`; undefined: what the daemon asks for. */
  readonly auth: string | undefined
  /** `authfile=` */
  readonly authFile: string | undefined
}

/** Ports of libvirtd (LIBVIRTD_TCP_PORT, LIBVIRTD_TLS_PORT in remote_driver.h). */
const PORTS = { tcp: 16509, tls: 16514 } as const

/** Parameters that the client takes for itself (doRemoteOpenExtractURIArgs in remote_driver.c); all others are the daemon's. */
const OWN_PARAMETERS: ReadonlySet<string> = new Set(
  (
    'name command socket auth sshauth netcat keyfile pkipath known_hosts known_hosts_verify tls_priority mode proxy ' +
    'no_sanity no_verify no_tty authfile'
  ).split(' '),
)

/** Drivers that are part of the C library, so that no daemon serves their local URI unless a transport is named. */
const DRIVERS_WITHOUT_DAEMON: ReadonlySet<string> = new Set(
  'test vmwarews vmwareplayer vmwarefusion openvz'.split(' '),
)
/** Those of them that themselves speak to the host in the URI, in the protocol of its hypervisor. */
const DRIVERS_OF_OTHER_PROTOCOLS: ReadonlySet<string> = new Set('esx gsx vpx hyperv phyp'.split(' '))

const TRANSPORTS = ['unix', 'tcp', 'tls', 'ssh', 'ext'] as const
type TransportName = (typeof TRANSPORTS)[number]

interface Options {
  readonly readOnly: boolean
  readonly environment: ClientEnvironment
  /** For tests: where the system daemons' sockets are. */
  readonly systemRunDir?: string
}

/** A URI, taken apart. */
interface Parts {
  readonly text: string
  readonly driver: string
  readonly transport: TransportName
  readonly host: string
  readonly port: number | undefined
  readonly username: string | undefined
  readonly path: string
  readonly parameters: readonly (readonly [name: string, value: string])[]
  parameter(name: string): string | undefined
  /** libvirt's form of a switch: a number that is not 0. */
  flag(name: string): boolean
}

/**
 * Finds the daemon that a URI means, or, without one, the daemon that libvirt itself would choose:
 * `LIBVIRT_DEFAULT_URI`, then `uri_default` of libvirt.conf, then the local daemon: the system's for root, this user's otherwise.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_URI` when the URI cannot be understood or needs a transport that is not there,
 *   `ERR_LIBVIRT_CONFIG` when libvirt.conf cannot be read.
 */
export async function resolveTarget(given: string | undefined, options: Options): Promise<Target> {
  const config = await readClientConfig(options.environment)
  const uri = given || options.environment.env['LIBVIRT_DEFAULT_URI'] || config.uriDefault || ''
  if (uri === '') return localTarget(config, options)
  return targetOf(partsOf(config.uriAliases.get(uri) ?? uri), config, options)
}

function partsOf(given: string): Parts {
  // virConnectOpenInternal (libvirt.c) knows these two short forms.
  const text = /^xen(:\/\/)?$/i.test(given) ? 'xen:///system' : given
  const match = /^([A-Za-z][A-Za-z0-9]*)(?:\+([A-Za-z0-9]+))?:([^?#]*)(?:\?([^#]*))?/.exec(text)
  if (!match) throw uriError(text, 'expected driver[+transport]://[user@][host][:port]/[path][?parameters]')
  const [, driver = '', named, rest = '', query = ''] = match
  let url: URL
  try {
    url = new URL(`x:${rest}`)
  } catch (error) {
    throw new LibvirtError('ERR_LIBVIRT_URI', `${text}: not a URI`, { cause: error })
  }
  const host = decoded(text, url.hostname.replace(/^\[(.*)\]$/, '$1'))
  if (
    named === undefined &&
    (DRIVERS_OF_OTHER_PROTOCOLS.has(driver) || (host === '' && DRIVERS_WITHOUT_DAEMON.has(driver)))
  )
    throw withoutDaemon(text, driver)
  const parameters = parametersOf(text, query)
  const parameter = (name: string): string | undefined => parameters.findLast(([key]) => key === name)?.[1]
  return {
    text,
    driver,
    transport: transportOf(text, named?.toLowerCase() ?? (host === '' ? 'unix' : 'tls')),
    host,
    port: url.port === '' ? undefined : Number(url.port),
    username: url.username === '' ? undefined : decoded(text, url.username),
    path: url.pathname,
    parameters,
    parameter,
    flag: (name) => Number.parseInt(parameter(name) ?? '0', 10) !== 0,
  }
}

function transportOf(text: string, name: string): TransportName {
  const found = TRANSPORTS.find((transport) => transport === name)
  if (found) return found
  const advice =
    name === 'libssh' || name === 'libssh2' ? '; use +ssh, which runs the ssh of this system' : ''
  throw uriError(text, `transport '${name}' is none of ${TRANSPORTS.join(', ')}${advice}`)
}

/** As virURIParseParams: `&` or `;` between them, percent escapes, and a plus is a plus. */
function parametersOf(text: string, query: string): (readonly [string, string])[] {
  return query
    .split(/[&;]/)
    .filter((part) => part !== '' && !part.startsWith('='))
    .map((part) => {
      const [name = '', ...value] = part.split('=')
      return [decoded(text, name), decoded(text, value.join('='))] as const
    })
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new LibvirtError('ERR_LIBVIRT_URI', `${text}: '${part}' has a wrong percent escape`, {
      cause: error,
    })
  }
}

function targetOf(parts: Parts, config: ClientConfig, options: Options): Target {
  const { text, driver, host, path } = parts
  if (path === '' && (host === 'system' || host === 'session'))
    throw uriError(text, `maybe you want ${driver}:///${host}`)
  return {
    uri: text,
    name: parts.parameter('name') ?? (driver === 'remote' ? '' : serverName(parts, OWN_PARAMETERS)),
    route: routeOf(parts, config, options),
    host: host || 'localhost',
    username: parts.username,
    auth: parts.parameter('auth'),
    authFile: parts.parameter('authfile'),
  }
}

function routeOf(parts: Parts, config: ClientConfig, options: Options): Route {
  const { text, transport } = parts
  const host = parts.host || 'localhost'
  if (transport === 'unix') {
    if (parts.host !== '')
      throw uriError(text, `the unix transport has no host, but '${parts.host}' is given`)
    return unixRoute(parts, config, options)
  }
  if (transport === 'tcp') return { transport, host, port: parts.port ?? PORTS.tcp }
  if (transport === 'tls')
    return {
      transport,
      host,
      port: parts.port ?? PORTS.tls,
      pkipath: parts.parameter('pkipath'),
      verify: !parts.flag('no_verify'),
      priority: parts.parameter('tls_priority') ?? config.tlsPriority,
    }
  if (transport === 'ssh') return sshRoute(parts, config, options)
  const command = parts.parameter('command')
  if (!command) throw uriError(text, "the transport 'ext' needs the parameter command=PROGRAM")
  return { transport, command, args: [], tty: false }
}

function unixRoute(parts: Parts, config: ClientConfig, options: Options): Route {
  const given = parts.parameter('socket')
  if (given) return { transport: 'unix', socketPath: given, daemon: undefined }
  const driver = parts.driver === 'remote' ? undefined : parts.driver
  const found = findDaemon({
    ...options,
    driver,
    session: isSession(parts, options),
    mode: modeOf(parts.text, parts.parameter('mode') ?? config.remoteMode),
  })
  if (!found) throw uriError(parts.text, "mode 'direct' needs a driver, not 'remote'")
  return { transport: 'unix', socketPath: found.socketPath, daemon: found.daemon }
}

function sshRoute(parts: Parts, config: ClientConfig, options: Options): Route {
  const { text, port, username } = parts
  // libvirt lets ssh ask unless no_tty=1; a library must not, unless it is told to.
  const tty = parts.parameter('no_tty') !== undefined && !parts.flag('no_tty')
  if (modeOf(text, parts.parameter('mode') ?? config.remoteMode) === 'direct' && !parts.parameter('socket'))
    throw uriError(text, "mode 'direct' is not for ssh: the other host's virt-ssh-helper chooses the daemon")
  const socket = parts.parameter('socket')
  const suffix = options.readOnly ? '-ro' : ''
  const args = sshArguments({
    host: parts.host || 'localhost',
    port,
    username,
    keyfile: parts.parameter('keyfile'),
    sshauth: parts.parameter('sshauth'),
    knownHosts: parts.parameter('known_hosts'),
    verify: !parts.flag('no_verify'),
    tty,
    proxy: proxyOf(parts, config, options),
    netcat: parts.parameter('netcat') ?? 'nc',
    // The other host may have no /run (remoteGetUNIXSocketHelper).
    socketPath: socket ?? `/var/run/libvirt/libvirt-sock${suffix}`,
    // virt-ssh-helper finds the socket there by itself, and is told the mode.
    name: parts.parameter('name') ?? (parts.driver === 'remote' ? '' : serverName(parts, HELPER_PARAMETERS)),
    readOnly: options.readOnly,
  })
  return { transport: 'ssh', command: parts.parameter('command') ?? 'ssh', args, tty }
}

/** `mode` and `socket` are for the helper, too (remoteConnectFormatURI with `unmask`). */
const HELPER_PARAMETERS: ReadonlySet<string> = new Set(
  [...OWN_PARAMETERS].filter((name) => name !== 'mode' && name !== 'socket'),
)

/** doRemoteOpen: an explicit socket or netcat is for netcat; a session only virt-ssh-helper finds. */
function proxyOf(parts: Parts, config: ClientConfig, options: Options): 'auto' | 'netcat' | 'native' {
  const given = parts.parameter('proxy') ?? config.remoteProxy
  const netcat = parts.parameter('netcat')
  if (given !== undefined && given !== 'auto' && given !== 'netcat' && given !== 'native')
    throw uriError(parts.text, `proxy '${given}' is none of auto, netcat, native`)
  if (given === 'native' && netcat !== undefined)
    throw uriError(parts.text, "netcat= has no meaning with proxy 'native'")
  if (given !== undefined && given !== 'auto') return given
  if (netcat !== undefined) return 'netcat'
  if (given === 'auto') return 'auto'
  if (parts.parameter('socket') !== undefined) return 'netcat'
  return isSession(parts, options) ? 'native' : 'auto'
}

/** remoteGetURIDaemonInfo: root has no session of its own. */
function isSession(parts: Parts, options: Options): boolean {
  return options.environment.uid !== 0 && (parts.path === '/session' || parts.driver === 'test')
}

function modeOf(text: string, mode: string | undefined): 'auto' | 'legacy' | 'direct' {
  if (mode === undefined || mode === 'auto') return 'auto'
  if (mode === 'legacy' || mode === 'direct') return mode
  throw uriError(text, `mode '${mode}' is none of auto, legacy, direct`)
}

/** The URI that the daemon gets: scheme without transport, path, and the parameters that are not the client's. */
function serverName({ driver, path, parameters }: Parts, own: ReadonlySet<string>): string {
  const others = parameters.filter(([name]) => !own.has(name))
  const query = others.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  return `${driver}://${path}${query.length === 0 ? '' : `?${query.join('&')}`}`
}

function localTarget(config: ClientConfig, options: Options): Target {
  const session = options.environment.uid !== 0
  const found = findDaemon({
    ...options,
    driver: undefined,
    session,
    mode: modeOf('libvirt.conf', config.remoteMode),
  })
  if (!found)
    throw new LibvirtError(
      'ERR_LIBVIRT_URI',
      "remote_mode is 'direct' and no daemon's socket is there; start one, or give a URI",
    )
  const uri = found.driver === undefined ? undefined : `${found.driver}:///${session ? 'session' : 'system'}`
  return {
    uri,
    name: uri ?? '',
    route: { transport: 'unix', socketPath: found.socketPath, daemon: found.daemon },
    host: 'localhost',
    username: undefined,
    auth: undefined,
    authFile: undefined,
  }
}

function withoutDaemon(uri: string, driver: string): LibvirtError {
  const advice =
    driver === 'test' ? `; ask a daemon for it: test+unix://${uri.replace(/^test:\/*/, '/')}` : ''
  return uriError(uri, `the ${driver} driver is part of libvirt's C library and has no daemon${advice}`)
}

function uriError(uri: string, what: string): LibvirtError {
  return new LibvirtError('ERR_LIBVIRT_URI', `${uri}: ${what}`)
}
