import { reasonName, STATE_NUMBERS, stateName } from '../bridges/index.ts'
import type { GuestView, Hosts, HostView } from '../guests/index.ts'
import { DaemonError } from './errors.ts'

/** A guest as it is shown to programs: libvirt's names, memory in KiB, CPU time in nanoseconds. */
export interface GuestReport {
  readonly host: string
  readonly name: string
  readonly uuid: string
  /** Null when it does not run. */
  readonly id: number | null
  readonly state: string
  readonly reason?: string
  readonly persistent: boolean
  readonly autostart?: boolean
  readonly vcpus?: number
  readonly memoryKiB?: number | bigint
  readonly maxMemoryKiB?: number | bigint
  readonly cpuTimeNs?: number | bigint
  readonly title?: string
  readonly metadata?: GuestView['metadata']
}

/** A host as it is shown to programs. */
export interface HostReport {
  readonly host: string
  readonly hostname: string | null
  readonly connected: boolean
  readonly error: string | null
  readonly guests: readonly GuestReport[]
}

/** What a host looks like to programs; guests by name. */
export function hostReport(view: HostView): HostReport {
  const { host, hostname = null, isConnected: connected, error = null } = view
  const guests = view.guests
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((guest) => report(host, guest))
  return { host, hostname, connected, error, guests }
}

function report(host: string, guest: GuestView): GuestReport {
  const { name, uuid, id, state, persistent, reason, autostart, vcpus, title, metadata } = guest
  const { memoryKiB, maxMemoryKiB, cpuTimeNs } = guest
  const why = reasonName(state, reason)
  return {
    ...{ host, name, uuid, id: id < 0 ? null : id, state: stateName(state) },
    ...(why !== undefined && { reason: why }),
    persistent,
    ...(autostart !== undefined && { autostart }),
    ...(vcpus !== undefined && { vcpus }),
    ...(memoryKiB !== undefined && { memoryKiB }),
    ...(maxMemoryKiB !== undefined && { maxMemoryKiB }),
    ...(cpuTimeNs !== undefined && { cpuTimeNs }),
    ...(title !== undefined && { title }),
    ...(metadata !== undefined && { metadata }),
  }
}

/**
 * The number of a state by its name in libvirt or in virsh.
 *
 * @throws {DaemonError} `ERR_DAEMON_QUERY`, naming those there are.
 */
export function stateNumber(name: string): number {
  const number = STATE_NUMBERS.get(name.toLowerCase())
  if (number !== undefined) return number
  throw new DaemonError(
    'ERR_DAEMON_QUERY',
    `there is no state '${name}'; there are ${[...STATE_NUMBERS.keys()].join(', ')}`,
  )
}

/** `/v1/guests?host=GLOB&state=NAME&titles=1&metadata=NAMESPACE&fresh=1`; `state` and `metadata` may come more than once; `fresh`: figures of this moment, not of the last second. */
export async function guestsRoute(hosts: Hosts, params: URLSearchParams): Promise<HostReport[]> {
  const states = params.getAll('state').map(stateNumber)
  const namespaces = params.getAll('metadata')
  const views = await hosts.look({
    host: params.get('host') ?? undefined,
    states: states.length > 0 ? states : undefined,
    titles: params.get('titles') === '1',
    metadata: namespaces.length > 0 ? namespaces : undefined,
    maxAgeMs: params.get('fresh') === '1' ? 0 : undefined,
  })
  return views.map(hostReport)
}
