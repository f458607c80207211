import { mkdir } from 'node:fs/promises'
import { BusToSalt, type EngineState, type EngineStats, type LibvirtToBus } from '../bridges/index.ts'
import {
  Bus,
  BusEvent,
  type BusStats,
  type EventData,
  type Journal,
  type JournalStats,
} from '../bus/index.ts'
import type { AccessConfig, EngineConfig, JournalConfig } from '../config/index.ts'
import { CleanupStack } from '../core/cleanup-stack.ts'
import { LogLimit } from '../core/log-limit.ts'
import type { Logger } from '../core/logger.ts'
import type { GuestStore, Hosts } from '../guests/index.ts'
import type { ControlOptions, ControlServer } from '../http/index.ts'
import {
  type Dialect,
  EventPublisher,
  EventPuller,
  type PublisherStats,
  type PullerStats,
  type SlowPolicy,
  type SocketAccess,
  StampClock,
  socketPaths,
  UnixServer,
} from '../salt/index.ts'
import { accessOf } from './access.ts'
import { msgpackCodec } from './codec.ts'
import { controlPath } from './control-path.ts'
import { Engines, type EnginesChange } from './engines.ts'
import { eventsRoute, tagsRoute } from './events-route.ts'
import { guestsRoute } from './guests-route.ts'
import { openState } from './state.ts'

/** Commands that ask a running virbus at the same time. */
const CONTROL_CONNECTIONS_MAX = 64

/** What to run. */
export interface DaemonOptions {
  /** Folder of the sockets; made where it is missing. */
  readonly sockDir: string
  /** Framing of what subscribers get; firing clients may use any. */
  readonly wire: Dialect
  /** Serve the pair of this minion instead of the master's. */
  readonly minionId?: string | undefined
  /** libvirt connections to watch. */
  readonly engines: readonly EngineConfig[]
  /** Folder in which guests and events are kept over restarts; made where it is missing; without it nothing is kept. */
  readonly stateDir?: string | undefined
  readonly journal?: JournalConfig | undefined
  /** What becomes of a subscriber of the sockets that reads too slowly; default `disconnect`. */
  readonly slowSubscribers?: SlowPolicy | undefined
  /** Who may use the sockets; default: root and the user of this process. */
  readonly access?: AccessConfig | undefined
  readonly log: Logger
}

/** Paths of the sockets: those of Salt's bus, and the one for questions to this process (HTTP). */
export interface DaemonSockets {
  readonly pub: string
  readonly pull: string
  readonly control: string
}

interface Parts {
  readonly bus: Bus
  readonly engines: Engines
  readonly sockets: DaemonSockets
  readonly publisher: EventPublisher
  readonly puller: EventPuller
  readonly toSalt: BusToSalt
  readonly store: GuestStore | undefined
  readonly journal: Journal | undefined
  readonly stack: CleanupStack
}

/** What has happened since the start; every loss is in here. */
export interface DaemonStats {
  readonly bus: BusStats
  readonly publisher: PublisherStats
  readonly puller: PullerStats
  /** Events between the bus and the sockets: dropped because they came too fast, refused because they are no Salt events. */
  readonly sockets: { readonly dropped: number; readonly refused: number }
  readonly engines: readonly (EngineStats & EngineState)[]
  /** Guests that are kept over restarts: how many changed just now, and whether writing was given up; null when none are kept. */
  readonly kept: { readonly uncertain: number; readonly isBroken: boolean } | null
  /** Null when events are not kept. */
  readonly journal: JournalStats | null
}

/** Everything that runs in one process: bus, sockets and engines; started bottom-up and stopped top-down. */
export class Daemon implements AsyncDisposable {
  readonly bus: Bus
  /** Paths of the sockets. */
  readonly sockets: DaemonSockets
  readonly #parts: Parts

  private constructor(parts: Parts) {
    this.bus = parts.bus
    this.sockets = parts.sockets
    this.#parts = parts
  }

  /** The libvirt connections, in the order of the configuration; another array after each change. */
  get engines(): readonly LibvirtToBus[] {
    return this.#parts.engines.list
  }

  /** The guests of all hosts. */
  get hosts(): Hosts {
    return this.#parts.engines.hosts
  }

  /**
   * Watches these connections and no others; those whose settings are the same are not touched.
   *
   * @throws {BridgeError} `ERR_BRIDGE_FILTER`; nothing is changed then.
   */
  reload(engines: readonly EngineConfig[]): Promise<EnginesChange> {
    return this.#parts.engines.apply(engines)
  }

