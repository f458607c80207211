import type { Description, Figures, Guest, GuestSource, Happening, MetadataValue } from '../guests/index.ts'
import {
  type Connection,
  type Domain,
  enums,
  LibvirtError,
  type LibvirtEvent,
  parseDescription,
  type TypedParams,
} from '../libvirt/index.ts'

const { VIR_CONNECT_LIST_DOMAINS_PERSISTENT, VIR_CONNECT_LIST_DOMAINS_AUTOSTART } =
  enums.virConnectListAllDomainsFlags
const {
  VIR_DOMAIN_STATS_STATE,
  VIR_DOMAIN_STATS_CPU_TOTAL,
  VIR_DOMAIN_STATS_BALLOON,
  VIR_DOMAIN_STATS_VCPU,
} = enums.virDomainStatsTypes
const { VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT } = enums.virConnectGetAllDomainStatsFlags
const { VIR_ERR_NO_DOMAIN, VIR_ERR_NO_DOMAIN_METADATA } = enums.virErrorNumber
const { VIR_DOMAIN_METADATA_TITLE, VIR_DOMAIN_METADATA_ELEMENT } = enums.virDomainMetadataType
/** Metadata over this many characters is left out: a bus event is no place for it. */
const METADATA_CHARS_MAX = 65_536

/** The guests of a host and their states, in three calls where the driver gives statistics, in one more a guest elsewhere. */
export async function listGuests(connection: Connection): Promise<Guest[]> {
  const persistent = await connection.listAllDomains({ flags: VIR_CONNECT_LIST_DOMAINS_PERSISTENT })
  const kept = new Set(persistent.map(({ uuid }) => uuid))
  const states = await statesOf(connection)
  return states.map(({ domain: { uuid, name, id = -1 }, state }) => ({
    uuid,
    name,
    id,
    state,
    persistent: kept.has(uuid),
  }))
}

interface DomainState {
  readonly domain: Domain
  readonly state: number
}

async function statesOf(connection: Connection): Promise<DomainState[]> {
  try {
    const stats = await connection.getAllDomainStats({ stats: VIR_DOMAIN_STATS_STATE })
    return stats.map(({ domain, params }) => ({ domain, state: Number(params['state.state']) }))
  } catch (error) {
    if (!(error instanceof LibvirtError) || error.code !== 'ERR_LIBVIRT_NO_SUPPORT') throw error
  }
  const domains = await connection.listAllDomains()
  const states = await Promise.all(domains.map((domain) => stateOf(domain)))
  return states.filter((state) => state !== undefined)
}

/** Undefined for a guest that is gone since it was listed. */
async function stateOf(domain: Domain): Promise<DomainState | undefined> {
  try {
    return { domain, state: (await domain.state()).state }
  } catch (error) {
    if (hasNumber(error, VIR_ERR_NO_DOMAIN)) return undefined
    throw error
  }
}

function hasNumber(error: unknown, number: number): boolean {
  return error instanceof LibvirtError && error.remoteCode === number
}

/** What a host says of its guests beyond its events. */
export class LibvirtGuestSource implements GuestSource {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /**
   * Two calls where the driver gives statistics (qemu), one more a guest elsewhere. Guests that are busy are not waited for.
   */
  async figures(): Promise<ReadonlyMap<string, Figures>> {
    const connection = this.#connection
    const flags = VIR_CONNECT_LIST_DOMAINS_AUTOSTART
    const autostart = new Set((await connection.listAllDomains({ flags })).map(({ uuid }) => uuid))
    const found = new Map<string, Figures>()
    const rest: Domain[] = []
    for (const { domain, params } of await this.#stats()) {
      const figures = params && figuresOf(domain, params, autostart.has(domain.uuid))
      if (figures) found.set(domain.uuid, figures)
      else rest.push(domain)
    }
    const asked = await Promise.all(rest.map((domain) => askFigures(domain, autostart.has(domain.uuid))))
    for (const [at, figures] of asked.entries()) {
      const { uuid = '' } = rest[at] ?? {}
      if (figures) found.set(uuid, figures)
    }
    return found
  }

