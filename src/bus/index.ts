export { Bus, type BusStats, type SubscribeOptions } from './bus.ts'
export { BusError } from './errors.ts'
export { BusEvent, type EventData, type PayloadCodec } from './event.ts'
