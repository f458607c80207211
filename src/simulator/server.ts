import { chmod, lstat, unlink } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { codeOf, messageOf } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import { PACKET_BYTES_MAX } from '../libvirt/index.ts'
import { Authentication, type SimulatorSasl } from './authentication.ts'
import { Connection } from './connection.ts'
import type { ConnectionLimits, ConnectionOptions } from './connection-options.ts'
import { SimulatorError } from './errors.ts'
import { Faults } from './faults.ts'
import { CLOSE_REASON } from './handlers/connect.ts'
import { Hypervisor } from './hypervisor.ts'
import { fillInventory } from './inventory.ts'
import {
  listenTcp,
  listenTls,
  type NetworkListener,
  type TcpListenOptions,
  type TlsListenOptions,
} from './network-listeners.ts'
import { Registrations, versionNumber } from './registrations.ts'
import { DOMAINS_MAX } from './state/domains.ts'
import { createStats, type SimulatorStats } from './stats.ts'

/** `sun_path` of sockaddr_un holds 108 bytes with its NUL (unix(7)); Node cuts longer paths without a word. */
const SOCKET_PATH_BYTES_MAX = 107
const DOMAINS_DEFAULT = 8
/** Users other than its own may not connect: there is no authentication. */
const SOCKET_MODE = 0o700

/** How a simulator is set up; only `path` is needed. */
export interface SimulatorOptions extends Partial<ConnectionLimits> {
  /** Where the UNIX socket is made; at most 107 bytes. A socket that nobody listens on is replaced. */
  readonly path: string
  readonly log?: Logger
  /** Guests at the start: 8 unless told, at most 16,384. */
  readonly domains?: number
  /** Clients at a time: 5000 unless told, the `max_clients` of libvirtd.conf. */
  readonly clientsMax?: number
  /** The release of libvirt that is played; events of later ones cannot be registered. */
  readonly libVersion?: string
  /** Name of the host, as clients see it. */
  readonly hostname?: string
  /** Listens for TCP, too. libvirt's own clients want SASL there, with a mechanism that encrypts. */
  readonly tcp?: TcpListenOptions
  /** Listens for TLS, too. */
  readonly tls?: TlsListenOptions
  /** Wants a login by SASL, on all sockets. */
  readonly sasl?: SimulatorSasl
}

const LIMITS: ConnectionLimits = {
  packetBytesMax: PACKET_BYTES_MAX,
  unsentBytesMax: 64 * 1024 * 1024,
  unsentBytesPause: 1024 * 1024,
  callsWaitingMax: 64,
  registrationsMax: 4096,
  keepaliveIntervalMs: 5000,
  keepaliveCount: 5,
}

/**
 * A libvirtd in this process: speaks libvirt's remote protocol from the server's side on a UNIX socket, for a
 * hypervisor that exists only in memory. Every client may do everything, once it is logged in where `sasl` wants that.
 *
 * @example
 * await using simulator = await Simulator.listen({ path: '/tmp/simulator.sock' })
 * // virsh -c 'test+unix:///default?socket=/tmp/simulator.sock' list
 */
export class Simulator implements AsyncDisposable {
  /** What the host consists of; tests and load generators change it here. */
  readonly hypervisor: Hypervisor
  /** Counters. */
  readonly stats: SimulatorStats = createStats()
  /** What goes wrong on purpose. */
  readonly faults: Faults = new Faults()
  /** The path of the socket. */
  readonly path: string
  readonly #shared: ConnectionOptions
  readonly #options: SimulatorOptions
  readonly #network: { tcp?: NetworkListener; tls?: NetworkListener } = {}
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  readonly #stopEvents: () => void
  readonly #log: Logger

  /** Makes the socket and accepts clients. @throws {SimulatorError} `ERR_SIMULATOR_LISTEN` when it cannot be made. */
  static async listen(options: SimulatorOptions): Promise<Simulator> {
    const { path } = options
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
      throw new SimulatorError(
        'ERR_SIMULATOR_LISTEN',
        `socket path of over ${SOCKET_PATH_BYTES_MAX} bytes: ${path}`,
      )
    const domains = options.domains ?? DOMAINS_DEFAULT
    if (!Number.isInteger(domains) || domains < 0 || domains > DOMAINS_MAX)
      throw new SimulatorError('ERR_SIMULATOR_LISTEN', `${domains} domains, allowed 0 to ${DOMAINS_MAX}`)
    const { libVersion } = options
    if (libVersion !== undefined && !/^\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(libVersion))
      throw new SimulatorError(
        'ERR_SIMULATOR_LISTEN',
        `'${libVersion}' is not a release of libvirt like '9.0.0'`,
      )
    const server = createServer()
    // Made first: a client may come as soon as the socket is there.
    const simulator = new Simulator(server, options)
    await listenOn(server, path)
    server.on('error', (error) => options.log?.error({ error: messageOf(error) }, 'simulator socket failed'))
    await chmod(path, SOCKET_MODE)
    try {
      await simulator.#listenOnNetwork()
    } catch (error) {
      await simulator[Symbol.asyncDispose]()
      throw error
    }
    return simulator
  }

