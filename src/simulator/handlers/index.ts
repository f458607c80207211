import { CONNECT_HANDLERS, EVENT_HANDLERS } from './connect.ts'
import { DOMAIN_HANDLERS } from './domain.ts'
import { DOMAIN_LIST_HANDLERS } from './domain-lists.ts'
import type { Handler } from './handler.ts'
import { NETWORK_HANDLERS } from './network.ts'
import { NODE_DEVICE_HANDLERS } from './node-device.ts'
import { POOL_HANDLERS } from './pool.ts'
import { SECRET_HANDLERS } from './secret.ts'

/** Every procedure that the simulator has, by its number. */
export const HANDLERS: ReadonlyMap<number, Handler> = new Map(
  [
    ...CONNECT_HANDLERS,
    ...EVENT_HANDLERS,
    ...DOMAIN_HANDLERS,
    ...DOMAIN_LIST_HANDLERS,
    ...NETWORK_HANDLERS,
    ...POOL_HANDLERS,
    ...NODE_DEVICE_HANDLERS,
    ...SECRET_HANDLERS,
  ].map((handler) => [handler.number, handler]),
)
