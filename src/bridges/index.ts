export { BusToSalt } from './bus-to-salt.ts'
export { BridgeError } from './errors.ts'
export { eventData, uriTag } from './libvirt-event-data.ts'
export { selectKinds, validFilters } from './libvirt-event-names.ts'
export { DEFAULT_TAG_PREFIX } from './libvirt-relay.ts'
export {
  type EngineState,
  type EngineStats,
  LibvirtToBus,
  type LibvirtToBusOptions,
} from './libvirt-to-bus.ts'
