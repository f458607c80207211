import { join } from 'node:path'
import { PYTHON } from '../../support/peers.ts'
import type { Stage } from './stage.ts'

const UDEV_SEND = join(import.meta.dirname, '../../support/udev_send.py')

/** What happens between two hosts, and to the devices of one. */

/** A guest moves from one host to the other and back, defined there and no longer here. */
export async function migrates(here: Stage, there: Stage): Promise<void> {
  await here.virsh.xml('define', here.guests.xml('moves'))
  await here.virsh.each('start moves')
  const to = (host: Stage, how: string): string =>
    `migrate moves --desturi ${host.uri} --migrateuri unix://${here.guests.dir}/${how} --unsafe --persistent --undefinesource`
  await here.virsh.each(`${to(there, 'out')} --live`)
  await there.virsh.each(to(here, 'back'))
  await here.engines.until({
    kind: 'domain/lifecycle',
    of: 'moves',
    fields: { event: 'resumed', detail: 'migrated' },
  })
  await here.virsh.each('destroy moves', 'undefine moves')
}

/** The loopback interface changes, goes and comes, as far as udev tells: a device that every machine has. */
export async function nodeDevices({ engines, virsh, inside }: Stage): Promise<void> {
  const listed = await virsh.run('nodedev-list', '--cap', 'net')
  const of = listed.split('\n').find((name) => name.startsWith('net_lo_')) ?? 'none'
  const steps = { change: 'update', remove: 'deleted', add: 'created' }
  for (const [action, event] of Object.entries(steps)) {
    await inside(PYTHON, UDEV_SEND, action, '/devices/virtual/net/lo', 'net', 'INTERFACE=lo', 'IFINDEX=1')
    const kind = action === 'change' ? 'nodedev/update' : 'nodedev/lifecycle'
    await engines.until({ kind, of, fields: { event } })
  }
}
