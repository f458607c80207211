import { DEFAULT_TAG_PREFIX, LibvirtToBus, type LibvirtToBusOptions } from '../bridges/index.ts'
import type { EngineConfig } from '../config/index.ts'
import { type GuestStore, Host, type HostMemory, Hosts } from '../guests/index.ts'
import { msgpackCodec } from './codec.ts'

/** What all engines share. */
export interface EnginesOptions extends Pick<LibvirtToBusOptions, 'bus' | 'stamp' | 'log'> {
  /** Where guests are kept over restarts, if anywhere. */
  readonly store?: GuestStore | undefined
}

/** What a new list of engines changed. */
export interface EnginesChange {
  readonly kept: number
  readonly started: number
  readonly stopped: number
}

interface Slot {
  /** Its settings: two slots with the same are interchangeable. */
  readonly settings: string
  /** What it watches for whom: a slot that takes its place goes on with its guests. */
  readonly identity: string
  readonly engine: LibvirtToBus
  readonly host: Host
  readonly memory: HostMemory | undefined
}

/** The engines of a configuration, which may be another one later: those that stay the same are not touched. */
export class Engines implements AsyncDisposable {
  readonly hosts: Hosts = new Hosts()
  readonly #options: EnginesOptions
  #slots: readonly Slot[] = []
  #list: readonly LibvirtToBus[] = []
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: EnginesOptions) {
    this.#options = options
  }

  /** All engines, in the order of the configuration; another array after each change. */
  get list(): readonly LibvirtToBus[] {
    return this.#list
  }

  /**
   * Runs these and no others. Nothing is changed when one of them is wrong.
   *
   * @throws {BridgeError} `ERR_BRIDGE_FILTER` when a filter names no event.
   */
  apply(configs: readonly EngineConfig[]): Promise<EnginesChange> {
    const change = this.#turn.then(() => this.#apply(configs))
    this.#turn = change.catch(() => {})
    return change
  }

  /** Stops all. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.apply([])
  }

  async #apply(configs: readonly EngineConfig[]): Promise<EnginesChange> {
    const left = [...this.#slots]
    const take = (matches: (slot: Slot) => boolean): Slot | undefined => {
      const at = left.findIndex(matches)
      return at < 0 ? undefined : left.splice(at, 1)[0]
    }
    const wanted = withIdentities(configs)
    const same = wanted.map(({ settings, identity }) =>
      // One that has given up gets another chance.
      take(
        (slot) =>
          slot.settings === settings && slot.identity === identity && slot.engine.state.state !== 'stopped',
      ),
    )
    const leaving = [...left]
    const slots = wanted.map(
      (want, at) =>
        same[at] ??
        this.#make(
          want,
          take(({ identity }) => identity === want.identity),
        ),
    )
    await Promise.all(leaving.map(({ engine }) => engine[Symbol.asyncDispose]()))
    for (const { host } of leaving) this.hosts.remove(host)
    const started = slots.filter((slot) => !same.includes(slot))
    for (const { engine, host } of started) {
      this.hosts.add(host)
      engine.start()
    }
    this.#slots = slots
    this.#list = slots.map(({ engine }) => engine)
    return { kept: slots.length - started.length, started: started.length, stopped: leaving.length }
  }

  #make({ config, settings, identity }: Wanted, before: Slot | undefined): Slot {
    const { bus, stamp, log, store } = this.#options
    const memory = before?.memory ?? store?.host(identity)
    const { uri, tag_prefix: tagPrefix, filters, guests, enrich } = config
    const host = before?.host ?? new Host(uri ?? 'default', (...change) => memory?.note(...change))
    const engine = new LibvirtToBus({
      ...{ bus, codec: msgpackCodec, stamp, log },
      ...{ uri, tagPrefix, filters, guests, enrich, host, memory },
    })
    return { settings, identity, engine, host, memory }
  }
}

interface Wanted extends Pick<Slot, 'settings' | 'identity'> {
  readonly config: EngineConfig
}

/** Engines that watch the same with the same prefix are numbered. */
function withIdentities(configs: readonly EngineConfig[]): Wanted[] {
  const counts = new Map<string, number>()
  return configs.map((config) => {
    const name = `${config.tag_prefix ?? DEFAULT_TAG_PREFIX} ${config.uri ?? ''}`
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return {
      config,
      settings: JSON.stringify(sorted(config)),
      identity: count === 1 ? name : `${name} #${count}`,
    }
  })
}

/** The same settings in another order are the same. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, member]) => [key, sorted(member)])
}
