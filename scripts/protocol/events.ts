import type { Protocol, PublicEnum } from './parse.ts'

export interface EventKind {
  object: string
  id: number
  kind: string
  since: string
  /** `VIR_…_EVENT_ID_…` */
  event: string
  message: string
}

/** Enum of the ids, prefix of its values, prefixes of the messages in remote_protocol.x (the first that exists is taken). */
const OBJECTS = [
  ['domain', 'virDomainEventID', 'VIR_DOMAIN_EVENT_ID_', ['DOMAIN_EVENT_CALLBACK_', 'DOMAIN_EVENT_']],
  ['network', 'virNetworkEventID', 'VIR_NETWORK_EVENT_ID_', ['NETWORK_EVENT_CALLBACK_', 'NETWORK_EVENT_']],
  ['pool', 'virStoragePoolEventID', 'VIR_STORAGE_POOL_EVENT_ID_', ['STORAGE_POOL_EVENT_']],
  ['nodedev', 'virNodeDeviceEventID', 'VIR_NODE_DEVICE_EVENT_ID_', ['NODE_DEVICE_EVENT_']],
  ['secret', 'virSecretEventID', 'VIR_SECRET_EVENT_ID_', ['SECRET_EVENT_']],
] as const

export function eventKinds(enums: readonly PublicEnum[], remote: Protocol): EventKind[] {
  const procedures = new Set((remote.enums.get('remote_procedure') ?? []).map((entry) => entry.name))
  return OBJECTS.flatMap(([object, enumName, prefix, messagePrefixes]) => {
    const values = enums.find((e) => e.name === enumName)?.values
    if (!values) throw new Error(`no ${enumName} in the headers`)
    return values.map((value) => {
      const kind = value.name.slice(prefix.length)
      const message = messagePrefixes
        .map((p) => `REMOTE_PROC_${p}${kind}`)
        .find((name) => procedures.has(name))
      if (!message) throw new Error(`no message for ${value.name}`)
      return {
        object,
        id: value.value,
        kind: kind.toLowerCase(),
        since: value.since,
        event: value.name,
        message,
      }
    })
  })
}
