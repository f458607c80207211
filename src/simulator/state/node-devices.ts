import { enums } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'
import { assertName } from './domain.ts'
import type { Emit } from './event.ts'
import { escapeXml } from './xml.ts'

const { virNodeDeviceEventLifecycleType: EVENT, virErrorNumber } = enums

/** One device of the host. */
export interface NodeDevice {
  readonly name: string
  /** Name of the device it hangs on; null for the computer. */
  readonly parent: string | null
  /** What it is, as in `<capability type=…>`: `pci`, `net`, `usb_device` … */
  readonly capability: string
}

/** The devices of the simulated host. Refusals: `VIR_ERR_NO_NODE_DEVICE`, `VIR_ERR_OPERATION_FAILED`. */
export class NodeDevices {
  readonly #emit: Emit
  readonly #byName = new Map<string, NodeDevice>()

  constructor(emit: Emit) {
    this.#emit = emit
  }

  list(): NodeDevice[] {
    return [...this.#byName.values()]
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  byName(name: string): NodeDevice {
    const device = this.#byName.get(name)
    if (device) return device
    throw refusal(virErrorNumber.VIR_ERR_NO_NODE_DEVICE, `no node device with matching name '${name}'`)
  }

  /** A device appears. */
  add(device: NodeDevice): void {
    assertName(device.name)
    if (this.#byName.has(device.name))
      throw refusal(
        virErrorNumber.VIR_ERR_OPERATION_FAILED,
        `operation failed: node device '${device.name}' exists`,
      )
    this.#byName.set(device.name, device)
    this.#lifecycle(device.name, EVENT.VIR_NODE_DEVICE_EVENT_CREATED)
  }

  /** A device is gone. */
  remove(name: string): void {
    this.#byName.delete(this.byName(name).name)
    this.#lifecycle(name, EVENT.VIR_NODE_DEVICE_EVENT_DELETED)
  }

  /** A property of a device has changed. */
  update(name: string): void {
    this.#emit({ object: 'nodedev', kind: 'update', dev: { name: this.byName(name).name } })
  }

  #lifecycle(name: string, event: number): void {
    this.#emit({ object: 'nodedev', kind: 'lifecycle', dev: { name }, event, detail: 0 })
  }
}

/** The description of a device as `virsh nodedev-dumpxml` shows it. */
export function nodeDeviceXml(device: NodeDevice): string {
  const parent = device.parent === null ? [] : [`  <parent>${escapeXml(device.parent)}</parent>`]
  return [
    '<device>',
    `  <name>${escapeXml(device.name)}</name>`,
    ...parent,
    `  <capability type='${escapeXml(device.capability)}'>`,
    '  </capability>',
    '</device>',
    '',
  ].join('\n')
}
