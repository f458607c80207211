import type { Duplex } from 'node:stream'
import type { Caller, CallOptions } from '../caller.ts'
import { virNodeGetMemoryStatsAllCells } from '../protocol/enums.gen.ts'
import type { Procedure } from '../protocol/procedure.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { Domain } from './domain.ts'
import { Network } from './network.ts'
import { NodeDevice } from './node-device.ts'
import { type FlagOptions, flagsOf, uuidOf } from './options.ts'
import { Secret } from './secret.ts'
import { StoragePool } from './storage-pool.ts'
import { StorageVolume } from './storage-volume.ts'
import { paramsOf, type TypedParams } from './typed-params.ts'

/** `virNodeInfo`: memory in KiB, MHz, and how its CPUs are arranged. */
export interface NodeInfo extends Omit<remote.RemoteNodeGetInfoRet, 'model'> {
  readonly model: string
}

/** One guest of `getAllDomainStats`. */
export interface DomainStats {
  readonly domain: Domain
  readonly params: TypedParams
}

/** What a connection can be asked, by the names that libvirt's bindings have (virConnect…, virDomainLookup… and so on). */
export abstract class ConnectCalls implements Caller {
  abstract call<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options?: CallOptions,
  ): Promise<Result>
  abstract openStream<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options?: CallOptions,
  ): Promise<Duplex>

  /** `virConnectGetHostname`. */
  async getHostname(options?: CallOptions): Promise<string> {
    return (await this.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined, options)).hostname
  }

  /** `virConnectGetType`: the driver's name, `QEMU`. */
  async getType(options?: CallOptions): Promise<string> {
    return (await this.call(remote.REMOTE_PROC_CONNECT_GET_TYPE, undefined, options)).type
  }

  /** `virConnectGetVersion` of the hypervisor: 1,000,000 × major + 1000 × minor + release. */
  async getVersion(options?: CallOptions): Promise<number | bigint> {
    return (await this.call(remote.REMOTE_PROC_CONNECT_GET_VERSION, undefined, options)).hv_ver
  }

  /** `virConnectGetLibVersion` of the daemon's libvirt, counted in the same way. */
  async getLibVersion(options?: CallOptions): Promise<number | bigint> {
    return (await this.call(remote.REMOTE_PROC_CONNECT_GET_LIB_VERSION, undefined, options)).lib_ver
  }

  /** `virConnectGetCapabilities`, parsed. */
  async getCapabilities(options?: CallOptions): Promise<Description> {
    const { capabilities } = await this.call(remote.REMOTE_PROC_CONNECT_GET_CAPABILITIES, undefined, options)
    return await parseDescription(capabilities)
  }

  /** `virNodeGetInfo`. */
  async getInfo(options?: CallOptions): Promise<NodeInfo> {
    const info = await this.call(remote.REMOTE_PROC_NODE_GET_INFO, undefined, options)
    const end = info.model.indexOf(0)
    return { ...info, model: info.model.toString('utf8', 0, end < 0 ? undefined : end) }
  }

  /** `virNodeGetFreeMemory`, in bytes. */
  async getFreeMemory(options?: CallOptions): Promise<number | bigint> {
    return (await this.call(remote.REMOTE_PROC_NODE_GET_FREE_MEMORY, undefined, options)).freeMem
  }

  /** `virNodeGetMemoryStats` in KiB: `{ total, free, buffers, cached }`; `cell` is one NUMA cell, without it all. */
  async getNodeMemoryStats(
    options: FlagOptions & { readonly cell?: number } = {},
  ): Promise<Readonly<Record<string, number | bigint>>> {
    const { cell = virNodeGetMemoryStatsAllCells.VIR_NODE_MEMORY_STATS_ALL_CELLS } = options
    const args = { cellNum: cell, flags: flagsOf(options) }
    const procedure = remote.REMOTE_PROC_NODE_GET_MEMORY_STATS
    // The daemon wants to be asked for exactly as many as there are.
    const { nparams } = await this.call(procedure, { ...args, nparams: 0 }, options)
    const { params } = await this.call(procedure, { ...args, nparams }, options)
    return Object.fromEntries(params.map(({ field, value }) => [field, value]))
  }

  /** `virConnectListAllDomains` in one call; flags of virConnectListAllDomainsFlags, all without. */
  async listAllDomains(options?: FlagOptions): Promise<Domain[]> {
    const args = { need_results: 1, flags: flagsOf(options) }
    const { domains } = await this.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, args, options)
    return domains.map((dom) => new Domain(this, dom))
  }

  /**
   * `virConnectGetAllDomainStats` in one call: all guests, or those given, each with its numbers. `stats` of
   * virDomainStatsTypes, all without; flags of virConnectGetAllDomainStatsFlags.
   */
  async getAllDomainStats(
    options: FlagOptions & { readonly stats?: number; readonly domains?: readonly Domain[] } = {},
  ): Promise<DomainStats[]> {
    const { stats = 0, domains = [] } = options
    const args = { doms: domains.map(({ dom }) => dom), stats, flags: flagsOf(options) }
    const { retStats } = await this.call(remote.REMOTE_PROC_CONNECT_GET_ALL_DOMAIN_STATS, args, options)
    return retStats.map(({ dom, params }) => ({ domain: new Domain(this, dom), params: paramsOf(params) }))
  }

  /** `virDomainLookupByName`. */
  async lookupByName(name: string, options?: CallOptions): Promise<Domain> {
    return new Domain(
      this,
      (await this.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name }, options)).dom,
    )
  }

  /** `virDomainLookupByUUIDString`. */
  async lookupByUUIDString(uuid: string, options?: CallOptions): Promise<Domain> {
    const args = { uuid: uuidOf(uuid) }
    return new Domain(this, (await this.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, args, options)).dom)
  }

  /** `virDomainLookupByID`. */
  async lookupByID(id: number, options?: CallOptions): Promise<Domain> {
    return new Domain(this, (await this.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_ID, { id }, options)).dom)
  }

  /** `virDomainDefineXMLFlags`; flags of virDomainDefineFlags. */
  async defineXML(xml: string, options?: FlagOptions): Promise<Domain> {
    const args = { xml, flags: flagsOf(options) }
    return new Domain(this, (await this.call(remote.REMOTE_PROC_DOMAIN_DEFINE_XML_FLAGS, args, options)).dom)
  }

  /** `virDomainCreateXML`: starts a guest without keeping its definition; flags of virDomainCreateFlags. */
  async createXML(xml: string, options?: FlagOptions): Promise<Domain> {
    const args = { xml_desc: xml, flags: flagsOf(options) }
    return new Domain(this, (await this.call(remote.REMOTE_PROC_DOMAIN_CREATE_XML, args, options)).dom)
  }

  /** `virDomainRestoreFlags`: goes on from what `save` wrote; flags of virDomainSaveRestoreFlags. */
  async restore(path: string, options?: FlagOptions): Promise<void> {
    const args = { from: path, dxml: null, flags: flagsOf(options) }
    await this.call(remote.REMOTE_PROC_DOMAIN_RESTORE_FLAGS, args, options)
  }

  /** `virConnectListAllNetworks`; flags of virConnectListAllNetworksFlags. */
  async listAllNetworks(options?: FlagOptions): Promise<Network[]> {
    const args = { need_results: 1, flags: flagsOf(options) }
    const { nets } = await this.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_NETWORKS, args, options)
    return nets.map((net) => new Network(this, net))
  }

  /** `virNetworkLookupByName`. */
  async networkLookupByName(name: string, options?: CallOptions): Promise<Network> {
    return new Network(
      this,
      (await this.call(remote.REMOTE_PROC_NETWORK_LOOKUP_BY_NAME, { name }, options)).net,
    )
  }

  /** `virNetworkLookupByUUIDString`. */
  async networkLookupByUUIDString(uuid: string, options?: CallOptions): Promise<Network> {
    const args = { uuid: uuidOf(uuid) }
    return new Network(this, (await this.call(remote.REMOTE_PROC_NETWORK_LOOKUP_BY_UUID, args, options)).net)
  }

  /** `virNetworkDefineXML`. */
  async networkDefineXML(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this, (await this.call(remote.REMOTE_PROC_NETWORK_DEFINE_XML, { xml }, options)).net)
  }

  /** `virNetworkCreateXML`: starts a network without keeping its definition. */
  async networkCreateXML(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this, (await this.call(remote.REMOTE_PROC_NETWORK_CREATE_XML, { xml }, options)).net)
  }

  /** `virConnectListAllStoragePools`; flags of virConnectListAllStoragePoolsFlags. */
  async listAllStoragePools(options?: FlagOptions): Promise<StoragePool[]> {
    const args = { need_results: 1, flags: flagsOf(options) }
    const { pools } = await this.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_STORAGE_POOLS, args, options)
    return pools.map((pool) => new StoragePool(this, pool))
  }

  /** `virStoragePoolLookupByName`. */
  async storagePoolLookupByName(name: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.call(remote.REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_NAME, { name }, options)
    return new StoragePool(this, pool)
  }

  /** `virStoragePoolLookupByUUIDString`. */
  async storagePoolLookupByUUIDString(uuid: string, options?: CallOptions): Promise<StoragePool> {
    const args = { uuid: uuidOf(uuid) }
    const { pool } = await this.call(remote.REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_UUID, args, options)
    return new StoragePool(this, pool)
  }

  /** `virStoragePoolDefineXML`. */
  async storagePoolDefineXML(xml: string, options?: FlagOptions): Promise<StoragePool> {
    const args = { xml, flags: flagsOf(options) }
    const { pool } = await this.call(remote.REMOTE_PROC_STORAGE_POOL_DEFINE_XML, args, options)
    return new StoragePool(this, pool)
  }

  /** `virStoragePoolCreateXML`: starts a pool without keeping its definition; flags of virStoragePoolCreateFlags. */
  async storagePoolCreateXML(xml: string, options?: FlagOptions): Promise<StoragePool> {
    const args = { xml, flags: flagsOf(options) }
    const { pool } = await this.call(remote.REMOTE_PROC_STORAGE_POOL_CREATE_XML, args, options)
    return new StoragePool(this, pool)
  }

  /** `virStorageVolLookupByPath`, in whichever pool it is. */
  async storageVolLookupByPath(path: string, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.call(remote.REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_PATH, { path }, options)
    return new StorageVolume(this, vol)
  }

  /** `virStorageVolLookupByKey`, in whichever pool it is. */
  async storageVolLookupByKey(key: string, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.call(remote.REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_KEY, { key }, options)
    return new StorageVolume(this, vol)
  }

  /** `virConnectListAllNodeDevices`; flags of virConnectListAllNodeDeviceFlags. */
  async listAllDevices(options?: FlagOptions): Promise<NodeDevice[]> {
    const args = { need_results: 1, flags: flagsOf(options) }
    const { devices } = await this.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_NODE_DEVICES, args, options)
    return devices.map((device) => new NodeDevice(this, device))
  }

  /** `virNodeDeviceLookupByName`. */
  async nodeDeviceLookupByName(name: string, options?: CallOptions): Promise<NodeDevice> {
    const { dev } = await this.call(remote.REMOTE_PROC_NODE_DEVICE_LOOKUP_BY_NAME, { name }, options)
    return new NodeDevice(this, dev)
  }

  /** `virConnectListAllSecrets`; flags of virConnectListAllSecretsFlags. */
  async listAllSecrets(options?: FlagOptions): Promise<Secret[]> {
    const args = { need_results: 1, flags: flagsOf(options) }
    const { secrets } = await this.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_SECRETS, args, options)
    return secrets.map((secret) => new Secret(this, secret))
  }

  /** `virSecretLookupByUUIDString`. */
  async secretLookupByUUIDString(uuid: string, options?: CallOptions): Promise<Secret> {
    const args = { uuid: uuidOf(uuid) }
    return new Secret(this, (await this.call(remote.REMOTE_PROC_SECRET_LOOKUP_BY_UUID, args, options)).secret)
  }

  /** `virSecretLookupByUsage`; `usageType` of virSecretUsageType. */
  async secretLookupByUsage(usageType: number, usageID: string, options?: CallOptions): Promise<Secret> {
    const args = { usageType, usageID }
    return new Secret(
      this,
      (await this.call(remote.REMOTE_PROC_SECRET_LOOKUP_BY_USAGE, args, options)).secret,
    )
  }

  /** `virSecretDefineXML`. */
  async secretDefineXML(xml: string, options?: FlagOptions): Promise<Secret> {
    const args = { xml, flags: flagsOf(options) }
    return new Secret(this, (await this.call(remote.REMOTE_PROC_SECRET_DEFINE_XML, args, options)).secret)
  }
}
