import { enums } from '../libvirt/index.ts'
import type { Hypervisor } from './hypervisor.ts'
import type { Random, Weighted } from './random.ts'
import { type Domain, domainReference } from './state/domain.ts'

const {
  virDomainState: STATE,
  virDomainMetadataType: METADATA,
  virDomainEventIOErrorAction: IO_ERROR,
  virDomainEventWatchdogAction: WATCHDOG,
  virDomainEventGraphicsPhase: GRAPHICS,
  virDomainBlockJobType: JOB,
  virConnectDomainEventBlockJobStatus: JOB_STATUS,
  virConnectDomainEventAgentLifecycleState: AGENT,
  virConnectDomainEventAgentLifecycleReason: AGENT_REASON,
} = enums

/** Something that can happen to a guest; it has the state that makes it possible. */
type GuestStep = (domain: Domain, hypervisor: Hypervisor, random: Random) => void

const agentConnects: GuestStep = (domain, hypervisor) => {
  const state = AGENT.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
  const reason = AGENT_REASON.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL
  hypervisor.emit({ object: 'domain', kind: 'agent_lifecycle', dom: domainReference(domain), state, reason })
}

const balloon: GuestStep = (domain, { domains }, random) => {
  const quarters = 1 + random.integer(4)
  domains.setMemory(domain, Math.max(1, Math.floor((domain.memoryMaxKib * quarters) / 4)))
}

const plug: GuestStep = (domain, { domains }, random) => {
  const devAlias = `virtio-disk${1 + random.integer(4)}`
  if (domain.plugged.has(devAlias)) domains.detach(domain, devAlias)
  else domains.attach(domain, devAlias)
}

const retitle: GuestStep = (domain, { domains }, random) => {
  const type = random.pick([METADATA.VIR_DOMAIN_METADATA_TITLE, METADATA.VIR_DOMAIN_METADATA_DESCRIPTION])
  const value = `${domain.name}, revision ${random.integer(1000)}`
  domains.setMetadata(domain, { type, value, key: null, uri: null })
}

const clock: GuestStep = (domain, hypervisor, random) => {
  const offset = random.integer(7200) - 3600
  hypervisor.emit({ object: 'domain', kind: 'rtc_change', dom: domainReference(domain), offset })
}

const tray: GuestStep = (domain, hypervisor, random) => {
  const reason = random.integer(2)
  hypervisor.emit({
    object: 'domain',
    kind: 'tray_change',
    dom: domainReference(domain),
    devAlias: 'ide0-1-0',
    reason,
  })
}

const display: GuestStep = (domain, hypervisor, random) => {
  const phase = random.pick([
    GRAPHICS.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT,
    GRAPHICS.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT,
  ])
  hypervisor.emit({
    object: 'domain',
    kind: 'graphics',
    dom: domainReference(domain),
    phase,
    local: { family: 0, node: '127.0.0.1', service: '5900' },
    remote: { family: 0, node: '127.0.0.1', service: String(40_000 + random.integer(10_000)) },
    authScheme: 'none',
    subject: [],
  })
}

const blockJob: GuestStep = (domain, hypervisor, random) => {
  const type = random.pick([JOB.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY, JOB.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT])
  const status = JOB_STATUS.VIR_DOMAIN_BLOCK_JOB_COMPLETED
  const dom = domainReference(domain)
  const path = `/var/lib/libvirt/images/${domain.name}.qcow2`
  hypervisor.emit({ object: 'domain', kind: 'block_job', dom, path, type, status })
  hypervisor.emit({ object: 'domain', kind: 'block_job_2', dom, dst: 'vda', type, status })
}

const ioError: GuestStep = (domain, hypervisor) => {
  const action = IO_ERROR.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE
  const srcPath = `/var/lib/libvirt/images/${domain.name}.qcow2`
  const error = { dom: domainReference(domain), srcPath, devAlias: 'virtio-disk0', action }
  hypervisor.emit({ object: 'domain', kind: 'io_error', ...error })
  hypervisor.emit({ object: 'domain', kind: 'io_error_reason', ...error, reason: 'enospc' })
  hypervisor.domains.suspend(domain, 'ioError')
}

const watchdog: GuestStep = (domain, hypervisor) => {
  const action = WATCHDOG.VIR_DOMAIN_EVENT_WATCHDOG_PAUSE
  hypervisor.emit({ object: 'domain', kind: 'watchdog', dom: domainReference(domain), action })
  hypervisor.domains.suspend(domain, 'watchdog')
}

const migrateAway: GuestStep = (domain, hypervisor) => {
  for (let iteration = 1; iteration <= 2; iteration++)
    hypervisor.emit({
      object: 'domain',
      kind: 'migration_iteration',
      dom: domainReference(domain),
      iteration,
    })
  hypervisor.domains.migrateAway(domain)
}

const boot: GuestStep = (domain, hypervisor, random) => {
  const isAway = domain.reason === enums.virDomainShutoffReason.VIR_DOMAIN_SHUTOFF_MIGRATED
  if (isAway) hypervisor.domains.start(domain, { how: 'migrated' })
  else hypervisor.domains.start(domain)
  if (random.integer(2) === 0) agentConnects(domain, hypervisor, random)
}

const redefine: GuestStep = (domain, { domains }, random) => {
  const { name, uuid } = domain
  domains.define({ name, uuid, vcpus: 1 + random.integer(4), memoryMaxKib: domain.memoryMaxKib })
}

const save: GuestStep = (domain, { domains }) => {
  if (domain.persistent) domains.save(domain)
  else domains.destroy(domain)
}

/** What happens to guests, by their state. Starts and resumes outweigh stops, so that most guests run. */
const STEPS: Readonly<Record<number, Weighted<GuestStep>>> = {
  [STATE.VIR_DOMAIN_RUNNING]: [
    [14, (domain, { domains }) => domains.suspend(domain)],
    [10, (domain, { domains }) => domains.reboot(domain)],
    [8, (domain, { domains }) => domains.powerOff(domain)],
    [6, (domain, { domains }) => domains.shutdown(domain)],
    [4, (domain, { domains }) => domains.destroy(domain)],
    [2, (domain, { domains }) => domains.crash(domain)],
    [1, (domain, { domains }) => domains.panic(domain)],
    [2, (domain, { domains }) => domains.sleep(domain)],
    [3, migrateAway],
    [3, save],
    [12, balloon],
    [10, plug],
    [4, retitle],
    [4, clock],
    [3, tray],
    [5, display],
    [3, blockJob],
    [4, agentConnects],
    [1, ioError],
    [1, watchdog],
  ],
  [STATE.VIR_DOMAIN_PAUSED]: [
    [90, (domain, { domains }) => domains.resume(domain)],
    [10, (domain, { domains }) => domains.destroy(domain)],
  ],
  [STATE.VIR_DOMAIN_SHUTOFF]: [
    [90, boot],
    [5, retitle],
    [5, redefine],
  ],
  [STATE.VIR_DOMAIN_CRASHED]: [[1, (domain, { domains }) => domains.destroy(domain)]],
  [STATE.VIR_DOMAIN_PMSUSPENDED]: [[1, (domain, { domains }) => domains.wake(domain)]],
}

/** Lets something happen to one guest that its state allows. */
export function guestStep(domain: Domain, hypervisor: Hypervisor, random: Random): void {
  const steps = STEPS[domain.state]
  if (steps) random.weighted(steps)(domain, hypervisor, random)
}
