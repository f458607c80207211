import type { LibvirtEvent } from '../../libvirt/index.ts'

type Bodies<Event> = Event extends unknown ? Omit<Event, 'callbackID'> : never

/** An event as it happens in the hypervisor: without the callback id, which each registration adds. */
export type EventBody = Bodies<LibvirtEvent>

/** Takes the events of the state tables. */
export type Emit = (event: EventBody) => void
