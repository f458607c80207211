import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** Which bus of a `sock_dir`. */
export interface BusNode {
  /** Default `master`. */
  readonly node?: 'master' | 'minion' | undefined
  /** The minion's id; a minion's bus only. */
  readonly id?: string | undefined
  /** Salt's `hash_type`; default `sha256`. */
  readonly hashType?: string | undefined
}

/** File names of the two sockets: `pub` for subscribers, `pull` for who fires. */
export interface SocketNames {
  readonly pub: string
  readonly pull: string
}

/** The names that Salt gives the sockets; those of a minion hold the first 10 hex digits of the hash of its id. */
export function socketNames(bus: BusNode): SocketNames {
  if (bus.node !== 'minion') return { pub: 'master_event_pub.ipc', pull: 'master_event_pull.ipc' }
  const hash = createHash(bus.hashType ?? 'sha256')
    .update(bus.id ?? '')
    .digest('hex')
    .slice(0, 10)
  return { pub: `minion_event_${hash}_pub.ipc`, pull: `minion_event_${hash}_pull.ipc` }
}

/** The same as paths in `sockDir`. */
export function socketPaths(sockDir: string, bus: BusNode): SocketNames {
  const names = socketNames(bus)
  return { pub: join(sockDir, names.pub), pull: join(sockDir, names.pull) }
}
