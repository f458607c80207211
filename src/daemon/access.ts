import type { AccessConfig, SocketConfig } from '../config/index.ts'
import type { FiringLimits, ReservedTags, SocketAccess } from '../salt/index.ts'
import { accountNumber } from './accounts.ts'

/** Whoever has none of these bits cannot connect: unix(7). */
const OTHERS_WRITE = 0o022

/** Who may use the sockets, with the numbers of the operating system. */
export interface Access {
  readonly pub: SocketAccess
  readonly pull: SocketAccess
  readonly control: SocketAccess
  /** Absent where every client that can connect may fire every tag. */
  readonly reserved: ReservedTags | undefined
  readonly limits: FiringLimits
}

/**
 * Looks up who is meant.
 *
 * @throws {DaemonError} `ERR_DAEMON_USER` when there is no user or group of a name.
 */
export async function accessOf(config: AccessConfig = {}): Promise<Access> {
  const [pub, pull, control] = await Promise.all([
    socketAccess(config.pub),
    socketAccess(config.pull),
    socketAccess(config.control),
  ])
  const { events_per_second: eventsPerSecond, bytes_per_second: bytesPerSecond } = config.limits ?? {}
  const reserved = await reservedTags(config, pull)
  return { pub, pull, control, reserved, limits: { eventsPerSecond, bytesPerSecond } }
}

async function socketAccess({ mode, owner, group }: SocketConfig = {}): Promise<SocketAccess> {
  return {
    mode,
    owner: owner === undefined ? undefined : await accountNumber('user', owner),
    group: group === undefined ? undefined : await accountNumber('group', group),
  }
}

async function reservedTags(
  { reserved }: AccessConfig,
  pull: SocketAccess,
): Promise<ReservedTags | undefined> {
  if (reserved?.users === 'any') return undefined
  const own = process.getuid?.() ?? 0
  const named = await Promise.all((reserved?.users ?? []).map((name) => accountNumber('user', name)))
  const uids = [...new Set([0, own, ...named])]
  const isOpenToOthers = ((pull.mode ?? 0) & OTHERS_WRITE) !== 0 || !uids.includes(pull.owner ?? own)
  // Where only these can connect, nobody has to be asked who he is.
  return reserved || isOpenToOthers ? { tags: reserved?.tags, uids } : undefined
}
