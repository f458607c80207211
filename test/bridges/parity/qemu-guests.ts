import { BootSector, PC } from '../../support/boot-sector.ts'
import { diskXml } from './guests.ts'
import type { Stage } from './stage.ts'

/** What guests do by themselves, each in its own machine code; none has an operating system. */

const WATCHDOG_2S = 14

/** Clock, balloon, a refused unplug, a write beyond a threshold, a watchdog that only tells, an agent that opens its port. */
export async function tricks({ guests, virsh, engines }: Stage): Promise<void> {
  const sector = new BootSector()
    .setClockHour(0x07)
    .outLong(PC.memorySlot, 0)
    .outLong(PC.memoryEvent, 3)
    .outLong(PC.memoryStatus, 1)
    .setBalloon(2048)
    .openConsolePort(1)
    .writeDisk({ drive: 0x81, sector: 1024 })
    .outByte(PC.watchdog, WATCHDOG_2S)
  const disk = diskXml(guests.image('threshold'), { target: 'vdb', order: 2 })
  const xml = guests.xml('tricks', {
    sector,
    memory: `<maxMemory slots='4' unit='MiB'>1024</maxMemory><memory unit='MiB'>64</memory>`,
    more: `<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>`,
    devices: `${disk}<watchdog model='ib700' action='none'/>
      <memory model='dimm'><target><size unit='MiB'>32</size><node>0</node></target></memory>
      <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`,
  })
  await virsh.xml('create --paused', xml)
  await virsh.each('domblkthreshold tricks vdb --threshold 65536', 'resume tricks')
  for (const kind of ['rtc_change', 'balloon_change', 'device_removal_failed', 'block_threshold', 'watchdog'])
    await engines.until({ kind: `domain/${kind}`, of: 'tricks' })
  await engines.until({ kind: 'domain/agent_lifecycle', of: 'tricks', fields: { state: 'connected' } })
  await virsh.each('destroy tricks')
}

/** Suspended to memory, and woken from outside. */
export async function sleeps({ guests, virsh, engines }: Stage): Promise<void> {
  const sector = new BootSector().outWord(PC.sleep, PC.sleepTypes.memory)
  await virsh.xml('create', guests.xml('sleeps', { sector }))
  await engines.until({ kind: 'domain/lifecycle', of: 'sleeps', fields: { event: 'pmsuspended' } })
  await virsh.each('dompmwakeup sleeps')
  await engines.until({ kind: 'domain/lifecycle', of: 'sleeps', fields: { detail: 'wakeup' } })
  await virsh.each('destroy sleeps')
}

/** Suspended to disk, which ends the guest. */
export async function hibernates({ guests, virsh, engines }: Stage): Promise<void> {
  const sector = new BootSector().outWord(PC.sleep, PC.sleepTypes.disk)
  await virsh.xml('create', guests.xml('hibernates', { sector }))
  await engines.until({ kind: 'domain/pmsuspend_disk', of: 'hibernates' })
  await engines.until({ kind: 'domain/lifecycle', of: 'hibernates', fields: { event: 'stopped' } })
}

/** Switches itself off. */
export async function switchesOff({ guests, virsh, engines }: Stage): Promise<void> {
  const sector = new BootSector().outWord(PC.sleep, PC.sleepTypes.off)
  await virsh.xml('create', guests.xml('off', { sector }))
  await engines.until({ kind: 'domain/lifecycle', of: 'off', fields: { event: 'stopped' } })
}

/** Tells of two panics, the first one handled by a crash kernel, and stays as it is. */
export async function panics({ guests, virsh, engines }: Stage): Promise<void> {
  const sector = new BootSector().outByte(PC.panic, 2).outByte(PC.panic, 1)
  const devices = "<panic model='isa'/>"
  await virsh.xml('create', guests.xml('panics', { sector, devices, more: '<on_crash>preserve</on_crash>' }))
  await engines.until({
    kind: 'domain/lifecycle',
    of: 'panics',
    fields: { event: 'crashed', detail: 'panicked' },
  })
  await virsh.each('destroy panics')
}

/** What a watchdog does that nobody feeds; `none` is the one of `tricks`. */
export const WATCHDOGS = ['pause', 'reset', 'poweroff', 'shutdown', 'inject-nmi'] as const

/** A watchdog that nobody feeds. */
export async function watchdog(stage: Stage, action: (typeof WATCHDOGS)[number]): Promise<void> {
  const { guests, virsh, engines } = stage
  const name = `watchdog-${action}`
  const sector = new BootSector().outByte(PC.watchdog, WATCHDOG_2S)
  const devices = `<watchdog model='ib700' action='${action}'/>`
  await virsh.xml('create', guests.xml(name, { sector, devices }))
  await engines.until({ kind: 'domain/watchdog', of: name })
  if (action === 'reset') await engines.until({ kind: 'domain/reboot', of: name })
  if (action === 'pause')
    await engines.until({ kind: 'domain/lifecycle', of: name, fields: { event: 'suspended' } })
  if (action !== 'poweroff') await virsh.each(`destroy ${name}`)
  await engines.until({ kind: 'domain/lifecycle', of: name, fields: { event: 'stopped' } })
}

/** Writes where no room is left: to a disk that reports, one that ignores, and one that stops the guest. */
export async function fullDisks({ guests, virsh, engines, full }: Stage): Promise<void> {
  const policies = ['report', 'ignore', 'stop']
  const sector = new BootSector()
  for (const index of policies.keys()) sector.writeDisk({ drive: 0x81 + index, sector: 1024 })
  const disks = policies.map((errors, index) =>
    diskXml(`${full}/${errors}`, { target: `vd${'bcd'[index]}`, order: index + 2, errors }),
  )
  await virsh.xml('create', guests.xml('full', { sector, devices: disks.join('') }))
  await engines.until({
    kind: 'domain/lifecycle',
    of: 'full',
    fields: { event: 'suspended', detail: 'ioerror' },
  })
  await virsh.each('destroy full')
}
