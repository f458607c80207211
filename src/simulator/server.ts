import { chmod, lstat, unlink } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { codeOf, messageOf } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import { PACKET_BYTES_MAX } from '../libvirt/index.ts'
import { Connection, type ConnectionLimits } from './connection.ts'
import { SimulatorError } from './errors.ts'
import { CLOSE_REASON } from './handlers/connect.ts'
import { Hypervisor } from './hypervisor.ts'
import { fillInventory } from './inventory.ts'
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
 * hypervisor that exists only in memory. Every client may do everything; there is no authentication.
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
  /** The path of the socket. */
  readonly path: string
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
    return simulator
  }

  /** Use {@link Simulator.listen}. */
  private constructor(server: Server, options: SimulatorOptions) {
    const { clientsMax = 5000, libVersion = '12.8.0', log = silentLogger } = options
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
    const shared = { context, registrations, limits, stats: this.stats, log, onClosed }
    server.on('connection', (socket) => this.#accept(socket, { clientsMax, shared }))
  }

  /** How to reach it, for libvirt's own clients and ours. */
  get uri(): string {
    return `test+unix:///default?socket=${encodeURIComponent(this.path).replaceAll('%2F', '/')}`
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
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    // A client that does not read would keep its connection, and the server with it.
    const timer = setTimeout(() => this.dropClients(), 200)
    await promise
    clearTimeout(timer)
    this.#log.debug({ path: this.path }, 'simulator stopped')
  }

  #accept(
    socket: Socket,
    options: { clientsMax: number; shared: ConstructorParameters<typeof Connection>[1] },
  ): void {
    if (this.#connections.size >= options.clientsMax) {
      this.stats.clientsRefused++
      socket.destroy()
      return
    }
    this.stats.clientsAccepted++
    this.#connections.add(new Connection(socket, options.shared))
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
