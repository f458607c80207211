import { enums, type LibvirtEvent, type remote } from '../libvirt/index.ts'
import { Float } from '../msgpack/index.ts'
import { words } from './words.ts'

type Data = Record<string, unknown>
type Words = ReadonlyMap<number, string>

const UNKNOWN = 'unknown'

function word(of: Words | undefined, value: number): string {
  return of?.get(value) ?? UNKNOWN
}

const LIFECYCLE = words(enums.virDomainEventType, 'VIR_DOMAIN_EVENT_')
const {
  VIR_DOMAIN_EVENT_DEFINED,
  VIR_DOMAIN_EVENT_UNDEFINED,
  VIR_DOMAIN_EVENT_STARTED,
  VIR_DOMAIN_EVENT_SUSPENDED,
  VIR_DOMAIN_EVENT_RESUMED,
  VIR_DOMAIN_EVENT_STOPPED,
  VIR_DOMAIN_EVENT_SHUTDOWN,
  VIR_DOMAIN_EVENT_PMSUSPENDED,
  VIR_DOMAIN_EVENT_CRASHED,
} = enums.virDomainEventType
const LIFECYCLE_DETAILS: ReadonlyMap<number, Words> = new Map([
  [VIR_DOMAIN_EVENT_DEFINED, words(enums.virDomainEventDefinedDetailType, 'VIR_DOMAIN_EVENT_DEFINED_')],
  [VIR_DOMAIN_EVENT_UNDEFINED, words(enums.virDomainEventUndefinedDetailType, 'VIR_DOMAIN_EVENT_UNDEFINED_')],
  [VIR_DOMAIN_EVENT_STARTED, words(enums.virDomainEventStartedDetailType, 'VIR_DOMAIN_EVENT_STARTED_')],
  [VIR_DOMAIN_EVENT_SUSPENDED, words(enums.virDomainEventSuspendedDetailType, 'VIR_DOMAIN_EVENT_SUSPENDED_')],
  [VIR_DOMAIN_EVENT_RESUMED, words(enums.virDomainEventResumedDetailType, 'VIR_DOMAIN_EVENT_RESUMED_')],
  [VIR_DOMAIN_EVENT_STOPPED, words(enums.virDomainEventStoppedDetailType, 'VIR_DOMAIN_EVENT_STOPPED_')],
  [VIR_DOMAIN_EVENT_SHUTDOWN, words(enums.virDomainEventShutdownDetailType, 'VIR_DOMAIN_EVENT_SHUTDOWN_')],
  [
    VIR_DOMAIN_EVENT_PMSUSPENDED,
    words(enums.virDomainEventPMSuspendedDetailType, 'VIR_DOMAIN_EVENT_PMSUSPENDED_'),
  ],
  [VIR_DOMAIN_EVENT_CRASHED, words(enums.virDomainEventCrashedDetailType, 'VIR_DOMAIN_EVENT_CRASHED_')],
])
const WATCHDOG = words(enums.virDomainEventWatchdogAction, 'VIR_DOMAIN_EVENT_WATCHDOG_')
const IO_ERROR = words(enums.virDomainEventIOErrorAction, 'VIR_DOMAIN_EVENT_IO_ERROR_')
const GRAPHICS_PHASE = words(enums.virDomainEventGraphicsPhase, 'VIR_DOMAIN_EVENT_GRAPHICS_')
const GRAPHICS_ADDRESS = words(enums.virDomainEventGraphicsAddressType, 'VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_')
const DISK_CHANGE = words(enums.virConnectDomainEventDiskChangeReason, 'VIR_DOMAIN_EVENT_DISK_')
const TRAY_CHANGE = words(enums.virDomainEventTrayChangeReason, 'VIR_DOMAIN_EVENT_TRAY_CHANGE_')
const BLOCK_JOB_TYPE = words(enums.virDomainBlockJobType, 'VIR_DOMAIN_BLOCK_JOB_TYPE_')
const BLOCK_JOB_STATUS = words(enums.virConnectDomainEventBlockJobStatus, 'VIR_DOMAIN_BLOCK_JOB_')
const AGENT_STATE = words(
  enums.virConnectDomainEventAgentLifecycleState,
  'VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_',
)
const AGENT_REASON = words(
  enums.virConnectDomainEventAgentLifecycleReason,
  'VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_',
)
const CHANNEL_STATE = words(
  enums.virConnectDomainEventChannelLifecycleState,
  'VIR_CONNECT_DOMAIN_EVENT_CHANNEL_LIFECYCLE_STATE_',
)
const CHANNEL_REASON = words(
  enums.virConnectDomainEventChannelLifecycleReason,
  'VIR_CONNECT_DOMAIN_EVENT_CHANNEL_LIFECYCLE_REASON_',
)
const METADATA = words(enums.virDomainMetadataType, 'VIR_DOMAIN_METADATA_')
const NETWORK_METADATA = words(enums.virNetworkMetadataType, 'VIR_NETWORK_METADATA_')
const FAILURE_RECIPIENT = words(
  enums.virDomainMemoryFailureRecipientType,
  'VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_',
)
const FAILURE_ACTION = words(
  enums.virDomainMemoryFailureActionType,
  'VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_',
)
const NETWORK = words(enums.virNetworkEventLifecycleType, 'VIR_NETWORK_EVENT_')
const POOL = words(enums.virStoragePoolEventLifecycleType, 'VIR_STORAGE_POOL_EVENT_')
const NODEDEV = words(enums.virNodeDeviceEventLifecycleType, 'VIR_NODE_DEVICE_EVENT_')
const SECRET = words(enums.virSecretEventLifecycleType, 'VIR_SECRET_EVENT_')

