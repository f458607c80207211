import { controlPath } from '../daemon/index.ts'
import type { BusOptions } from './bus-options.ts'
import { ownSockDir } from './sock-dir.ts'

/** Where the running virbus answers that a command asks. */
export function controlOf({ sockDir = ownSockDir(), minionId }: BusOptions): string {
  return controlPath(sockDir, minionId)
}
