import type { Caller, CallOptions } from '../caller.ts'
import type { Procedure } from '../protocol/procedure.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { type FlagOptions, flagsOf } from './options.ts'

/** A virtual network (libvirt-network.h). */
export class Network {
  readonly name: string
  readonly uuid: string
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { name, uuid }: remote.RemoteNonnullNetwork) {
    this.#caller = caller
    this.name = name
    this.uuid = uuid
  }

  /** The network as arguments of procedures have it. */
  get net(): remote.RemoteNonnullNetwork {
    return { name: this.name, uuid: this.uuid }
  }

  #call<Result>(
    procedure: Procedure<{ net: remote.RemoteNonnullNetwork }, Result>,
    options: CallOptions | undefined,
  ): Promise<Result> {
    return this.#caller.call(procedure, { net: this.net }, options)
  }

  /** `virNetworkCreate`: starts it. */
  create(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_NETWORK_CREATE, options)
  }

  /** `virNetworkDestroy`: stops it. */
  destroy(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_NETWORK_DESTROY, options)
  }

  /** `virNetworkUndefine`. */
  undefine(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_NETWORK_UNDEFINE, options)
  }

  /** `virNetworkIsActive`. */
  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_NETWORK_IS_ACTIVE, options)).active !== 0
  }

  /** `virNetworkIsPersistent`. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_NETWORK_IS_PERSISTENT, options)).persistent !== 0
  }

  /** `virNetworkGetAutostart`. */
  async autostart(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_NETWORK_GET_AUTOSTART, options)).autostart !== 0
  }

  /** `virNetworkSetAutostart`. */
  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    const args = { net: this.net, autostart: autostart ? 1 : 0 }
    await this.#caller.call(remote.REMOTE_PROC_NETWORK_SET_AUTOSTART, args, options)
  }

  /** `virNetworkGetBridgeName`. */
  async bridgeName(options?: CallOptions): Promise<string> {
    return (await this.#call(remote.REMOTE_PROC_NETWORK_GET_BRIDGE_NAME, options)).name
  }

  /** `virNetworkGetXMLDesc`; flags of virNetworkXMLFlags. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    const args = { net: this.net, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_NETWORK_GET_XML_DESC, args, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virNetworkGetDHCPLeases`, all or those of one MAC. */
  async DHCPLeases(
    mac: string | null = null,
    options?: FlagOptions,
  ): Promise<remote.RemoteNetworkDhcpLease[]> {
    const args = { net: this.net, mac, need_results: 1, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_NETWORK_GET_DHCP_LEASES, args, options)).leases
  }
}
