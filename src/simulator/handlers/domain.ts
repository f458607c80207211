import { enums, type Procedure, remote } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'
import {
  cpuTimeNs,
  type Domain,
  domainReference,
  domainXml,
  isActive,
  parseDomainXml,
} from '../state/domain.ts'
import { type CallContext, changes, flag, type Handler, handles } from './handler.ts'

const { virErrorNumber, virDomainCreateFlags, virDomainMetadataType } = enums

type DomainArgs = { dom: remote.RemoteNonnullDomain }

/** A procedure that asks about one domain. */
function asks<Args extends DomainArgs, Result>(
  procedure: Procedure<Args, Result>,
  answer: (domain: Domain, args: Args) => Result,
): Handler {
  return handles(procedure, (args, { hypervisor }) => answer(hypervisor.domains.find(args.dom), args))
}

/** A procedure that changes one domain and answers nothing. */
function acts<Args extends DomainArgs>(
  procedure: Procedure<Args, undefined>,
  act: (domain: Domain, domains: CallContext['hypervisor']['domains'], args: Args) => void,
): Handler {
  return changes(procedure, (args, { hypervisor }) => {
    act(hypervisor.domains.find(args.dom), hypervisor.domains, args)
    return undefined
  })
}

function define(xml: string, { hypervisor }: CallContext): { dom: remote.RemoteNonnullDomain } {
  return { dom: domainReference(hypervisor.domains.define(parseDomainXml(xml))) }
}

const LOOKUPS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, ({ name }, { hypervisor }) => ({
    dom: domainReference(hypervisor.domains.byName(name)),
  })),
  handles(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, ({ uuid }, { hypervisor }) => ({
    dom: domainReference(hypervisor.domains.byUuid(uuid)),
  })),
  handles(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_ID, ({ id }, { hypervisor }) => ({
    dom: domainReference(hypervisor.domains.byId(id)),
  })),
]

const QUESTIONS: readonly Handler[] = [
  asks(remote.REMOTE_PROC_DOMAIN_GET_STATE, ({ state, reason }) => ({ state, reason })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_INFO, (domain) => ({
    state: domain.state,
    maxMem: domain.memoryMaxKib,
    memory: domain.memoryKib,
    nrVirtCpu: domain.vcpus,
    cpuTime: cpuTimeNs(domain),
  })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_XML_DESC, (domain) => ({ xml: domainXml(domain) })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_OS_TYPE, (domain) => ({ type: domain.osType })),
  asks(remote.REMOTE_PROC_DOMAIN_IS_PERSISTENT, (domain) => ({ persistent: flag(domain.persistent) })),
  asks(remote.REMOTE_PROC_DOMAIN_IS_ACTIVE, (domain) => ({ active: flag(isActive(domain)) })),
  asks(remote.REMOTE_PROC_DOMAIN_IS_UPDATED, () => ({ updated: 0 })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_AUTOSTART, (domain) => ({ autostart: flag(domain.autostart) })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_MAX_MEMORY, (domain) => ({ memory: domain.memoryMaxKib })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_MAX_VCPUS, (domain) => ({ num: domain.vcpus })),
  asks(remote.REMOTE_PROC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, (domain) => ({
    result: flag(domain.hasManagedSave),
  })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_SECURITY_LABEL, () => ({
    label: Buffer.from('libvirt-test\0'),
    enforcing: 1,
  })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_MESSAGES, () => ({ msgs: [] })),
  asks(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_NUM, () => ({ num: 0 })),
  asks(remote.REMOTE_PROC_DOMAIN_GET_METADATA, (domain, { type, uri }) => ({
    metadata: metadataOf(domain, type, uri),
  })),
]

