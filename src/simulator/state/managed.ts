import { randomUUID } from 'node:crypto'
import { enums, remote } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'

const { virErrorNumber } = enums

/** What networks and storage pools have in common. */
export interface Managed {
  readonly name: string
  readonly uuid: string
  active: boolean
  persistent: boolean
  autostart: boolean
}

/** `virNetworkEventLifecycleType` and `virStoragePoolEventLifecycleType` agree in these four. */
const MANAGED_EVENT = { DEFINED: 0, UNDEFINED: 1, STARTED: 2, STOPPED: 3 } as const

/** Most of one kind: `REMOTE_NETWORK_LIST_MAX` and `REMOTE_STORAGE_POOL_LIST_MAX`. */
const MANAGED_MAX = remote.REMOTE_NETWORK_LIST_MAX

/** A table of networks or of storage pools: define, start, stop, undefine, with checks and events. */
export class ManagedTable<T extends Managed> {
  readonly #noun: string
  readonly #notFound: number
  readonly #report: (item: T, event: number) => void
  readonly #byUuid = new Map<string, T>()
  readonly #byName = new Map<string, T>()

  /** `notFound`: the `virErrorNumber` of an unknown one. `report` gets the event's number. */
  constructor(options: { noun: string; notFound: number; report: (item: T, event: number) => void }) {
    this.#noun = options.noun
    this.#notFound = options.notFound
    this.#report = options.report
  }

  list(): T[] {
    return [...this.#byUuid.values()]
  }

  byUuid(uuid: string): T {
    return this.#byUuid.get(uuid) ?? this.#missing(`uuid '${uuid}'`)
  }

  byName(name: string): T {
    return this.#byName.get(name) ?? this.#missing(`name '${name}'`)
  }

  find(reference: { readonly uuid: string }): T {
    return this.byUuid(reference.uuid)
  }

  /** Adds a definition; one of the same name is only taken again with the same UUID or none. */
  define(description: { name: string; uuid: string | undefined }, make: (uuid: string) => T): T {
    const item = this.#take(description, make)
    item.persistent = true
    this.#report(item, MANAGED_EVENT.DEFINED)
    return item
  }

  /** Starts one that is forgotten when it stops. */
  createTransient(description: { name: string; uuid: string | undefined }, make: (uuid: string) => T): T {
    const item = this.#take(description, make)
    this.start(item)
    return item
  }

  start(item: T): void {
    if (item.active) throw this.#invalid(item, 'is already active')
    item.active = true
    this.#report(item, MANAGED_EVENT.STARTED)
  }

  stop(item: T): void {
    if (!item.active) throw this.#invalid(item, 'is not active')
    item.active = false
    this.#report(item, MANAGED_EVENT.STOPPED)
    if (!item.persistent) this.#remove(item)
  }

  undefine(item: T): void {
    if (!item.persistent) throw this.#invalid(item, 'is transient: it has no definition')
    item.persistent = false
    item.autostart = false
    this.#report(item, MANAGED_EVENT.UNDEFINED)
    if (!item.active) this.#remove(item)
  }

  setAutostart(item: T, autostart: boolean): void {
    if (!item.persistent) throw this.#invalid(item, 'is transient and cannot be started with the host')
    item.autostart = autostart
  }

  requireActive(item: T): void {
    if (!item.active) throw this.#invalid(item, 'is not active')
  }

  requireInactive(item: T): void {
    if (item.active) throw this.#invalid(item, 'is active')
  }

  #take(description: { name: string; uuid: string | undefined }, make: (uuid: string) => T): T {
    const { name, uuid } = description
    const known = this.#byName.get(name)
    if (known && (uuid === undefined || uuid === known.uuid)) return known
    const taken = known ?? (uuid === undefined ? undefined : this.#byUuid.get(uuid))
    if (taken) {
      const text = `operation failed: ${this.#noun} '${taken.name}' already exists with uuid ${taken.uuid}`
      throw refusal(virErrorNumber.VIR_ERR_OPERATION_FAILED, text)
    }
    if (this.#byUuid.size >= MANAGED_MAX)
      throw refusal(virErrorNumber.VIR_ERR_OPERATION_FAILED, `operation failed: ${MANAGED_MAX} are there`)
    const item = make(uuid ?? randomUUID())
    this.#byUuid.set(item.uuid, item)
    this.#byName.set(item.name, item)
    return item
  }

  #remove(item: T): void {
    this.#byUuid.delete(item.uuid)
    this.#byName.delete(item.name)
  }

  #missing(what: string): never {
    throw refusal(this.#notFound, `${this.#noun} not found: no ${this.#noun} with matching ${what}`)
  }

  #invalid(item: T, what: string): Error {
    const text = `Requested operation is not valid: ${this.#noun} '${item.name}' ${what}`
    return refusal(virErrorNumber.VIR_ERR_OPERATION_INVALID, text)
  }
}
