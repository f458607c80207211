import { enums, type remote } from '../../libvirt/index.ts'
import { badXml, nameOf, uuidOf } from './domain.ts'
import type { Emit } from './event.ts'
import { type Managed, ManagedTable } from './managed.ts'
import { child, escapeXml, parseXml } from './xml.ts'

/** One virtual network. */
export interface Network extends Managed {
  readonly bridge: string
}

/** The network as calls and events name it. */
export function networkReference(network: Network): remote.RemoteNonnullNetwork {
  return { name: network.name, uuid: network.uuid }
}

/** The virtual networks of the simulated host. Refusals: `VIR_ERR_NO_NETWORK`, `VIR_ERR_OPERATION_INVALID`. */
export class Networks extends ManagedTable<Network> {
  constructor(emit: Emit) {
    super({
      noun: 'network',
      notFound: enums.virErrorNumber.VIR_ERR_NO_NETWORK,
      report: (network, event) =>
        emit({ object: 'network', kind: 'lifecycle', net: networkReference(network), event, detail: 0 }),
    })
  }

  defineXml(xml: string): Network {
    const description = parseNetworkXml(xml)
    return this.define(description, (uuid) => createNetwork({ ...description, uuid }))
  }

  createXml(xml: string): Network {
    const description = parseNetworkXml(xml)
    return this.createTransient(description, (uuid) => createNetwork({ ...description, uuid }))
  }
}

/** The description of a network as `virsh net-dumpxml` shows it. */
export function networkXml(network: Network): string {
  return [
    '<network>',
    `  <name>${escapeXml(network.name)}</name>`,
    `  <uuid>${network.uuid}</uuid>`,
    `  <forward mode='nat'/>`,
    `  <bridge name='${escapeXml(network.bridge)}' stp='on' delay='0'/>`,
    `  <ip address='192.168.122.1' netmask='255.255.255.0'/>`,
    '</network>',
    '',
  ].join('\n')
}

function parseNetworkXml(xml: string): { name: string; uuid: string | undefined; bridge: string } {
  const root = parseXml(xml)
  if (root.name !== 'network') throw badXml(`unexpected root element '${root.name}', expecting 'network'`)
  const bridge = child(root, 'bridge')?.attributes.get('name') ?? 'virbr0'
  return { name: nameOf(root), uuid: uuidOf(root), bridge }
}

function createNetwork(from: { name: string; uuid: string; bridge: string }): Network {
  return { ...from, active: false, persistent: false, autostart: false }
}
