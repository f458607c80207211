import { enums, type remote } from '../../../src/libvirt/index.ts'
import type { EventBody } from '../../../src/simulator/index.ts'

type Fields = Readonly<Record<string, unknown>>

const UUID = '1e000000-0000-4000-8000-00000000000a'
const DOM: remote.RemoteNonnullDomain = { name: 'guest', uuid: UUID, id: 7 }
const TEXTS = ['', ' ', 'zoë', '日本語', '🦆', '"\\/\u0001\n\t', 'x'.repeat(10_000)]
const SIGNED = [0, -1, 2 ** 31, Number.MIN_SAFE_INTEGER, 2n ** 63n - 1n, -(2n ** 63n)]
const UNSIGNED = [0, 2 ** 32, Number.MAX_SAFE_INTEGER, 2n ** 53n + 1n, 2n ** 63n - 1n]
const INTS = [0, -1, 2 ** 31 - 1, -(2 ** 31)]

/** All numbers of an enum, and numbers that no release has. */
function numbersOf(values: Readonly<Record<string, number>>): number[] {
  return [...Object.values(values), 99, -1, 2 ** 31 - 1]
}

/** One event for each value of each field, the other fields as in `usual`. */
function vary(usual: Fields, variations: Readonly<Record<string, readonly unknown[]>>): EventBody[] {
  const events = Object.entries(variations).flatMap(([name, values]) =>
    values.map((value) => ({ ...usual, [name]: value })),
  )
  return [usual, ...events] as unknown[] as EventBody[] // each caller names the fields of one kind
}

function domain(kind: string, usual: Fields, variations: Readonly<Record<string, readonly unknown[]>> = {}) {
  return vary({ object: 'domain', kind, dom: DOM, ...usual }, variations)
}

const DETAILS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  DEFINED: enums.virDomainEventDefinedDetailType,
  UNDEFINED: enums.virDomainEventUndefinedDetailType,
  STARTED: enums.virDomainEventStartedDetailType,
  SUSPENDED: enums.virDomainEventSuspendedDetailType,
  RESUMED: enums.virDomainEventResumedDetailType,
  STOPPED: enums.virDomainEventStoppedDetailType,
  SHUTDOWN: enums.virDomainEventShutdownDetailType,
  PMSUSPENDED: enums.virDomainEventPMSuspendedDetailType,
  CRASHED: enums.virDomainEventCrashedDetailType,
}

function lives(): EventBody[] {
  const known = Object.entries(enums.virDomainEventType).flatMap(([name, event]) => {
    const details = DETAILS[name.slice('VIR_DOMAIN_EVENT_'.length)] ?? {}
    return domain('lifecycle', { event, detail: 0 }, { detail: numbersOf(details) })
  })
  const doms = [...TEXTS.map((name) => ({ ...DOM, name })), ...INTS.map((id) => ({ ...DOM, id }))]
  return [...known, ...domain('lifecycle', { event: 0, detail: 0 }, { event: [99, -1], dom: doms })]
}

/** One parameter of each type with each value that is at an edge of it, alone, and all of them at once. */
function parameterLists(): remote.RemoteTypedParam[][] {
  const types = enums.virTypedParameterType
  const values: readonly (readonly [number, readonly (number | bigint | string)[]])[] = [
    [types.VIR_TYPED_PARAM_INT, INTS],
    [types.VIR_TYPED_PARAM_UINT, [0, 2 ** 32 - 1]],
    [types.VIR_TYPED_PARAM_LLONG, SIGNED],
    [types.VIR_TYPED_PARAM_ULLONG, [...UNSIGNED, 2n ** 64n - 1n]],
    [types.VIR_TYPED_PARAM_DOUBLE, [0, -0, 1, -2.5, 1e300, 5e-324, 2 ** 53]],
    [types.VIR_TYPED_PARAM_BOOLEAN, [0, 1]],
    [types.VIR_TYPED_PARAM_STRING, TEXTS],
  ]
  const all = values.flatMap(([type, of]) =>
    of.map((value, index) => ({ field: `type${type}.value${index}`, value: { type, value } })),
  )
  const twice = ['one', 'other', 'one'].map((field, value) => ({
    field,
    value: { type: types.VIR_TYPED_PARAM_INT, value },
  }))
  const named = ['__proto__', 'é', ' '].map((field) => ({
    field,
    value: { type: types.VIR_TYPED_PARAM_INT, value: 1 },
  }))
  return [[], all, twice, named, ...all.map((one) => [one])]
}

function graphics(): EventBody[] {
  const address = { family: 0, node: '127.0.0.1', service: '5900' }
  const families = numbersOf(enums.virDomainEventGraphicsAddressType).map((family) => ({
    ...address,
    family,
  }))
  const words = TEXTS.map((text) => ({ family: 2, node: text, service: text }))
  const usual = { phase: 0, local: address, remote: address, authScheme: 'vnc', subject: [] }
  const identities = TEXTS.map((text) => ({ type: `type ${text}`, name: text }))
  return domain('graphics', usual, {
    phase: numbersOf(enums.virDomainEventGraphicsPhase),
    local: [...families, ...words],
    remote: [...families, ...words],
    authScheme: TEXTS,
    subject: [identities.slice(0, 1), identities],
  })
}

