export { BridgeError, LibvirtToBus, type LibvirtToBusOptions } from './bridges/index.ts'
export { Bus, BusError, BusEvent, type EventData, type PayloadCodec } from './bus/index.ts'
export { VirbusError } from './core/errors.ts'
export { Daemon, type DaemonOptions, msgpackCodec } from './daemon/index.ts'
export { Connection, type ConnectOptions, connect, LibvirtError, type LibvirtEvent } from './libvirt/index.ts'
export {
  EventPublisher,
  EventPuller,
  SaltError,
  SaltEvent,
  SaltEventClient,
  WireEvent,
} from './salt/index.ts'
export { Activity, Simulator, type SimulatorOptions } from './simulator/index.ts'