const ACTIONS: readonly Handler[] = [
  acts(remote.REMOTE_PROC_DOMAIN_CREATE, (domain, domains) => void domains.start(domain)),
  changes(remote.REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS, ({ dom, flags }, { hypervisor }) => {
    const paused = (flags & virDomainCreateFlags.VIR_DOMAIN_START_PAUSED) !== 0
    const { domains } = hypervisor
    return { dom: domainReference(domains.start(domains.find(dom), { paused })) }
  }),
  changes(remote.REMOTE_PROC_DOMAIN_CREATE_XML, ({ xml_desc, flags }, { hypervisor }) => {
    const paused = (flags & virDomainCreateFlags.VIR_DOMAIN_START_PAUSED) !== 0
    return { dom: domainReference(hypervisor.domains.createTransient(parseDomainXml(xml_desc), { paused })) }
  }),
  acts(remote.REMOTE_PROC_DOMAIN_SUSPEND, (domain, domains) => domains.suspend(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_RESUME, (domain, domains) => domains.resume(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_SHUTDOWN, (domain, domains) => domains.shutdown(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, (domain, domains) => domains.shutdown(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_DESTROY, (domain, domains) => domains.destroy(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_DESTROY_FLAGS, (domain, domains) => domains.destroy(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_REBOOT, (domain, domains) => domains.reboot(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_RESET, (domain, domains) => domains.reboot(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_MANAGED_SAVE, (domain, domains) => domains.save(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_MANAGED_SAVE_REMOVE, (domain, domains) => domains.removeManagedSave(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_PM_SUSPEND_FOR_DURATION, (domain, domains, { target }) => {
    if (target !== enums.virNodeSuspendTarget.VIR_NODE_SUSPEND_TARGET_MEM)
      throw refusal(virErrorNumber.VIR_ERR_OPERATION_UNSUPPORTED, `cannot suspend to target ${target}`)
    domains.sleep(domain)
  }),
  acts(remote.REMOTE_PROC_DOMAIN_PM_WAKEUP, (domain, domains) => domains.wake(domain)),
]

const DEFINITIONS: readonly Handler[] = [
  changes(remote.REMOTE_PROC_DOMAIN_DEFINE_XML, ({ xml }, context) => define(xml, context)),
  changes(remote.REMOTE_PROC_DOMAIN_DEFINE_XML_FLAGS, ({ xml }, context) => define(xml, context)),
  acts(remote.REMOTE_PROC_DOMAIN_UNDEFINE, (domain, domains) => domains.undefine(domain)),
  acts(remote.REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, (domain, domains) => domains.undefine(domain)),
  changes(remote.REMOTE_PROC_DOMAIN_RENAME, ({ dom, new_name }, { hypervisor }) => {
    hypervisor.domains.rename(hypervisor.domains.find(dom), new_name ?? '')
    return { retcode: 0 }
  }),
  acts(remote.REMOTE_PROC_DOMAIN_SET_AUTOSTART, (domain, domains, { autostart }) =>
    domains.setAutostart(domain, autostart !== 0),
  ),
  acts(remote.REMOTE_PROC_DOMAIN_SET_MEMORY, (domain, domains, { memory }) =>
    domains.setMemory(domain, Number(memory)),
  ),
  acts(remote.REMOTE_PROC_DOMAIN_SET_MEMORY_FLAGS, (domain, domains, { memory }) =>
    domains.setMemory(domain, Number(memory)),
  ),
  acts(remote.REMOTE_PROC_DOMAIN_SET_METADATA, (domain, domains, { type, metadata, key, uri }) =>
    domains.setMetadata(domain, { type, value: metadata, key, uri }),
  ),
]

/** Everything about one domain. */
export const DOMAIN_HANDLERS: readonly Handler[] = [...LOOKUPS, ...QUESTIONS, ...ACTIONS, ...DEFINITIONS]

function metadataOf(domain: Domain, type: number, uri: string | null): string {
  let value: string | null | undefined
  if (type === virDomainMetadataType.VIR_DOMAIN_METADATA_TITLE) value = domain.title
  else if (type === virDomainMetadataType.VIR_DOMAIN_METADATA_DESCRIPTION) value = domain.description
  else value = domain.metadata.get(uri ?? '')?.xml
  if (value !== null && value !== undefined) return value
  const text = 'metadata not found: the requested element is not there'
  throw refusal(virErrorNumber.VIR_ERR_NO_DOMAIN_METADATA, text, enums.virErrorDomain.VIR_FROM_DOMAIN)
}
