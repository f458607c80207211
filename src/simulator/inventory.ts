import { createHash } from 'node:crypto'
import type { Hypervisor } from './hypervisor.ts'

const ROLES = ['web', 'db', 'cache', 'queue', 'mail', 'build', 'dns', 'proxy'] as const

/** Name of the guest at `index`: `web-1`, `db-1`, … `web-2` … */
function guestName(index: number): string {
  return `${ROLES[index % ROLES.length]}-${Math.floor(index / ROLES.length) + 1}`
}

/** A UUID that follows from a name, so that one inventory is the same in each run. */
function uuidOfName(name: string): string {
  const hex = createHash('sha256').update(`simulator/${name}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/**
 * Fills a hypervisor: `domains` guests of which three in four run, network and pool `default`, a few devices, no secret.
 * Names and UUIDs follow from the index alone.
 */
export function fillInventory(hypervisor: Hypervisor, options: { domains: number }): void {
  for (let index = 0; index < options.domains; index++) {
    const name = guestName(index)
    const memoryMaxKib = 1_048_576 * (1 + (index % 4))
    const domain = hypervisor.domains.define({
      name,
      uuid: uuidOfName(`domain/${name}`),
      vcpus: 1 + (index % 4),
      memoryMaxKib,
      devicesXml: devicesXml(name, index),
    })
    if (index % 4 !== 3) hypervisor.domains.start(domain)
  }
  const { networks, pools, nodeDevices } = hypervisor
  const networkUuid = uuidOfName('network/default')
  networks.start(networks.defineXml(`<network><name>default</name><uuid>${networkUuid}</uuid></network>`))
  const poolUuid = uuidOfName('pool/default')
  const pool = `<pool type='dir'><name>default</name><uuid>${poolUuid}</uuid>`
  pools.start(pools.defineXml(`${pool}<target><path>/var/lib/libvirt/images</path></target></pool>`))
  nodeDevices.add({ name: 'computer', parent: null, capability: 'system' })
  nodeDevices.add({ name: 'pci_0000_00_1f_2', parent: 'computer', capability: 'pci' })
  nodeDevices.add({ name: 'pci_0000_02_00_0', parent: 'computer', capability: 'pci' })
  nodeDevices.add({ name: 'net_eth0_52_54_00_12_34_56', parent: 'pci_0000_02_00_0', capability: 'net' })
  nodeDevices.add({ name: 'usb_1_1', parent: 'computer', capability: 'usb_device' })
}

function devicesXml(name: string, index: number): string {
  const mac = `52:54:00:${[index >> 16, index >> 8, index].map((part) => (part & 0xff).toString(16).padStart(2, '0')).join(':')}`
  return [
    '<devices>',
    `    <disk type='file' device='disk'>`,
    `      <source file='/var/lib/libvirt/images/${name}.qcow2'/>`,
    `      <target dev='vda' bus='virtio'/>`,
    `    </disk>`,
    `    <interface type='network'>`,
    `      <mac address='${mac}'/>`,
    `      <source network='default'/>`,
    `    </interface>`,
    '  </devices>',
  ].join('\n')
}
