export { BusToSalt } from './bus-to-salt.ts'
export { BridgeError } from './errors.ts'
export type { Enrichment, GuestFilter, MetadataFilter } from './guest-selection.ts'
export { reasonName, STATE_NUMBERS, stateName, stateText } from './guest-words.ts'
export { eventData, uriTag } from './libvirt-event-data.ts'
export { selectKinds, validFilters } from './libvirt-event-names.ts'
export { LibvirtGuestSource, listGuests } from './libvirt-guests.ts'
export { DEFAULT_TAG_PREFIX } from './libvirt-relay.ts'
export {
  type EngineState,
  type EngineStats,
  LibvirtToBus,
  type LibvirtToBusOptions,
} from './libvirt-to-bus.ts'