  /** Counters of all parts. */
  get stats(): DaemonStats {
    const { bus, publisher, puller, toSalt, engines, store, journal } = this.#parts
    return {
      bus: bus.stats,
      publisher: { ...publisher.stats },
      puller: { ...puller.stats },
      sockets: { dropped: toSalt.dropped, refused: toSalt.refused },
      engines: engines.list.map((engine) => ({ ...engine.state, ...engine.stats })),
      kept: store?.stats ?? null,
      journal: journal?.stats ?? null,
    }
  }

  /**
   * Starts it all; the libvirt connections are made in the background and made again when they are lost.
   *
   * @throws {BridgeError} `ERR_BRIDGE_FILTER` when a filter names no event.
   * @throws {DaemonError} `ERR_DAEMON_USER` when `access` names a user or group that does not exist.
   * @throws {SaltError} `ERR_SALT_SOCKET_IN_USE` when another bus serves these sockets; `ERR_SALT_SOCKET_OWNER` or `ERR_SALT_CREDENTIALS`
   * when `access` asks for what this process may not do or this platform cannot tell.
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { sockDir, wire, log } = options
    await using stack = new CleanupStack()
    const access = await accessOf(options.access)
    const bus = stack.use(new Bus())
    const clock = new StampClock()
    const stamp = (): string => clock.now()
    const tell = (tag: string, data: EventData): void =>
      bus.publish(BusEvent.of(tag, { ...data, _stamp: stamp() }, msgpackCodec))
    const { store, journal } = await openState({
      ...options,
      onBroken: ({ message: error }) => tell('virbus/journal/stopped', { error }),
    })
    if (store) stack.use(store)
    if (journal) bus.record(stack.use(journal))
    await mkdir(sockDir, { recursive: true, mode: 0o755 })
    const node = options.minionId === undefined ? {} : { node: 'minion' as const, id: options.minionId }
    const sockets = socketPaths(sockDir, node)
    const publisher = stack.use(
      new EventPublisher({
        ...{ ...access.pub, path: sockets.pub, dialect: wire, slow: options.slowSubscribers, log },
        onSlow: (slow) => tell('virbus/subscriber/slow', { ...slow }),
      }),
    )
    await publisher.listen()
    const toSalt = stack.use(new BusToSalt({ bus, codec: msgpackCodec, publisher, log }))
    const { reserved, limits } = access
    const puller = stack.use(
      new EventPuller({
        ...{ ...access.pull, path: sockets.pull, reserved, limits, log },
        onEvent: (event) => toSalt.take(event),
      }),
    )
    await puller.listen()
    const engines = stack.use(new Engines({ bus, stamp, log, store }))
    const control = controlPath(sockDir, options.minionId)
    let daemon: Daemon | undefined
    await listenControl(
      stack,
      { ...access.control, path: control },
      {
        log,
        routes: {
          '/v1/guests': (params) => guestsRoute(engines.hosts, params),
          '/v1/stats': () => daemon?.stats,
          '/v1/tags': (params) => tagsRoute(journal, params),
          '/v1/events': (params, signal) =>
            eventsRoute({ bus, journal, codec: msgpackCodec }, params, signal),
        },
      },
    )
    await engines.apply(options.engines)
    const paths = { ...sockets, control }
    daemon = new Daemon({
      bus,
      engines,
      sockets: paths,
      publisher,
      puller,
      toSalt,
      store,
      journal,
      stack: stack.move(),
    })
    return daemon
  }

  /** Stops it all: engines first, sockets last. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.stack[Symbol.asyncDispose]()
  }
}

async function listenControl(
  stack: CleanupStack,
  socket: SocketAccess & { readonly path: string },
  options: ControlOptions,
): Promise<void> {
  let control: Promise<ControlServer> | undefined
  // Loaded when the first command asks: who only relays events needs no HTTP.
  const load = async (): Promise<ControlServer> => {
    const { ControlServer } = await import('../http/index.ts')
    return new ControlServer(options)
  }
  const limited = new LogLimit(options.log)
  const { path } = socket
  const server = new UnixServer({
    ...socket,
    connectionsMax: CONTROL_CONNECTIONS_MAX,
    onConnection: (asker) => {
      // One that goes away before it is served has nothing to be told.
      asker.on('error', () => {})
      control ??= load()
      control.then(
        (loaded) => loaded.take(asker),
        () => asker.destroy(),
      )
    },
    onRefused: () => limited.warn({ path }, 'too many questions at once: one was refused'),
  })
  stack.use(server)
  // Ended first: the socket closes when its last connection has ended.
  stack.defer(async () => (await control)?.[Symbol.asyncDispose]())
  await server.listen()
}