  async #stats(): Promise<{ domain: Domain; params?: TypedParams }[]> {
    const stats =
      VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU
    try {
      return await this.#connection.getAllDomainStats({
        stats,
        flags: VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
      })
    } catch (error) {
      if (!(error instanceof LibvirtError) || error.code !== 'ERR_LIBVIRT_NO_SUPPORT') throw error
      return (await this.#connection.listAllDomains()).map((domain) => ({ domain }))
    }
  }

  async describe(uuid: string, namespaces: readonly string[]): Promise<Description | undefined> {
    try {
      const domain = await this.#connection.lookupByUUIDString(uuid)
      const title = await metadataOf(domain, VIR_DOMAIN_METADATA_TITLE)
      const metadata = new Map<string, MetadataValue>()
      for (const uri of namespaces) {
        const xml = await metadataOf(domain, VIR_DOMAIN_METADATA_ELEMENT, uri)
        if (xml !== undefined && xml.length <= METADATA_CHARS_MAX)
          for (const value of Object.values(await parseDescription(xml))) metadata.set(uri, rootValue(value))
      }
      return { title, metadata }
    } catch (error) {
      if (hasNumber(error, VIR_ERR_NO_DOMAIN)) return undefined
      throw error
    }
  }
}

/** Undefined where a guest has none, or its driver knows none. */
async function metadataOf(
  domain: Domain,
  type: number,
  uri: string | null = null,
): Promise<string | undefined> {
  try {
    return await domain.metadata(type, uri)
  } catch (error) {
    const hasNone = hasNumber(error, VIR_ERR_NO_DOMAIN_METADATA)
    if (hasNone || (error instanceof LibvirtError && error.code === 'ERR_LIBVIRT_NO_SUPPORT'))
      return undefined
    throw error
  }
}

/** The root of a metadata element is one, never a list. */
function rootValue(root: unknown): MetadataValue {
  return typeof root === 'object' && root !== null ? { ...root } : String(root)
}

/** Undefined when the driver gives no more than states. */
function figuresOf({ id }: Domain, params: TypedParams, autostart: boolean): Figures | undefined {
  const memoryKiB = numberOf(params['balloon.current'])
  const maxMemoryKiB = numberOf(params['balloon.maximum'])
  if (memoryKiB === undefined || maxMemoryKiB === undefined) return undefined
  return {
    state: Number(params['state.state']),
    reason: Number(params['state.reason']),
    vcpus: Number(params['vcpu.current'] ?? 0),
    memoryKiB,
    maxMemoryKiB,
    // Of a guest without a process, libvirt 9 gives the CPU time of libvirtd (virProcessGetStatInfo of process 0).
    cpuTimeNs: id === undefined ? 0 : (numberOf(params['cpu.time']) ?? 0),
    autostart,
  }
}

function numberOf(value: unknown): number | bigint | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? value : undefined
}

/** Undefined for a guest that is gone since it was listed. */
async function askFigures(domain: Domain, autostart: boolean): Promise<Figures | undefined> {
  try {
    const [{ state, reason }, info] = await Promise.all([domain.state(), domain.info()])
    return {
      state,
      reason,
      vcpus: info.nrVirtCpu,
      memoryKiB: info.memory,
      maxMemoryKiB: info.maxMem,
      cpuTimeNs: info.cpuTime,
      autostart,
    }
  } catch (error) {
    if (hasNumber(error, VIR_ERR_NO_DOMAIN)) return undefined
    throw error
  }
}

/** What a lifecycle event says about its guest; undefined for other events. */
export function happeningOf(event: {
  readonly object: string
  readonly kind: string
}): Happening | undefined {
  if (event.object !== 'domain' || event.kind !== 'lifecycle') return undefined
  // Told apart by object and kind.
  const {
    dom,
    event: number,
    detail,
  } = event as Extract<LibvirtEvent, { object: 'domain'; kind: 'lifecycle' }>
  return { guest: { uuid: dom.uuid, name: dom.name, id: dom.id }, event: number, detail }
}

/** The event as libvirt would have sent it. */
export function eventOf({ guest: dom, event, detail }: Happening): LibvirtEvent {
  return { object: 'domain', kind: 'lifecycle', callbackID: -1, dom, event, detail }
}
