import { enums, remote } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'
import {
  assertName,
  cpuTimeNs,
  createDomain,
  type Domain,
  type DomainDescription,
  domainReference,
  isActive,
  type MetadataElement,
} from './domain.ts'
import type { Emit } from './event.ts'
import {
  type DomainPause,
  type DomainStart,
  type DomainStop,
  failed,
  invalid,
  missing,
  PAUSES,
  requireActive,
  requireState,
  STARTS,
  STOPS,
} from './transitions.ts'
import { parseXml } from './xml.ts'

const {
  virErrorNumber,
  virDomainState: STATE,
  virDomainEventType: EVENT,
  virDomainEventDefinedDetailType: DEFINED,
  virDomainEventUndefinedDetailType: UNDEFINED,
  virDomainEventStartedDetailType: STARTED,
  virDomainEventResumedDetailType: RESUMED,
  virDomainRunningReason: RUNNING,
} = enums

/** Most domains there can be: `REMOTE_DOMAIN_LIST_MAX`, more could not be listed. */
export const DOMAINS_MAX: number = remote.REMOTE_DOMAIN_LIST_MAX
/** Most custom elements of one domain. */
const METADATA_MAX = 64

/**
 * The guests of the simulated host and what can happen to them. Each operation checks the state as a driver of libvirt
 * does and reports its events; what is not possible is a {@link SimulatorError} `ERR_SIMULATOR_REFUSED`:
 * `VIR_ERR_NO_DOMAIN`, `VIR_ERR_OPERATION_INVALID` (wrong state), `VIR_ERR_OPERATION_FAILED` (name taken).
 */
export class Domains {
  readonly #emit: Emit
  readonly #byUuid = new Map<string, Domain>()
  readonly #byName = new Map<string, Domain>()
  readonly #byId = new Map<number, Domain>()
  readonly #ordered: Domain[] = []
  #nextId = 1

  constructor(emit: Emit) {
    this.#emit = emit
  }

  get size(): number {
    return this.#byUuid.size
  }

