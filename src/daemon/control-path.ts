import { socketPaths } from '../salt/index.ts'

/** Where a virbus answers commands: beside the pair of Salt's sockets that it serves, under a name of the same form. */
export function controlPath(sockDir: string, minionId?: string): string {
  const { pub } = socketPaths(sockDir, minionId === undefined ? {} : { node: 'minion', id: minionId })
  return pub.replace(/_pub\.ipc$/, '_control.sock')
}