function disks(): EventBody[] {
  const error = { srcPath: '/disk', devAlias: 'virtio-disk0', action: 0, reason: '' }
  const change = { oldSrcPath: '/old', newSrcPath: '/new', devAlias: 'ide0-0-0', reason: 0 }
  const threshold = { dev: 'vda', path: '/disk', threshold: 1, excess: 1 }
  return [
    ...domain('io_error_reason', error, {
      srcPath: TEXTS,
      devAlias: TEXTS,
      action: numbersOf(enums.virDomainEventIOErrorAction),
      reason: ['enospc', ...TEXTS],
    }),
    ...domain('disk_change', change, {
      oldSrcPath: [null, ...TEXTS],
      newSrcPath: [null, ...TEXTS],
      devAlias: TEXTS,
      reason: numbersOf(enums.virConnectDomainEventDiskChangeReason),
    }),
    ...domain(
      'tray_change',
      { devAlias: 'ide0-0-0', reason: 0 },
      { devAlias: TEXTS, reason: numbersOf(enums.virDomainEventTrayChangeReason) },
    ),
    ...domain(
      'block_job_2',
      { dst: 'vda', type: 1, status: 0 },
      {
        dst: TEXTS,
        type: numbersOf(enums.virDomainBlockJobType),
        status: numbersOf(enums.virConnectDomainEventBlockJobStatus),
      },
    ),
    ...domain('block_threshold', threshold, {
      dev: TEXTS,
      path: [null, ...TEXTS],
      threshold: [...UNSIGNED, 2n ** 64n - 1n],
      excess: [...UNSIGNED, 2n ** 64n - 1n],
    }),
  ]
}

function others(): EventBody[] {
  const aliases = { devAlias: TEXTS }
  return [
    ...domain('reboot', {}),
    ...domain('control_error', {}),
    ...domain('rtc_change', { offset: 1 }, { offset: SIGNED }),
    ...domain('watchdog', { action: 0 }, { action: numbersOf(enums.virDomainEventWatchdogAction) }),
    ...['pmwakeup', 'pmsuspend', 'pmsuspend_disk'].flatMap((kind) =>
      domain(kind, { reason: 0 }, { reason: INTS }),
    ),
    ...domain('balloon_change', { actual: 1 }, { actual: [...UNSIGNED, 2n ** 64n - 1n] }),
    ...['device_added', 'device_removed', 'device_removal_failed'].flatMap((kind) =>
      domain(kind, { devAlias: 'disk' }, aliases),
    ),
    ...domain('tunable', { params: [] }, { params: parameterLists() }),
    ...domain('job_completed', { params: [] }, { params: parameterLists() }),
    ...domain(
      'agent_lifecycle',
      { state: 1, reason: 0 },
      {
        state: numbersOf(enums.virConnectDomainEventAgentLifecycleState),
        reason: numbersOf(enums.virConnectDomainEventAgentLifecycleReason),
      },
    ),
    ...domain('migration_iteration', { iteration: 1 }, { iteration: INTS }),
    ...domain(
      'metadata_change',
      { type: 0, nsuri: null },
      { type: numbersOf(enums.virDomainMetadataType), nsuri: TEXTS },
    ),
  ]
}

function objects(): EventBody[] {
  const names = TEXTS.map((name) => ({ name, uuid: UUID }))
  const [name] = names
  const named = { object: 'network', kind: 'lifecycle', net: name, event: 0, detail: 0 }
  const pool = { object: 'pool', pool: name }
  const dev = { object: 'nodedev', dev: name }
  const secret = { object: 'secret', secret: { uuid: UUID, usageType: 0, usageID: '' } }
  const secrets = [{ uuid: UUID, usageType: 2, usageID: 'zoë' }]
  const lifecycle = { kind: 'lifecycle', event: 0, detail: 0 }
  return [
    ...vary(named, { net: names, event: numbersOf(enums.virNetworkEventLifecycleType), detail: INTS }),
    ...vary(
      { ...pool, ...lifecycle },
      { pool: names, event: numbersOf(enums.virStoragePoolEventLifecycleType), detail: INTS },
    ),
    ...vary({ ...pool, kind: 'refresh' }, { pool: names }),
    ...vary(
      { ...dev, ...lifecycle },
      { dev: names, event: numbersOf(enums.virNodeDeviceEventLifecycleType), detail: INTS },
    ),
    ...vary({ ...dev, kind: 'update' }, { dev: names }),
    ...vary(
      { ...secret, ...lifecycle },
      { secret: secrets, event: numbersOf(enums.virSecretEventLifecycleType), detail: INTS },
    ),
    ...vary({ ...secret, kind: 'value_changed' }, { secret: secrets }),
  ]
}

/** Every kind of the Salt engine with every number of its enums and the edges of its other fields. */
export function variations(): EventBody[] {
  return [...lives(), ...graphics(), ...disks(), ...others(), ...objects()]
}
