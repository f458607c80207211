import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BootSector } from '../../support/boot-sector.ts'
import { QEMU } from '../../support/peers.ts'
import { qcow2 } from '../../support/qcow2.ts'

const DISK_BYTES = 1 << 20

/** What a guest has beside its first disk. */
export interface GuestParts {
  /** What it runs; without it, it waits for ever. */
  readonly sector?: BootSector
  readonly format?: 'raw' | 'qcow2'
  /** XML of further devices. */
  readonly devices?: string
  /** XML that takes the place of the memory's. */
  readonly memory?: string
  /** XML beside the devices. */
  readonly more?: string
}

/** A disk as XML: `errors` is what a failed write does, `policy` what a missing file does, `order` its place for the BIOS, which sees no disk without one. */
export function diskXml(
  file: string,
  {
    target,
    order,
    format = 'raw',
    errors = 'stop',
    policy = 'mandatory',
  }: { target: string; order?: number; format?: 'raw' | 'qcow2'; errors?: string; policy?: string },
): string {
  return `<disk type='file' device='disk'><driver name='qemu' type='${format}' error_policy='${errors}'/>
    <source file='${file}' startupPolicy='${policy}'/><target dev='${target}' bus='virtio'/>${order ? `<boot order='${order}'/>` : ''}</disk>`
}

/** Files and XML of guests without an operating system, in one folder. */
export class Guests {
  readonly dir: string

  constructor(dir: string) {
    this.dir = dir
  }

  /** An empty disk image. */
  image(name: string, format: 'raw' | 'qcow2' = 'raw'): string {
    const path = join(this.dir, name)
    const nothing = Buffer.alloc(512)
    writeFileSync(path, format === 'raw' ? Buffer.alloc(DISK_BYTES) : qcow2(nothing, DISK_BYTES))
    return path
  }

  /** Writes a guest's first disk and gives the guest's XML. */
  xml(name: string, parts: GuestParts = {}): string {
    const { sector = new BootSector(), format = 'raw', devices = '', more = '' } = parts
    const disk = join(this.dir, `${name}.${format}`)
    writeFileSync(
      disk,
      format === 'raw' ? Buffer.concat([sector.bytes], DISK_BYTES) : qcow2(sector.bytes, DISK_BYTES),
    )
    const memory = parts.memory ?? "<memory unit='MiB'>32</memory>"
    return `<domain type='qemu'><name>${name}</name>${memory}<vcpu>1</vcpu>
      <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
      <pm><suspend-to-mem enabled='yes'/><suspend-to-disk enabled='yes'/></pm>${more}
      <devices><emulator>${QEMU}</emulator>${diskXml(disk, { target: 'vda', order: 1, format })}
      <controller type='usb' model='piix3-uhci'/>${devices}</devices></domain>`
  }
}
