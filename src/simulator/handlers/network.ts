import { enums, type Procedure, remote } from '../../libvirt/index.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { type Network, networkReference, networkXml } from '../state/networks.ts'
import { changes, flag, type Handler, handles, listed, passes } from './handler.ts'

const { virConnectListAllNetworksFlags: LIST } = enums

type NetworkArgs = { net: remote.RemoteNonnullNetwork }

function asks<Args extends NetworkArgs, Result>(
  procedure: Procedure<Args, Result>,
  answer: (network: Network, args: Args) => Result,
): Handler {
  return handles(procedure, (args, { hypervisor }) => answer(hypervisor.networks.find(args.net), args))
}

function acts<Args extends NetworkArgs>(
  procedure: Procedure<Args, undefined>,
  act: (network: Network, networks: Hypervisor['networks'], args: Args) => void,
): Handler {
  return changes(procedure, (args, { hypervisor }) => {
    act(hypervisor.networks.find(args.net), hypervisor.networks, args)
    return undefined
  })
}

/** Virtual networks. */
export const NETWORK_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_CONNECT_LIST_ALL_NETWORKS, ({ need_results, flags }, { hypervisor }) => {
    const found = hypervisor.networks.list().filter((network) => isListed(network, flags))
    const { items, ret } = listed(found.map(networkReference), need_results)
    return { nets: items, ret }
  }),
  handles(remote.REMOTE_PROC_NETWORK_LOOKUP_BY_NAME, ({ name }, { hypervisor }) => ({
    net: networkReference(hypervisor.networks.byName(name)),
  })),
  handles(remote.REMOTE_PROC_NETWORK_LOOKUP_BY_UUID, ({ uuid }, { hypervisor }) => ({
    net: networkReference(hypervisor.networks.byUuid(uuid)),
  })),
  asks(remote.REMOTE_PROC_NETWORK_GET_XML_DESC, (network) => ({ xml: networkXml(network) })),
  asks(remote.REMOTE_PROC_NETWORK_GET_BRIDGE_NAME, (network) => ({ name: network.bridge })),
  asks(remote.REMOTE_PROC_NETWORK_GET_AUTOSTART, (network) => ({ autostart: flag(network.autostart) })),
  asks(remote.REMOTE_PROC_NETWORK_IS_ACTIVE, (network) => ({ active: flag(network.active) })),
  asks(remote.REMOTE_PROC_NETWORK_IS_PERSISTENT, (network) => ({ persistent: flag(network.persistent) })),
  acts(remote.REMOTE_PROC_NETWORK_CREATE, (network, networks) => networks.start(network)),
  acts(remote.REMOTE_PROC_NETWORK_DESTROY, (network, networks) => networks.stop(network)),
  acts(remote.REMOTE_PROC_NETWORK_UNDEFINE, (network, networks) => networks.undefine(network)),
  acts(remote.REMOTE_PROC_NETWORK_SET_AUTOSTART, (network, networks, { autostart }) =>
    networks.setAutostart(network, autostart !== 0),
  ),
  changes(remote.REMOTE_PROC_NETWORK_DEFINE_XML, ({ xml }, { hypervisor }) => ({
    net: networkReference(hypervisor.networks.defineXml(xml)),
  })),
  changes(remote.REMOTE_PROC_NETWORK_CREATE_XML, ({ xml }, { hypervisor }) => ({
    net: networkReference(hypervisor.networks.createXml(xml)),
  })),
]

function isListed(network: Network, flags: number): boolean {
  return passes(flags, [
    [
      [LIST.VIR_CONNECT_LIST_NETWORKS_ACTIVE, network.active],
      [LIST.VIR_CONNECT_LIST_NETWORKS_INACTIVE, !network.active],
    ],
    [
      [LIST.VIR_CONNECT_LIST_NETWORKS_PERSISTENT, network.persistent],
      [LIST.VIR_CONNECT_LIST_NETWORKS_TRANSIENT, !network.persistent],
    ],
    [
      [LIST.VIR_CONNECT_LIST_NETWORKS_AUTOSTART, network.autostart],
      [LIST.VIR_CONNECT_LIST_NETWORKS_NO_AUTOSTART, !network.autostart],
    ],
  ])
}
