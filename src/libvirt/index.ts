export type { Credentials, CredentialsRequest, CredentialsSource } from './authenticate.ts'
export type { Caller, CallOptions } from './caller.ts'
export type { ClientEnvironment } from './client-config.ts'
export {
  Connection,
  type ConnectionState,
  type ConnectionStats,
  type ConnectOptions,
  connect,
  type EventOptions,
} from './connection.ts'
export { LibvirtError, type LibvirtErrorCode } from './errors.ts'
export type { EventFilter, EventKindName, EventObject, FilteredEvent } from './event-filter.ts'
export type { ConnectionEvent, EventStream, SkippedKind } from './event-hub.ts'
export type { Keepalive } from './link.ts'
export { nameOf } from './name-of.ts'
export {
  type BlockJobInfo,
  type Description,
  type DescriptionValue,
  Domain,
  type DomainInfo,
  DomainSnapshot,
  type DomainStats,
  type FlagOptions,
  Network,
  NodeDevice,
  type NodeInfo,
  parseDescription,
  Secret,
  type SettableParams,
  StoragePool,
  StorageVolume,
  type TypedParams,
  type TypedValue,
  type VolumeRange,
} from './objects/index.ts'
export {
  encodePacket,
  PACKET_BODY_OFFSET,
  PACKET_BYTES_MAX,
  type Packet,
  PacketDecoder,
  type PacketHeader,
} from './packets.ts'
export * as enums from './protocol/enums.gen.ts'
export { EVENT_KINDS, type EventKind, type LibvirtEvent } from './protocol/events.gen.ts'
export type { MessageType, Procedure } from './protocol/procedure.ts'
export { VOID } from './protocol/procedure.ts'
export * as remote from './protocol/remote.gen.ts'
export * as rpc from './protocol/rpc.gen.ts'
export type { RpcStats } from './rpc-client.ts'
