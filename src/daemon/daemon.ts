import { mkdir } from 'node:fs/promises'
import { BusToSalt, type EngineStats, LibvirtToBus } from '../bridges/index.ts'
import { Bus, type BusStats } from '../bus/index.ts'
import type { EngineConfig } from '../config/index.ts'
import { CleanupStack } from '../core/cleanup-stack.ts'
import type { Logger } from '../core/logger.ts'
import {
  type Dialect,
  EventPublisher,
  EventPuller,
  type PublisherStats,
  type PullerStats,
  StampClock,
  socketPaths,
} from '../salt/index.ts'
import { msgpackCodec } from './codec.ts'

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
  readonly log: Logger
}

interface Parts {
  readonly bus: Bus
  readonly engines: readonly LibvirtToBus[]
  readonly sockets: { readonly pub: string; readonly pull: string }
  readonly publisher: EventPublisher
  readonly puller: EventPuller
  readonly toSalt: BusToSalt
  readonly stack: CleanupStack
}

/** What has happened since the start; every loss is in here. */
export interface DaemonStats {
  readonly bus: BusStats
  readonly publisher: PublisherStats
  readonly puller: PullerStats
  /** Events between the bus and the sockets: dropped because they came too fast, refused because they are no Salt events. */
  readonly sockets: { readonly dropped: number; readonly refused: number }
  readonly engines: readonly EngineStats[]
}

/** Everything that runs in one process: bus, sockets and engines; started bottom-up and stopped top-down. */
export class Daemon implements AsyncDisposable {
  readonly bus: Bus
  readonly engines: readonly LibvirtToBus[]
  /** Paths of the sockets. */
  readonly sockets: { readonly pub: string; readonly pull: string }
  readonly #parts: Parts

  private constructor(parts: Parts) {
    this.bus = parts.bus
    this.engines = parts.engines
    this.sockets = parts.sockets
    this.#parts = parts
  }

  /** Counters of all parts. */
  get stats(): DaemonStats {
    const { bus, publisher, puller, toSalt, engines } = this.#parts
    return {
      bus: bus.stats,
      publisher: { ...publisher.stats },
      puller: { ...puller.stats },
      sockets: { dropped: toSalt.dropped, refused: toSalt.refused },
      engines: engines.map((engine) => ({ ...engine.stats })),
    }
  }

  /**
   * Starts it all; the libvirt connections are made in the background and made again when they are lost.
   *
   * @throws {BridgeError} `ERR_BRIDGE_FILTER` when a filter names no event.
   * @throws {SaltError} `ERR_SALT_SOCKET_IN_USE` when another bus serves these sockets.
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { sockDir, wire, log } = options
    await using stack = new CleanupStack()
    const bus = stack.use(new Bus())
    const clock = new StampClock()
    const stamp = (): string => clock.now()
    const engines = options.engines.map(
      ({ uri, tag_prefix: tagPrefix, filters }) =>
        new LibvirtToBus({ bus, codec: msgpackCodec, stamp, log, uri, tagPrefix, filters }),
    )
    await mkdir(sockDir, { recursive: true, mode: 0o755 })
    const node = options.minionId === undefined ? {} : { node: 'minion' as const, id: options.minionId }
    const sockets = socketPaths(sockDir, node)
    const publisher = stack.use(new EventPublisher({ path: sockets.pub, dialect: wire, log }))
    await publisher.listen()
    const toSalt = stack.use(new BusToSalt({ bus, codec: msgpackCodec, publisher, log }))
    const puller = stack.use(
      new EventPuller({ path: sockets.pull, onEvent: (event) => toSalt.take(event), log }),
    )
    await puller.listen()
    for (const engine of engines) stack.use(engine).start()
    return new Daemon({ bus, engines, sockets, publisher, puller, toSalt, stack: stack.move() })
  }

  /** Stops it all: engines first, sockets last. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.stack[Symbol.asyncDispose]()
  }
}
