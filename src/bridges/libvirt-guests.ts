import type { Guest, Happening } from '../guests/index.ts'
import { type Connection, type Domain, enums, LibvirtError, type LibvirtEvent } from '../libvirt/index.ts'

const { VIR_CONNECT_LIST_DOMAINS_PERSISTENT } = enums.virConnectListAllDomainsFlags
const { VIR_DOMAIN_STATS_STATE } = enums.virDomainStatsTypes

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
    const isGone =
      error instanceof LibvirtError && error.remoteCode === enums.virErrorNumber.VIR_ERR_NO_DOMAIN
    if (isGone) return undefined
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
