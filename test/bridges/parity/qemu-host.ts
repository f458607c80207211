import { rmSync, writeFileSync } from 'node:fs'
import { freePort } from '../../support/libvirtd.ts'
import { visitVnc } from '../../support/vnc.ts'
import { diskXml } from './guests.ts'
import type { Stage } from './stage.ts'

/** How often a guest that cannot start is started, and how long its event may take, in milliseconds. */
const STARTS_MAX = 20
const STARTED_MS = 2000

/** What is done to guests from outside, by virsh. */

function cdromXml(file: string): string {
  return `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='${file}' startupPolicy='optional'/>
    <target dev='hdc' bus='ide'/><readonly/></disk>`
}

/** A viewer, a tray, a disk that comes and goes, limits, metadata, a reset. */
export async function devices({ guests, virsh, engines }: Stage): Promise<void> {
  const [cd, other, hot] = ['cd', 'other', 'hot'].map((name) => guests.image(name))
  const vnc = "<graphics type='vnc' autoport='yes' listen='127.0.0.1'/>"
  const disk = diskXml(guests.image('limited'), { target: 'vdb' })
  await virsh.xml('create', guests.xml('devices', { devices: `${cdromXml(`${cd}`)}${disk}${vnc}` }))
  const display = await virsh.run('vncdisplay', 'devices')
  await visitVnc({ host: '127.0.0.1', port: 5900 + Number(display.split(':')[1]) })
  await engines.until({ kind: 'domain/graphics', of: 'devices', fields: { phase: 'disconnect' } })
  await virsh.each('suspend devices', 'resume devices', 'desc devices --live --title title')
  await virsh.run('desc', 'devices', '--live', '--new-desc', 'Übersicht')
  await virsh.run(
    'metadata',
    'devices',
    '--uri',
    'http://example.org/é',
    '--key',
    'k',
    '--set',
    '<a/>',
    '--live',
  )
  const usb = `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${hot}'/>
    <target dev='sdq' bus='usb'/></disk>`
  await virsh.xml('attach-device devices', usb, '--live')
  await virsh.xml('detach-device devices', usb, '--live')
  await engines.until({ kind: 'domain/device_removed', of: 'devices' })
  await virsh.each('change-media devices hdc --eject --force')
  await virsh.each(`change-media devices hdc ${other} --insert --force`)
  await virsh.each('blkdeviotune devices vdb --total-bytes-sec 1000000 --group-name all')
  await virsh.each(
    'blkdeviotune devices vdb --total-bytes-sec 0',
    'vcpupin devices 0 0',
    'emulatorpin devices 0',
  )
  await virsh.each('reset devices')
  await engines.until({ kind: 'domain/reboot', of: 'devices' })
  await virsh.each('destroy devices')
}

/** Copies of a running guest's disk, pivoted to, finished, aborted, and one that finds no room. */
export async function copies({ guests, virsh, engines, full }: Stage): Promise<void> {
  const disk = diskXml(guests.image('copied', 'qcow2'), { target: 'vdb', format: 'qcow2' })
  await virsh.xml('create', guests.xml('copies', { devices: disk }))
  const copy = (name: string): string =>
    `blockcopy copies vdb --dest ${guests.dir}/${name} --format qcow2 --transient-job`
  await virsh.each(
    `${copy('pivoted')} --wait --pivot`,
    `${copy('finished')} --wait --finish`,
    copy('aborted'),
  )
  await engines.until({ kind: 'domain/block_job', of: 'copies', fields: { status: 'ready' } }, 3)
  await virsh.each('blockjob copies vdb --abort')
  await virsh.each(`blockcopy copies vda --dest ${full}/copy --format raw --transient-job`)
  await engines.until({ kind: 'domain/block_job', of: 'copies', fields: { status: 'failed' } })
  await virsh.each('destroy copies')
}

/** Snapshots of a disk, committed and pulled together, and a backup. */
export async function overlays({ guests, virsh, engines }: Stage): Promise<void> {
  const { dir } = guests
  const disk = diskXml(guests.image('base', 'qcow2'), { target: 'vdb', format: 'qcow2' })
  await virsh.xml('create', guests.xml('overlays', { devices: disk }))
  for (const name of ['one', 'two', 'three', 'four']) {
    const spec = `--diskspec vda,snapshot=no --diskspec vdb,snapshot=external,file=${dir}/${name}`
    await virsh.each(`snapshot-create-as overlays ${name} --disk-only ${spec} --no-metadata`)
  }
  await virsh.each(`blockcommit overlays vdb --base ${dir}/three --active --wait --pivot`)
  await virsh.each(`blockcommit overlays vdb --top ${dir}/two --base ${dir}/one --wait`)
  await virsh.each('blockpull overlays vdb --wait')
  const backup = `<domainbackup><disks><disk name='vda' backup='no'/><disk name='vdb' backup='yes' type='file'>
    <target file='${dir}/backup'/><driver type='qcow2'/></disk></disks></domainbackup>`
  await virsh.xml('backup-begin overlays', backup)
  await engines.until({ kind: 'domain/block_job', of: 'overlays', fields: { type: 'backup' } })
  await virsh.each('destroy overlays')
}