  /** Use {@link Simulator.listen}. */
  private constructor(server: Server, options: SimulatorOptions) {
    const { libVersion = '12.8.0', log = silentLogger } = options
    this.#options = options
    const limits: ConnectionLimits = { ...LIMITS, ...limitsOf(options) }
    this.path = options.path
    this.#server = server
    this.#log = log
    this.hypervisor = new Hypervisor()
    fillInventory(this.hypervisor, { domains: options.domains ?? DOMAINS_DEFAULT })
    const registrations = new Registrations(libVersion)
    this.#stopEvents = this.hypervisor.onEvent((event) => {
      this.stats.events++
      registrations.deliver(event)
    })
    const context = {
      hypervisor: this.hypervisor,
      hostname: options.hostname ?? hostname(),
      libVersion: versionNumber(libVersion),
    }
    const onClosed = (connection: Connection): void => {
      this.#connections.delete(connection)
      this.stats.clients = this.#connections.size
    }
    this.#shared = { context, registrations, limits, stats: this.stats, log, faults: this.faults, onClosed }
    server.on('connection', (socket) => this.#accept(socket, true))
  }

  /** How to reach it, for libvirt's own clients and ours. */
  get uri(): string {
    return `test+unix:///default?socket=${encodeURIComponent(this.path).replaceAll('%2F', '/')}`
  }

  /** Where it listens for TCP, if it does. */
  get tcp(): { readonly host: string; readonly port: number } | undefined {
    return this.#network.tcp
  }

  /** Where it listens for TLS, if it does. */
  get tls(): { readonly host: string; readonly port: number } | undefined {
    return this.#network.tls
  }

  /** Breaks all connections at once, as a daemon that is killed does; returns how many there were. */
  dropClients(): number {
    const connections = [...this.#connections]
    for (const connection of connections) connection.destroy()
    return connections.length
  }

  /** Says goodbye to the clients, closes the socket and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopEvents()
    for (const connection of [...this.#connections]) connection.end(CLOSE_REASON)
    const servers = [this.#server, this.#network.tcp?.server, this.#network.tls?.server]
    const closed = Promise.all(
      servers.map(
        (server) => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())),
      ),
    )
    // A client that does not read would keep its connection, and the server with it.
    const timer = setTimeout(() => this.dropClients(), 200)
    await closed
    clearTimeout(timer)
    this.#log.debug({ path: this.path }, 'simulator stopped')
  }

  async #listenOnNetwork(): Promise<void> {
    const { tcp, tls } = this.#options
    if (tcp) this.#network.tcp = await listenTcp(tcp, (socket) => this.#accept(socket, false))
    if (tls)
      this.#network.tls = await listenTls(tls, {
        accept: (socket) => this.#accept(socket, true),
        refused: (error) => {
          this.stats.tlsRefused++
          this.#log.warn({ error: messageOf(error) }, 'TLS handshake failed')
        },
      })
  }

  #accept(socket: Socket, isSecure: boolean): void {
    const { clientsMax = 5000, sasl } = this.#options
    const number = this.stats.clientsAccepted + 1
    const isFull = this.#connections.size >= clientsMax
    if (isFull || (this.faults.isActive && this.faults.at(['reject'], { connection: number }).length > 0)) {
      this.stats.clientsRefused++
      socket.destroy()
      return
    }
    this.stats.clientsAccepted++
    const authentication = new Authentication(sasl, isSecure)
    this.#connections.add(new Connection({ socket, number, authentication }, this.#shared))
    this.stats.clients = this.#connections.size
  }
}

/** The limits that were given, and only those: an option of value undefined does not hide a default. */
function limitsOf(options: Partial<ConnectionLimits>): Partial<ConnectionLimits> {
  const keys = Object.keys(LIMITS) as (keyof ConnectionLimits)[] // LIMITS has these keys and no others
  return Object.fromEntries(keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])))
}

async function listenOn(server: Server, path: string): Promise<void> {
  try {
    await tryListen(server, path)
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE' || !(await isStale(path))) throw listenError(path, error)
    await unlink(path)
    try {
      await tryListen(server, path)
    } catch (again) {
      throw listenError(path, again)
    }
  }
}

async function tryListen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('listening', resolve)
  server.once('error', reject)
  server.listen({ path })
  try {
    await promise
  } finally {
    server.off('listening', resolve)
    server.off('error', reject)
  }
}

/** Whether it is a socket that nobody listens on. Connecting to a plain file is refused just so, hence the look at it. */
async function isStale(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createConnection({ path })
  socket.once('connect', () => resolve(false))
  socket.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'))
  const stale = await promise
  socket.destroy()
  return stale
}

function listenError(path: string, error: unknown): SimulatorError {
  return new SimulatorError('ERR_SIMULATOR_LISTEN', `cannot listen on ${path}: ${messageOf(error)}`, {
    cause: error,
  })
}