const { VIR_TYPED_PARAM_BOOLEAN, VIR_TYPED_PARAM_DOUBLE } = enums.virTypedParameterType

function parameter({ type, value }: remote.RemoteTypedParamValue): unknown {
  if (type === VIR_TYPED_PARAM_BOOLEAN) return value !== 0 // an int on libvirt's wire
  if (type === VIR_TYPED_PARAM_DOUBLE) return new Float(Number(value)) // 1.0 on the bus, too
  return value
}

/** Typed parameters as libvirt-python gives them: a dictionary. */
function parameters(params: readonly remote.RemoteTypedParam[]): Data {
  return Object.fromEntries(params.map(({ field, value }) => [field, parameter(value)]))
}

function address(from: remote.RemoteDomainEventGraphicsAddress): Data {
  return { family: word(GRAPHICS_ADDRESS, from.family), node: from.node, service: from.service }
}

type EventOf<O extends LibvirtEvent['object']> = Extract<LibvirtEvent, { object: O }>

/** The fields that a domain event has beside `domain` and `event`; in the lifecycle event, `event` itself. */
function domainFields(event: EventOf<'domain'>): Data {
  switch (event.kind) {
    case 'lifecycle':
      return {
        event: word(LIFECYCLE, event.event),
        detail: word(LIFECYCLE_DETAILS.get(event.event), event.detail),
      }
    case 'rtc_change':
      return { utcoffset: event.offset }
    case 'watchdog':
      return { action: word(WATCHDOG, event.action) }
    case 'io_error_reason':
      return {
        srcPath: event.srcPath,
        dev: event.devAlias,
        action: word(IO_ERROR, event.action),
        reason: event.reason,
      }
    case 'balloon_change':
      return { actual: event.actual }
    case 'migration_iteration':
      return { iteration: event.iteration }
    case 'tunable':
    case 'job_completed':
      return { params: parameters(event.params) }
    case 'pmwakeup':
    case 'pmsuspend':
    case 'pmsuspend_disk':
      return { reason: UNKNOWN }
    default:
      return deviceFields(event)
  }
}

