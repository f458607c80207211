export { DATETIME_EXT, decodeDatetime, encodeDatetime } from './datetime.ts'
export { SaltError, type SaltErrorCode } from './errors.ts'
export { TAG_BYTES_MAX } from './ipc/body.ts'
export {
  EVENTS_QUEUED_MAX,
  type EventsOptions,
  SaltEventClient,
  type SaltEventClientOptions,
} from './ipc/client.ts'
export { DIALECTS, type Dialect, type Framing, pubFraming, pullFraming } from './ipc/dialect.ts'
export type { FiringLimits } from './ipc/firing-client.ts'
export { FrameBatch, MESSAGE_BYTES_MAX } from './ipc/frame.ts'
export { FramingMemory } from './ipc/framing-memory.ts'
export { PROBE_TAG } from './ipc/probe-tag.ts'
export {
  EventPublisher,
  type EventPublisherOptions,
  PENDING_BYTES_MAX,
  PENDING_EVENTS_MAX,
  type PublisherStats,
  type SlowSubscriber,
  SUBSCRIBERS_MAX,
} from './ipc/publisher.ts'
export {
  CLIENTS_MAX,
  EventPuller,
  type EventPullerOptions,
  type PullerStats,
  type ReceivedEvent,
  STALL_MS,
} from './ipc/puller.ts'
export { RESERVED_TAGS, type ReservedTags } from './ipc/reserved-tags.ts'
export { type BusNode, type SocketNames, socketNames, socketPaths } from './ipc/socket-names.ts'
export { MessageSplitter } from './ipc/splitter.ts'
export type { SlowPolicy } from './ipc/subscriber.ts'
export { type SocketAccess, UnixServer, type UnixServerOptions } from './ipc/unix-server.ts'
export {
  type GetEventOptions,
  getEvent,
  type IterEventsOptions,
  MasterEvent,
  MinionEvent,
  SaltEvent,
  type SaltEventOptions,
} from './salt-event.ts'
export { StampClock, type StampForm } from './stamp.ts'
export { type MatchType, tagMatcher } from './tag-match.ts'
export { SALT_BASE, TAG_PREFIXES, type TagPrefix, tagify } from './tags.ts'
export { EVENT_BYTES_MAX, TRIMMED } from './trim.ts'
export { WireEvent } from './wire-event.ts'