  /** All of them, in the order they were defined. */
  list(): Domain[] {
    return [...this.#ordered]
  }

  /** The one at `index` in that order. */
  at(index: number): Domain | undefined {
    return this.#ordered[index]
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  find(reference: remote.RemoteNonnullDomain): Domain {
    return this.byUuid(reference.uuid)
  }

  byUuid(uuid: string): Domain {
    return this.#byUuid.get(uuid) ?? missing(`no domain with matching uuid '${uuid}'`)
  }

  byName(name: string): Domain {
    return this.#byName.get(name) ?? missing(`no domain with matching name '${name}'`)
  }

  byId(id: number): Domain {
    return this.#byId.get(id) ?? missing(`no domain with matching id ${id}`)
  }

  /** Defines a domain or, where one has that name and UUID, replaces what is defined. */
  define(description: DomainDescription): Domain {
    const known = this.#sameDomain(description)
    if (!known) {
      const domain = this.#add(createDomain(description))
      this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_DEFINED, DEFINED.VIR_DOMAIN_EVENT_DEFINED_ADDED)
      return domain
    }
    known.persistent = true
    known.vcpus = description.vcpus ?? known.vcpus
    known.memoryMaxKib = description.memoryMaxKib ?? known.memoryMaxKib
    known.memoryKib = Math.min(description.memoryKib ?? known.memoryKib, known.memoryMaxKib)
    known.title = description.title ?? null
    known.description = description.description ?? null
    known.metadata = new Map(description.metadata)
    known.type = description.type ?? known.type
    known.osType = description.osType ?? known.osType
    known.devicesXml = description.devicesXml ?? known.devicesXml
    this.#lifecycle(known, EVENT.VIR_DOMAIN_EVENT_DEFINED, DEFINED.VIR_DOMAIN_EVENT_DEFINED_UPDATED)
    return known
  }

  /** Starts a domain that is forgotten when it stops, or one that is defined with the same name and UUID. */
  createTransient(description: DomainDescription, options: { paused?: boolean } = {}): Domain {
    const known = this.#sameDomain(description)
    if (known && isActive(known)) throw invalid(`domain '${known.name}' is already running`)
    const domain = known ?? this.#add({ ...createDomain(description), persistent: false })
    return this.start(domain, { how: 'booted', ...options })
  }

  /** Boots, restores or takes in by migration. */
  start(domain: Domain, options: { how?: DomainStart; paused?: boolean } = {}): Domain {
    if (isActive(domain)) throw invalid(`domain '${domain.name}' is already running`)
    const how = STARTS[options.how ?? (domain.hasManagedSave ? 'restored' : 'booted')]
    domain.hasManagedSave = false
    domain.id = this.#nextId++
    domain.cpuTimeNs = 0
    this.#byId.set(domain.id, domain)
    this.#run(domain, how.reason)
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_STARTED, how.detail)
    if (options.how === 'migrated')
      this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_RESUMED, RESUMED.VIR_DOMAIN_EVENT_RESUMED_MIGRATED)
    if (options.paused) this.suspend(domain)
    return domain
  }

  suspend(domain: Domain, how: DomainPause = 'user'): void {
    requireState(domain, STATE.VIR_DOMAIN_RUNNING)
    this.#halt(domain, STATE.VIR_DOMAIN_PAUSED, PAUSES[how].reason)
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_SUSPENDED, PAUSES[how].detail)
  }

  resume(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_PAUSED)
    this.#run(domain, RUNNING.VIR_DOMAIN_RUNNING_UNPAUSED)
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_RESUMED, RESUMED.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
  }

  /** Shuts down as asked for from outside. */
  shutdown(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_RUNNING)
    this.#stop(domain, 'shutdown')
  }

  /** Shuts down by itself: an event of the guest's own will comes first, with the id it still has. */
  powerOff(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_RUNNING)
    const detail = enums.virDomainEventShutdownDetailType.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_SHUTDOWN, detail)
    this.#stop(domain, 'shutdown')
  }

  /** Stops an active domain at once. */
  destroy(domain: Domain): void {
    requireActive(domain)
    this.#stop(domain, 'destroyed')
  }

  /** Ends without being asked. */
  crash(domain: Domain): void {
    requireActive(domain)
    this.#stop(domain, 'crashed')
  }

  /** The guest's kernel gives up: it stays, with its id, in the state crashed until it is destroyed. */
  panic(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_RUNNING)
    this.#halt(domain, STATE.VIR_DOMAIN_CRASHED, enums.virDomainCrashedReason.VIR_DOMAIN_CRASHED_PANICKED)
    const detail = enums.virDomainEventCrashedDetailType.VIR_DOMAIN_EVENT_CRASHED_PANICKED
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_CRASHED, detail)
  }

  /** Leaves for another host: suspended for its last pages, then stopped here. */
  migrateAway(domain: Domain): void {
    this.suspend(domain, 'migration')
    this.#stop(domain, 'migrated')
  }

  /** Stops with its memory kept on disk; the next start restores it. */
  save(domain: Domain): void {
    requireActive(domain)
    if (!domain.persistent) throw invalid(`domain '${domain.name}' is transient and cannot be saved`)
    domain.hasManagedSave = true
    this.#stop(domain, 'saved')
  }

  removeManagedSave(domain: Domain): void {
    domain.hasManagedSave = false
  }

  reboot(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_RUNNING)
    domain.cpuTimeNs = cpuTimeNs(domain)
    domain.runningSinceMs = performance.now()
    this.#emit({ object: 'domain', kind: 'reboot', dom: domainReference(domain) })
  }

  /** Suspends to memory by the guest's own power management. */
  sleep(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_RUNNING)
    this.#halt(domain, STATE.VIR_DOMAIN_PMSUSPENDED, 0)
    const detail = enums.virDomainEventPMSuspendedDetailType.VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_PMSUSPENDED, detail)
    this.#emit({ object: 'domain', kind: 'pmsuspend', reason: 0, dom: domainReference(domain) })
  }

  wake(domain: Domain): void {
    requireState(domain, STATE.VIR_DOMAIN_PMSUSPENDED)
    this.#run(domain, RUNNING.VIR_DOMAIN_RUNNING_WAKEUP)
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_STARTED, STARTED.VIR_DOMAIN_EVENT_STARTED_WAKEUP)
    this.#emit({ object: 'domain', kind: 'pmwakeup', reason: 0, dom: domainReference(domain) })
  }

  /** Forgets the definition; an active domain goes on as a transient one. */
  undefine(domain: Domain): void {
    if (!domain.persistent) throw invalid(`domain '${domain.name}' is transient: it has no definition`)
    domain.persistent = false
    domain.autostart = false
    domain.hasManagedSave = false
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_UNDEFINED, UNDEFINED.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)
    if (!isActive(domain)) this.#remove(domain)
  }

  rename(domain: Domain, name: string): void {
    assertName(name)
    if (isActive(domain)) throw invalid(`domain '${domain.name}' is active and cannot be renamed`)
    if (this.#byName.has(name)) throw failed(`domain '${name}' already exists`)
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_UNDEFINED, UNDEFINED.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED)
    this.#byName.delete(domain.name)
    domain.name = name
    this.#byName.set(name, domain)
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_DEFINED, DEFINED.VIR_DOMAIN_EVENT_DEFINED_RENAMED)
  }

  /** Sets the memory the guest has now; the balloon of an active one reports it. */
  setMemory(domain: Domain, memoryKib: number): void {
    if (memoryKib < 1 || memoryKib > domain.memoryMaxKib)
      throw refusal(
        virErrorNumber.VIR_ERR_INVALID_ARG,
        `memory of ${memoryKib} KiB, allowed 1 to ${domain.memoryMaxKib}`,
      )
    domain.memoryKib = memoryKib
    if (!isActive(domain)) return
    this.#emit({ object: 'domain', kind: 'balloon_change', dom: domainReference(domain), actual: memoryKib })
  }

  setAutostart(domain: Domain, autostart: boolean): void {
    if (!domain.persistent)
      throw invalid(`domain '${domain.name}' is transient and cannot be started with the host`)
    domain.autostart = autostart
  }

  /** Sets title, description or a custom element (`virDomainMetadataType`), or removes it where `value` is null. */
  setMetadata(
    domain: Domain,
    change: { type: number; value: string | null; key: string | null; uri: string | null },
  ): void {
    const { type, value, key, uri } = change
    const TYPE = enums.virDomainMetadataType
    if (type === TYPE.VIR_DOMAIN_METADATA_TITLE) domain.title = value
    else if (type === TYPE.VIR_DOMAIN_METADATA_DESCRIPTION) domain.description = value
    else if (type !== TYPE.VIR_DOMAIN_METADATA_ELEMENT || uri === null)
      throw refusal(
        virErrorNumber.VIR_ERR_INVALID_ARG,
        `metadata of type ${type} without a namespace or unknown`,
      )
    else if (value === null) domain.metadata.delete(uri)
    else setElement(domain, uri, { key: key ?? '', xml: value })
    this.#emit({ object: 'domain', kind: 'metadata_change', dom: domainReference(domain), type, nsuri: uri })
  }

  /** Plugs in a device known by its alias. */
  attach(domain: Domain, devAlias: string): void {
    requireActive(domain)
    if (domain.plugged.has(devAlias)) throw failed(`device '${devAlias}' is already there`)
    domain.plugged.add(devAlias)
    this.#emit({ object: 'domain', kind: 'device_added', dom: domainReference(domain), devAlias })
  }

  detach(domain: Domain, devAlias: string): void {
    requireActive(domain)
    if (!domain.plugged.delete(devAlias)) throw failed(`no device '${devAlias}'`)
    this.#emit({ object: 'domain', kind: 'device_removed', dom: domainReference(domain), devAlias })
  }

  #lifecycle(domain: Domain, event: number, detail: number): void {
    this.#emit({ object: 'domain', kind: 'lifecycle', dom: domainReference(domain), event, detail })
  }

  #run(domain: Domain, reason: number): void {
    domain.state = STATE.VIR_DOMAIN_RUNNING
    domain.reason = reason
    domain.runningSinceMs = performance.now()
  }

  #halt(domain: Domain, state: number, reason: number): void {
    domain.cpuTimeNs = cpuTimeNs(domain)
    domain.runningSinceMs = undefined
    domain.state = state
    domain.reason = reason
  }

  /** As the test driver does: the id in the event is -1, but that of a transient domain is kept. */
  #stop(domain: Domain, how: DomainStop): void {
    this.#halt(domain, STATE.VIR_DOMAIN_SHUTOFF, STOPS[how].reason)
    this.#byId.delete(domain.id)
    domain.plugged.clear()
    if (domain.persistent) domain.id = -1
    this.#lifecycle(domain, EVENT.VIR_DOMAIN_EVENT_STOPPED, STOPS[how].detail)
    if (!domain.persistent) this.#remove(domain)
  }

  #add(domain: Domain): Domain {
    assertName(domain.name)
    if (this.#ordered.length >= DOMAINS_MAX) throw failed(`${DOMAINS_MAX} domains are there`)
    this.#ordered.push(domain)
    this.#byUuid.set(domain.uuid, domain)
    this.#byName.set(domain.name, domain)
    return domain
  }

  #remove(domain: Domain): void {
    domain.id = -1
    this.#ordered.splice(this.#ordered.indexOf(domain), 1)
    this.#byUuid.delete(domain.uuid)
    this.#byName.delete(domain.name)
  }

  #sameDomain(description: DomainDescription): Domain | undefined {
    const named = this.#byName.get(description.name)
    if (named) {
      if (description.uuid === undefined || description.uuid === named.uuid) return named
      throw failed(`domain '${named.name}' already exists with uuid ${named.uuid}`)
    }
    const other = description.uuid === undefined ? undefined : this.#byUuid.get(description.uuid)
    if (other) throw failed(`domain '${other.name}' is already defined with uuid ${other.uuid}`)
    return undefined
  }
}

function setElement(domain: Domain, uri: string, element: MetadataElement): void {
  parseXml(element.xml)
  if (!domain.metadata.has(uri) && domain.metadata.size >= METADATA_MAX)
    throw failed(`domain '${domain.name}' has ${METADATA_MAX} metadata elements`)
  domain.metadata.set(uri, element)
}