function deviceFields(event: EventOf<'domain'>): Data {
  switch (event.kind) {
    case 'graphics':
      return {
        phase: word(GRAPHICS_PHASE, event.phase),
        local: address(event.local),
        remote: address(event.remote),
        authScheme: event.authScheme,
        subject: event.subject.map(({ type, name }) => ({ type, name })),
      }
    case 'disk_change':
      return {
        oldSrcPath: event.oldSrcPath,
        newSrcPath: event.newSrcPath,
        dev: event.devAlias,
        reason: word(DISK_CHANGE, event.reason),
      }
    case 'tray_change':
      return { dev: event.devAlias, reason: word(TRAY_CHANGE, event.reason) }
    case 'block_job_2':
      return {
        disk: event.dst,
        type: word(BLOCK_JOB_TYPE, event.type),
        status: word(BLOCK_JOB_STATUS, event.status),
      }
    case 'block_threshold':
      return { dev: event.dev, path: event.path, threshold: event.threshold, excess: event.excess }
    case 'device_added':
    case 'device_removed':
    case 'device_removal_failed':
      return { dev: event.devAlias }
    default:
      return guestFields(event)
  }
}

function guestFields(event: EventOf<'domain'>): Data {
  switch (event.kind) {
    case 'agent_lifecycle':
      return { state: word(AGENT_STATE, event.state), reason: word(AGENT_REASON, event.reason) }
    case 'channel_lifecycle':
      return {
        channel: event.channelName,
        state: word(CHANNEL_STATE, event.state),
        reason: word(CHANNEL_REASON, event.reason),
      }
    case 'metadata_change':
      return { type: word(METADATA, event.type), nsuri: event.nsuri }
    case 'memory_failure':
      return {
        recipient: word(FAILURE_RECIPIENT, event.recipient),
        action: word(FAILURE_ACTION, event.action),
        flags: event.flags,
      }
    case 'memory_device_size_change':
      return { dev: event.alias, size: event.size }
    case 'nic_mac_change':
      return { dev: event.alias, oldMAC: event.oldMAC, newMAC: event.newMAC }
    case 'vcpu_removed':
      return { vcpu: event.vcpuid }
    default:
      return {} // reboot, control_error: nothing beside the domain
  }
}

/** The Salt engine calls these details "unknown" because libvirt has none. */
function lifecycle(of: Words, event: number): Data {
  return { event: word(of, event), detail: UNKNOWN }
}

/**
 * The data of an event field by field as the Salt engine has it (salt/engines/libvirt_events.py), in its order, after `uri`.
 * `name`: the event's name in the tag, which is also `event` where the event has no words of its own.
 */
export function eventData(event: LibvirtEvent, uri: string, name: string): Data {
  switch (event.object) {
    case 'domain': {
      const { name: domain, id, uuid } = event.dom
      return { uri, domain: { name: domain, id, uuid }, event: name, ...domainFields(event) }
    }
    case 'network': {
      const network = { name: event.net.name, uuid: event.net.uuid }
      if (event.kind === 'lifecycle') return { uri, network, ...lifecycle(NETWORK, event.event) }
      return { uri, network, event: name, type: word(NETWORK_METADATA, event.type), nsuri: event.nsuri }
    }
    case 'pool': {
      const pool = { name: event.pool.name, uuid: event.pool.uuid }
      if (event.kind === 'lifecycle') return { uri, pool, ...lifecycle(POOL, event.event) }
      return { uri, pool, event: name }
    }
    case 'nodedev': {
      const nodedev = { name: event.dev.name }
      if (event.kind === 'lifecycle') return { uri, nodedev, ...lifecycle(NODEDEV, event.event) }
      return { uri, nodedev, event: name }
    }
    case 'secret': {
      const secret = { uuid: event.secret.uuid }
      if (event.kind === 'lifecycle') return { uri, secret, ...lifecycle(SECRET, event.event) }
      return { uri, secret, event: name }
    }
  }
}

/** The part of the tag that stands for a connection: `qemu+ssh://user@host:1/system?x` is `qemu+ssh/user@host:1/system`. */
export function uriTag(uri: string): string {
  const match = /^([^:/?#]+):(?:\/\/([^/?#]*))?([^?#]*)/.exec(uri)
  if (!match) return uri
  const [, scheme = '', host = '', path = ''] = match
  return [scheme.toLowerCase(), host, path.replaceAll(/^\/+|\/+$/g, '')]
    .filter((part) => part !== '')
    .join('/')
}
