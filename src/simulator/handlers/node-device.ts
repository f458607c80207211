import { enums, remote } from '../../libvirt/index.ts'
import { type NodeDevice, nodeDeviceXml } from '../state/node-devices.ts'
import { type Handler, handles, listed, passes } from './handler.ts'

const { virConnectListAllNodeDeviceFlags: LIST } = enums

/** The flags of the list call for the capabilities that the simulator has. */
const CAPABILITY_FLAGS: readonly (readonly [flag: number, capability: string])[] = [
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_SYSTEM, 'system'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV, 'pci'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV, 'usb_device'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_INTERFACE, 'usb'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET, 'net'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI_HOST, 'scsi_host'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI_TARGET, 'scsi_target'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_SCSI, 'scsi'],
  [LIST.VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE, 'storage'],
]

/** Devices of the host; only the hypervisor itself changes them. */
export const NODE_DEVICE_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_CONNECT_LIST_ALL_NODE_DEVICES, ({ need_results, flags }, { hypervisor }) => {
    const found = hypervisor.nodeDevices.list().filter((device) => isListed(device, flags))
    const { items, ret } = listed(
      found.map(({ name }) => ({ name })),
      need_results,
    )
    return { devices: items, ret }
  }),
  handles(remote.REMOTE_PROC_NODE_NUM_OF_DEVICES, ({ cap }, { hypervisor }) => ({
    num: hypervisor.nodeDevices.list().filter((device) => cap === null || device.capability === cap).length,
  })),
  handles(remote.REMOTE_PROC_NODE_LIST_DEVICES, ({ cap, maxnames }, { hypervisor }) => {
    const found = hypervisor.nodeDevices.list().filter((device) => cap === null || device.capability === cap)
    return { names: found.slice(0, Math.max(0, maxnames)).map((device) => device.name) }
  }),
  handles(remote.REMOTE_PROC_NODE_DEVICE_LOOKUP_BY_NAME, ({ name }, { hypervisor }) => ({
    dev: { name: hypervisor.nodeDevices.byName(name).name },
  })),
  handles(remote.REMOTE_PROC_NODE_DEVICE_GET_XML_DESC, ({ name }, { hypervisor }) => ({
    xml: nodeDeviceXml(hypervisor.nodeDevices.byName(name)),
  })),
  handles(remote.REMOTE_PROC_NODE_DEVICE_GET_PARENT, ({ name }, { hypervisor }) => ({
    parentName: hypervisor.nodeDevices.byName(name).parent,
  })),
  handles(remote.REMOTE_PROC_NODE_DEVICE_NUM_OF_CAPS, ({ name }, { hypervisor }) => ({
    num: [hypervisor.nodeDevices.byName(name).capability].length,
  })),
  handles(remote.REMOTE_PROC_NODE_DEVICE_LIST_CAPS, ({ name, maxnames }, { hypervisor }) => ({
    names: [hypervisor.nodeDevices.byName(name).capability].slice(0, Math.max(0, maxnames)),
  })),
]

function isListed(device: NodeDevice, flags: number): boolean {
  const capabilities = CAPABILITY_FLAGS.map(
    ([flag, capability]) => [flag, device.capability === capability] as const,
  )
  return passes(flags, [
    capabilities,
    [
      [LIST.VIR_CONNECT_LIST_NODE_DEVICES_ACTIVE, true],
      [LIST.VIR_CONNECT_LIST_NODE_DEVICES_INACTIVE, false],
    ],
  ])
}