/** Saved and restored, both ways, once to stay paused; dumped, and dumped as one that crashed. */
export async function saves({ guests, virsh }: Stage): Promise<void> {
  const agent = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
  const { dir } = guests
  await virsh.xml('define', guests.xml('saves', { devices: agent }))
  await virsh.each('start saves', `save saves ${dir}/saved`, `restore ${dir}/saved --paused`)
  await virsh.each('resume saves', 'managedsave saves', 'start saves', `dump saves ${dir}/core --memory-only`)
  await virsh.each(`dump saves ${dir}/crash --crash`, 'undefine saves')
}

/** Internal snapshots, and ways back to them. */
export async function snapshots({ guests, virsh, engines }: Stage): Promise<void> {
  const socket = `${guests.dir}/vnc`
  const devices = `<graphics type='vnc' socket='${socket}'/>`
  await virsh.xml('define', guests.xml('snapshots', { format: 'qcow2', devices }))
  await virsh.each('start snapshots', 'snapshot-create-as snapshots running')
  await visitVnc({ path: socket })
  await engines.until({ kind: 'domain/graphics', of: 'snapshots', fields: { phase: 'disconnect' } })
  await virsh.each('snapshot-revert snapshots running', 'suspend snapshots')
  await virsh.each('snapshot-revert snapshots running', 'snapshot-revert snapshots running --paused')
  await virsh.each('destroy snapshots', 'snapshot-revert snapshots running')
  await virsh.each('snapshot-delete snapshots running', 'destroy snapshots', 'undefine snapshots')
}

/** Defined, changed, renamed; started without the medium and the disk that it should have; its emulator killed. */
export async function life(stage: Stage): Promise<void> {
  const { guests, virsh, engines } = stage
  const gone = ['medium', 'dropped'].map((name) => guests.image(name))
  const disk = diskXml(`${gone[1]}`, { target: 'vdb', policy: 'optional' })
  const xml = guests.xml('life', { devices: `${cdromXml(`${gone[0]}`)}${disk}` })
  await virsh.xml('define', xml)
  const uuid = await virsh.run('domuuid', 'life')
  await virsh.xml('define', xml.replace('</name>', `</name><uuid>${uuid}</uuid>`))
  for (const path of gone) rmSync(path)
  await virsh.each('domrename life lebenslänglich', 'domrename lebenslänglich life', 'start life')
  process.kill(stage.pidOf('life') ?? Number.NaN, 'SIGKILL')
  const fields = { event: 'stopped', detail: 'failed' }
  await engines.until({ kind: 'domain/lifecycle', of: 'life', fields })
  await virsh.each('undefine life')
}

/**
 * A guest whose emulator ends before it is up: nobody serves its disk. Whether libvirtd meets an error of the monitor, which makes the
 * event, or its orderly end, which makes none, is a race of the two processes; so it is tried until it was the error.
 */
export async function failsToStart({ guests, virsh, engines }: Stage): Promise<void> {
  const port = await freePort()
  const devices = `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
    <source protocol='nbd' name='x'><host name='127.0.0.1' port='${port}'/></source><target dev='vdb' bus='virtio'/></disk>`
  const awaited = { kind: 'domain/control_error', of: 'broken' }
  for (let attempt = 0; attempt < STARTS_MAX; attempt++) {
    const started = virsh.xml('create', guests.xml('broken', { devices }))
    await started.then(
      () => Promise.reject(new Error('the guest without its disk runs')),
      () => {},
    )
    if (await engines.tell(awaited, STARTED_MS)) return
  }
  await engines.until(awaited)
}

/** Networks, pools and secrets. */
export async function objects({ guests, virsh, engines }: Stage): Promise<void> {
  const bridge = "<forward mode='bridge'/><bridge name='vb-none'/>"
  await virsh.xml('net-define', `<network><name>net</name>${bridge}</network>`)
  await virsh.each('net-start net', 'net-destroy net', 'net-undefine net')
  const target = `<target><path>${guests.dir}/pool</path></target>`
  await virsh.xml('pool-define', `<pool type='dir'><name>pool</name>${target}</pool>`)
  await virsh.each('pool-build pool', 'pool-start pool', 'pool-refresh pool', 'pool-destroy pool')
  await virsh.each('pool-delete pool', 'pool-undefine pool')
  const uuid = '1e000000-0000-4000-8000-0000000000aa'
  const usage = "<usage type='volume'><volume>/a volume</volume></usage>"
  await virsh.xml('secret-define', `<secret><uuid>${uuid}</uuid>${usage}</secret>`)
  const value = `${guests.dir}/value`
  writeFileSync(value, 'secret')
  await virsh.each(`secret-set-value ${uuid} --file ${value} --plain`, `secret-undefine ${uuid}`)
  await engines.until({ kind: 'secret/lifecycle', of: uuid, fields: { event: 'undefined' } })
}
