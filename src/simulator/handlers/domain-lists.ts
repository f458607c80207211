import { enums, remote } from '../../libvirt/index.ts'
import { cpuTimeNs, type Domain, domainReference, isActive } from '../state/domain.ts'
import { flag, type Handler, handles, listed, passes } from './handler.ts'

const {
  virConnectListAllDomainsFlags: LIST,
  virDomainState: STATE,
  virDomainStatsTypes: STATS,
  virTypedParameterType: PARAM,
} = enums

/** The groups whose numbers the simulator has. */
const STATS_KNOWN =
  STATS.VIR_DOMAIN_STATS_STATE |
  STATS.VIR_DOMAIN_STATS_CPU_TOTAL |
  STATS.VIR_DOMAIN_STATS_BALLOON |
  STATS.VIR_DOMAIN_STATS_VCPU

/** Most vCPUs of one guest that the statistics name one by one. */
const VCPU_STATS_MAX = 64

/** Lists and statistics of many domains. */
export const DOMAIN_LIST_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, ({ need_results, flags }, { hypervisor }) => {
    const found = hypervisor.domains.list().filter((domain) => isListed(domain, flags))
    const { items, ret } = listed(found.map(domainReference), need_results)
    return { domains: items, ret }
  }),
  handles(remote.REMOTE_PROC_CONNECT_NUM_OF_DOMAINS, (_, { hypervisor }) => ({
    num: hypervisor.domains.list().filter(isActive).length,
  })),
  handles(remote.REMOTE_PROC_CONNECT_LIST_DOMAINS, ({ maxids }, { hypervisor }) => {
    const active = hypervisor.domains.list().filter(isActive)
    return { ids: active.slice(0, Math.max(0, maxids)).map((domain) => domain.id) }
  }),
  handles(remote.REMOTE_PROC_CONNECT_NUM_OF_DEFINED_DOMAINS, (_, { hypervisor }) => ({
    num: hypervisor.domains.list().filter((domain) => !isActive(domain)).length,
  })),
  handles(remote.REMOTE_PROC_CONNECT_LIST_DEFINED_DOMAINS, ({ maxnames }, { hypervisor }) => {
    const inactive = hypervisor.domains.list().filter((domain) => !isActive(domain))
    return { names: inactive.slice(0, Math.max(0, maxnames)).map((domain) => domain.name) }
  }),
  handles(remote.REMOTE_PROC_CONNECT_GET_ALL_DOMAIN_STATS, ({ doms, stats, flags }, { hypervisor }) => {
    const { domains } = hypervisor
    const chosen = doms.length > 0 ? doms.map((dom) => domains.find(dom)) : domains.list()
    // The flags that choose domains have the values of the list call.
    const found = chosen.filter((domain) => doms.length > 0 || isListed(domain, flags))
    const groups = stats === 0 ? STATS_KNOWN : stats & STATS_KNOWN
    const records = found.map((domain) => ({ dom: domainReference(domain), params: statsOf(domain, groups) }))
    return { retStats: records }
  }),
]

function isListed(domain: Domain, flags: number): boolean {
  const active = isActive(domain)
  const isRunning = domain.state === STATE.VIR_DOMAIN_RUNNING
  const isPaused = domain.state === STATE.VIR_DOMAIN_PAUSED
  const isOff = domain.state === STATE.VIR_DOMAIN_SHUTOFF
  return passes(flags, [
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_ACTIVE, active],
      [LIST.VIR_CONNECT_LIST_DOMAINS_INACTIVE, !active],
    ],
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_PERSISTENT, domain.persistent],
      [LIST.VIR_CONNECT_LIST_DOMAINS_TRANSIENT, !domain.persistent],
    ],
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_RUNNING, isRunning],
      [LIST.VIR_CONNECT_LIST_DOMAINS_PAUSED, isPaused],
      [LIST.VIR_CONNECT_LIST_DOMAINS_SHUTOFF, isOff],
      [LIST.VIR_CONNECT_LIST_DOMAINS_OTHER, !(isRunning || isPaused || isOff)],
    ],
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, domain.hasManagedSave],
      [LIST.VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE, !domain.hasManagedSave],
    ],
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_AUTOSTART, domain.autostart],
      [LIST.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART, !domain.autostart],
    ],
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, false],
      [LIST.VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT, true],
    ],
    [
      [LIST.VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT, false],
      [LIST.VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT, true],
    ],
  ])
}

function statsOf(domain: Domain, groups: number): remote.RemoteTypedParam[] {
  const params: remote.RemoteTypedParam[] = []
  const add = (type: number, field: string, value: number): void => {
    params.push({ field, value: { type, value } })
  }
  const active = isActive(domain)
  if (groups & STATS.VIR_DOMAIN_STATS_STATE) {
    add(PARAM.VIR_TYPED_PARAM_INT, 'state.state', domain.state)
    add(PARAM.VIR_TYPED_PARAM_INT, 'state.reason', domain.reason)
  }
  const timeNs = cpuTimeNs(domain)
  if (groups & STATS.VIR_DOMAIN_STATS_CPU_TOTAL && active) {
    add(PARAM.VIR_TYPED_PARAM_ULLONG, 'cpu.time', timeNs)
    add(PARAM.VIR_TYPED_PARAM_ULLONG, 'cpu.user', Math.floor(timeNs * 0.75))
    add(PARAM.VIR_TYPED_PARAM_ULLONG, 'cpu.system', Math.floor(timeNs * 0.25))
  }
  if (groups & STATS.VIR_DOMAIN_STATS_BALLOON) {
    add(PARAM.VIR_TYPED_PARAM_ULLONG, 'balloon.current', domain.memoryKib)
    add(PARAM.VIR_TYPED_PARAM_ULLONG, 'balloon.maximum', domain.memoryMaxKib)
  }
  if (groups & STATS.VIR_DOMAIN_STATS_VCPU) {
    add(PARAM.VIR_TYPED_PARAM_UINT, 'vcpu.current', domain.vcpus)
    add(PARAM.VIR_TYPED_PARAM_UINT, 'vcpu.maximum', domain.vcpus)
    const named = active ? Math.min(domain.vcpus, VCPU_STATS_MAX) : 0
    for (let index = 0; index < named; index++) {
      add(PARAM.VIR_TYPED_PARAM_INT, `vcpu.${index}.state`, flag(domain.state === STATE.VIR_DOMAIN_RUNNING))
      add(PARAM.VIR_TYPED_PARAM_ULLONG, `vcpu.${index}.time`, Math.floor(timeNs / domain.vcpus))
    }
  }
  return params
}
