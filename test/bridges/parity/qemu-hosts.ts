import { join } from 'node:path'
import { BootSector } from '../../support/boot-sector.ts'
import { PYTHON } from '../../support/peers.ts'
import type { Engines } from './engines.ts'
import type { Stage } from './stage.ts'

const ROUNDS_MAX = 5
const UDEV_SEND = join(import.meta.dirname, '../../support/udev_send.py')

/** What happens between two hosts, and to the devices of one. */

/** Whether one of these is about a guest that runs, or stops, because of a postcopy. */
function hasPostcopy({ ours }: Engines, event: string): boolean {
  return ours.some(({ data }) => data['event'] === event && data['detail'] === 'postcopy')
}

/**
 * A guest moves from one host to the other and back, defined there and no longer here. It changes its memory faster than
 * that can be copied, so that on the way out it runs there before all of it has come; on the way back it stands still.
 * Where the machine is so busy that the guest does not come to that in time, it goes again.
 */
export async function migrates(here: Stage, there: Stage): Promise<void> {
  const sector = new BootSector().setClockHour(0x07).rewriteMemory()
  await here.virsh.xml('define', here.guests.xml('moves', { sector }))
  await here.virsh.each('start moves')
  // The guest has come to its program.
  await here.engines.until({ kind: 'domain/rtc_change', of: 'moves' })
  const to = (host: Stage, way: string): string =>
    `migrate moves --desturi ${host.uri} --migrateuri unix://${here.guests.dir}/${way} --unsafe --persistent --undefinesource`
  const slowly = '--live --postcopy --postcopy-after-precopy --bandwidth 1 --postcopy-bandwidth 1'
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    await here.virsh.each('migrate-setmaxdowntime moves 1', `${to(there, `out${round}`)} ${slowly}`)
    await there.virsh.each(to(here, `back${round}`))
    const fields = { event: 'resumed', detail: 'migrated' }
    await here.engines.until({ kind: 'domain/lifecycle', of: 'moves', fields }, round)
    if (hasPostcopy(here.engines, 'suspended') && hasPostcopy(there.engines, 'resumed')) break
  }
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
