import { SaltEventClient } from '../salt/index.ts'
import { ownSockDir } from './sock-dir.ts'

/** Which bus a command talks to. */
export interface BusOptions {
  readonly sockDir?: string
  readonly minionId?: string
  readonly wire?: 'classic' | 'prefixed' | 'split'
}

/** Connects to the sockets of a bus: ours or a Salt daemon's. */
export function connectBus(options: BusOptions, signal?: AbortSignal): Promise<SaltEventClient> {
  const sockDir = options.sockDir ?? ownSockDir()
  return SaltEventClient.connect({
    sockDir,
    ...(options.minionId === undefined ? { node: 'master' } : { node: 'minion', id: options.minionId }),
    ...(options.wire === undefined ? {} : { dialect: options.wire }),
    signal,
  })
}
