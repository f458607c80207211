import { Domains } from './state/domains.ts'
import type { EventBody } from './state/event.ts'
import { Networks } from './state/networks.ts'
import { NodeDevices } from './state/node-devices.ts'
import { Pools } from './state/pools.ts'
import { Secrets } from './state/secrets.ts'

/** What the simulated host consists of. Changes are made through its tables; each reports its events at once, in order. */
export class Hypervisor {
  readonly domains: Domains
  readonly networks: Networks
  readonly pools: Pools
  readonly nodeDevices: NodeDevices
  readonly secrets: Secrets
  readonly #listeners = new Set<(event: EventBody) => void>()

  constructor() {
    const emit = (event: EventBody): void => this.emit(event)
    this.domains = new Domains(emit)
    this.networks = new Networks(emit)
    this.pools = new Pools(emit)
    this.nodeDevices = new NodeDevices(emit)
    this.secrets = new Secrets(emit)
  }

  /** Reports any event to all who registered for it; changes no state. */
  emit(event: EventBody): void {
    for (const listener of this.#listeners) listener(event)
  }

  /** Calls `listener` for each event; the returned function ends that. */
  onEvent(listener: (event: EventBody) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
