import type { Duplex } from 'node:stream'
import type { Caller, CallOptions } from '../caller.ts'
import { virDomainMemoryStatTags, virDomainModificationImpact } from '../protocol/enums.gen.ts'
import type { Procedure } from '../protocol/procedure.ts'
import * as qemu from '../protocol/qemu.gen.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { DomainSnapshot } from './domain-snapshot.ts'
import { type FlagOptions, flagsOf } from './options.ts'
import { hasUntyped, listOf, paramsOf, type SettableParams, type TypedParams } from './typed-params.ts'

/** `virDomainInfo`: state of virDomainState, memory in KiB, CPU time in nanoseconds. */
export type DomainInfo = remote.RemoteDomainGetInfoRet

/** The one guest that a handle stands for, in the form of the protocol's arguments. */
interface Named {
  readonly dom: remote.RemoteNonnullDomain
}

/** `REMOTE_DOMAIN_MEMORY_STATS_MAX` would do; there are a dozen. */
const MEMORY_STATS = 64
/** `REMOTE_DOMAIN_GET_CPU_STATS_MAX` is for all CPUs one by one; of one there are three. */
const CPU_STATS = 16

/** A job on a disk: of virDomainBlockJobType, in bytes/s or MiB/s as its flags said, and how far it is. */
export type BlockJobInfo = Omit<remote.RemoteDomainGetBlockJobInfoRet, 'found'>

/**
 * A guest, or the definition of one (libvirt-domain.h). A handle holds no more than name, UUID and id, so it stays good
 * over a lost connection; `id` is that of the moment when it was got. Calls fail as `Connection.call` does.
 */
export class Domain {
  readonly name: string
  /** In its usual form: `6695eb01-f6a4-8304-79aa-97f2502e193f`. */
  readonly uuid: string
  /** The number of a running guest; undefined for one that did not run. */
  readonly id: number | undefined
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { name, uuid, id }: remote.RemoteNonnullDomain) {
    this.#caller = caller
    this.name = name
    this.uuid = uuid
    this.id = id < 0 ? undefined : id
  }

  /** The domain as arguments of procedures have it. */
  get dom(): remote.RemoteNonnullDomain {
    return { name: this.name, uuid: this.uuid, id: this.id ?? -1 }
  }

  #call<Result>(procedure: Procedure<Named, Result>, options: CallOptions | undefined): Promise<Result> {
    return this.#caller.call(procedure, { dom: this.dom }, options)
  }

  #flagged<Result>(
    procedure: Procedure<Named & { flags: number }, Result>,
    options: FlagOptions | undefined,
  ): Promise<Result> {
    return this.#caller.call(procedure, { dom: this.dom, flags: flagsOf(options) }, options)
  }

  /** `virDomainGetInfo`. */
  info(options?: CallOptions): Promise<DomainInfo> {
    return this.#call(remote.REMOTE_PROC_DOMAIN_GET_INFO, options)
  }

  /** `virDomainGetState`: a virDomainState, and why, of that state's own enum. */
  state(options?: FlagOptions): Promise<{ state: number; reason: number }> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_GET_STATE, options)
  }

  /** `virDomainIsActive`: whether it runs (or is paused). */
  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_DOMAIN_IS_ACTIVE, options)).active !== 0
  }

  /** `virDomainIsPersistent`: whether its definition stays when it stops. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_DOMAIN_IS_PERSISTENT, options)).persistent !== 0
  }

  /** `virDomainGetAutostart`. */
  async autostart(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_DOMAIN_GET_AUTOSTART, options)).autostart !== 0
  }

  /** `virDomainSetAutostart`. */
  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    const args = { dom: this.dom, autostart: autostart ? 1 : 0 }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SET_AUTOSTART, args, options)
  }

  /** `virDomainGetXMLDesc`; flags of virDomainXMLFlags. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    return (await this.#flagged(remote.REMOTE_PROC_DOMAIN_GET_XML_DESC, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virDomainCreateWithFlags`: starts it; flags of virDomainCreateFlags. Returns a handle with its new id. */
  async create(options?: FlagOptions): Promise<Domain> {
    const { dom } = await this.#flagged(remote.REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS, options)
    return new Domain(this.#caller, dom)
  }

  /** `virDomainSuspend`. */
  suspend(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_DOMAIN_SUSPEND, options)
  }

  /** `virDomainResume`. */
  resume(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_DOMAIN_RESUME, options)
  }

  /** `virDomainShutdownFlags`: asks the guest; flags of virDomainShutdownFlagValues. */
  async shutdown(options?: FlagOptions): Promise<void> {
    // Not every driver has the newer call.
    if (flagsOf(options) === 0) await this.#call(remote.REMOTE_PROC_DOMAIN_SHUTDOWN, options)
    else await this.#flagged(remote.REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, options)
  }

  /** `virDomainReboot`: asks the guest; flags of virDomainRebootFlagValues. */
  reboot(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_REBOOT, options)
  }

  /** `virDomainReset`: as the button does. */
  reset(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_RESET, options)
  }

  /** `virDomainDestroyFlags`: pulls the plug; flags of virDomainDestroyFlagsValues. */
  destroy(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_DESTROY_FLAGS, options)
  }

  /** `virDomainUndefineFlags`; flags of virDomainUndefineFlagsValues. */
  undefine(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, options)
  }

  /** `virDomainSaveFlags`: its memory into a file of the host, and it stops; flags of virDomainSaveRestoreFlags. */
  async save(path: string, options?: FlagOptions): Promise<void> {
    const args = { dom: this.dom, to: path, dxml: null, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SAVE_FLAGS, args, options)
  }

  /** `virDomainManagedSave`: the same into a file that libvirt keeps, from which the next start goes on. */
  managedSave(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_MANAGED_SAVE, options)
  }

  /** `virDomainHasManagedSaveImage`. */
  async hasManagedSaveImage(options?: FlagOptions): Promise<boolean> {
    return (await this.#flagged(remote.REMOTE_PROC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, options)).result !== 0
  }

  /** `virDomainManagedSaveRemove`. */
  managedSaveRemove(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_DOMAIN_MANAGED_SAVE_REMOVE, options)
  }

  /** `virDomainRename`. Returns the handle of the new name. */
  async rename(name: string, options?: FlagOptions): Promise<Domain> {
    const args = { dom: this.dom, new_name: name, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_RENAME, args, options)
    return new Domain(this.#caller, { ...this.dom, name })
  }

  /** `virDomainSetMemoryFlags`, in KiB; flags of virDomainMemoryModFlags. */
  async setMemory(memory: number | bigint, options?: FlagOptions): Promise<void> {
    const args = { dom: this.dom, memory, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SET_MEMORY_FLAGS, args, options)
  }

  /** `virDomainSetVcpusFlags`; flags of virDomainVcpuFlags. */
  async setVcpus(nvcpus: number, options?: FlagOptions): Promise<void> {
    const args = { dom: this.dom, nvcpus, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SET_VCPUS_FLAGS, args, options)
  }

  /** `virDomainMemoryStats` by the names that virsh has: `{ actual, rss, unused … }` in KiB, faults, and `last_update` in seconds. */
  async memoryStats(options?: FlagOptions): Promise<Record<string, number | bigint>> {
    const args = { dom: this.dom, maxStats: MEMORY_STATS, flags: flagsOf(options) }
    const { stats } = await this.#caller.call(remote.REMOTE_PROC_DOMAIN_MEMORY_STATS, args, options)
    return Object.fromEntries(stats.map(({ tag, val }) => [MEMORY_STAT_NAMES.get(tag) ?? String(tag), val]))
  }

  /** `virDomainBlockStats` of a disk by its target (`vda`) or path. */
  blockStats(path: string, options?: CallOptions): Promise<remote.RemoteDomainBlockStatsRet> {
    return this.#caller.call(remote.REMOTE_PROC_DOMAIN_BLOCK_STATS, { dom: this.dom, path }, options)
  }

  /** `virDomainGetBlockInfo`: bytes that a disk may have, has, and takes. */
  blockInfo(path: string, options?: FlagOptions): Promise<remote.RemoteDomainGetBlockInfoRet> {
    const args = { dom: this.dom, path, flags: flagsOf(options) }
    return this.#caller.call(remote.REMOTE_PROC_DOMAIN_GET_BLOCK_INFO, args, options)
  }

  /** `virDomainInterfaceStats` of a network device by its name on the host (`vnet0`) or MAC. */
  interfaceStats(device: string, options?: CallOptions): Promise<remote.RemoteDomainInterfaceStatsRet> {
    return this.#caller.call(remote.REMOTE_PROC_DOMAIN_INTERFACE_STATS, { dom: this.dom, device }, options)
  }

  /** `virDomainGetCPUStats` of all CPUs of the host together: `{ cpu_time, user_time, system_time }` in nanoseconds. */
  async getCPUStats(options?: FlagOptions): Promise<TypedParams> {
    const which = { start_cpu: -1, ncpus: 1, nparams: CPU_STATS }
    const args = { dom: this.dom, ...which, flags: flagsOf(options) }
    return paramsOf((await this.#caller.call(remote.REMOTE_PROC_DOMAIN_GET_CPU_STATS, args, options)).params)
  }

  /** `virDomainInterfaceAddresses`; `source` of virDomainInterfaceAddressesSource, by default the leases of libvirt's networks. */
  async interfaceAddresses(source = 0, options?: FlagOptions): Promise<remote.RemoteDomainInterface[]> {
    const args = { dom: this.dom, source, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_DOMAIN_INTERFACE_ADDRESSES, args, options)).ifaces
  }

  /** `virDomainGetMetadata`; `type` of virDomainMetadataType, `uri` for elements. */
  async metadata(type: number, uri: string | null = null, options?: FlagOptions): Promise<string> {
    const args = { dom: this.dom, type, uri, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_DOMAIN_GET_METADATA, args, options)).metadata
  }

  /** `virDomainSetMetadata`; null removes. `key` and `uri` are prefix and namespace of an element. */
  async setMetadata(
    type: number,
    metadata: string | null,
    options: FlagOptions & { readonly key?: string; readonly uri?: string } = {},
  ): Promise<void> {
    const { key = null, uri = null } = options
    const args = { dom: this.dom, type, metadata, key, uri, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SET_METADATA, args, options)
  }

  /** `virDomainAttachDeviceFlags`; flags of virDomainDeviceModifyFlags. */
  async attachDevice(xml: string, options?: FlagOptions): Promise<void> {
    await this.#device(remote.REMOTE_PROC_DOMAIN_ATTACH_DEVICE_FLAGS, xml, options)
  }

  /** `virDomainDetachDeviceFlags`. The device is gone when the event `device_removed` says so. */
  async detachDevice(xml: string, options?: FlagOptions): Promise<void> {
    await this.#device(remote.REMOTE_PROC_DOMAIN_DETACH_DEVICE_FLAGS, xml, options)
  }

  /** `virDomainUpdateDeviceFlags`. */
  async updateDevice(xml: string, options?: FlagOptions): Promise<void> {
    await this.#device(remote.REMOTE_PROC_DOMAIN_UPDATE_DEVICE_FLAGS, xml, options)
  }

  async #device(
    procedure: Procedure<remote.RemoteDomainAttachDeviceFlagsArgs, undefined>,
    xml: string,
    options: FlagOptions | undefined,
  ): Promise<void> {
    await this.#caller.call(procedure, { dom: this.dom, xml, flags: flagsOf(options) }, options)
  }

  /** `virDomainGetBlockJobInfo` of a disk by its target or path, undefined without a job; flags of virDomainBlockJobInfoFlags. */
  async blockJobInfo(path: string, options?: FlagOptions): Promise<BlockJobInfo | undefined> {
    const args = { dom: this.dom, path, flags: flagsOf(options) }
    const procedure = remote.REMOTE_PROC_DOMAIN_GET_BLOCK_JOB_INFO
    const { found, ...job } = await this.#caller.call(procedure, args, options)
    return found === 0 ? undefined : job
  }

  /** `virDomainGetJobInfo`. */
  jobInfo(options?: CallOptions): Promise<remote.RemoteDomainGetJobInfoRet> {
    return this.#call(remote.REMOTE_PROC_DOMAIN_GET_JOB_INFO, options)
  }

  /** `virDomainGetJobStats`: a virDomainJobType and its numbers; flags of virDomainGetJobStatsFlags. */
  async jobStats(options?: FlagOptions): Promise<{ type: number; params: TypedParams }> {
    const { type, params } = await this.#flagged(remote.REMOTE_PROC_DOMAIN_GET_JOB_STATS, options)
    return { type, params: paramsOf(params) }
  }

  /** `virDomainGetSchedulerParametersFlags`; flags of virDomainModificationImpact. */
  async schedulerParameters(options?: FlagOptions): Promise<TypedParams> {
    return paramsOf(await this.#schedulerParameters(flagsOf(options), options))
  }

  /**
   * `virDomainSetSchedulerParametersFlags`: `{ cpu_shares: 512 }`; flags of virDomainModificationImpact. The daemon is
   * asked for the types of plain numbers first; with `{ cpu_shares: { type: 'ullong', value: 512 } }` it is not.
   */
  async setSchedulerParameters(params: SettableParams, options?: FlagOptions): Promise<void> {
    const flags = flagsOf(options)
    // Both at once can be set, but not got.
    const { VIR_DOMAIN_AFFECT_CONFIG: config } = virDomainModificationImpact
    const known = hasUntyped(params)
      ? await this.#schedulerParameters(flags & config ? config : flags, options)
      : []
    const args = { dom: this.dom, params: listOf(params, known) }
    if (flags === 0)
      await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SET_SCHEDULER_PARAMETERS, args, options)
    else
      await this.#caller.call(
        remote.REMOTE_PROC_DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS,
        { ...args, flags },
        options,
      )
  }

  /** Without flags by the older call: the test driver refuses the flag that libvirtd adds to the newer. */
  async #schedulerParameters(
    flags: number,
    options: CallOptions | undefined,
  ): Promise<remote.RemoteTypedParam[]> {
    const args = { dom: this.dom, nparams: remote.REMOTE_DOMAIN_SCHEDULER_PARAMETERS_MAX }
    const { params } =
      flags === 0
        ? await this.#caller.call(remote.REMOTE_PROC_DOMAIN_GET_SCHEDULER_PARAMETERS, args, options)
        : await this.#caller.call(
            remote.REMOTE_PROC_DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS,
            { ...args, flags },
            options,
          )
    return params
  }

  /** `virDomainOpenConsole`: its terminal, or that of a device by its alias, to read and write; flags of virDomainConsoleFlags. */
  openConsole(device: string | null = null, options?: FlagOptions): Promise<Duplex> {
    const args = { dom: this.dom, dev_name: device, flags: flagsOf(options) }
    return this.#caller.openStream(remote.REMOTE_PROC_DOMAIN_OPEN_CONSOLE, args, options)
  }

  /** `virDomainOpenChannel`: a channel by its name, to read and write; flags of virDomainChannelFlags. */
  openChannel(name: string | null = null, options?: FlagOptions): Promise<Duplex> {
    const args = { dom: this.dom, name, flags: flagsOf(options) }
    return this.#caller.openStream(remote.REMOTE_PROC_DOMAIN_OPEN_CHANNEL, args, options)
  }

  /** `virDomainScreenshot`: the picture as a stream of bytes. */
  screenshot(screen = 0, options?: FlagOptions): Promise<Duplex> {
    const args = { dom: this.dom, screen, flags: flagsOf(options) }
    return this.#caller.openStream(remote.REMOTE_PROC_DOMAIN_SCREENSHOT, args, options)
  }

  /** `virDomainSnapshotCreateXML`; flags of virDomainSnapshotCreateFlags. */
  async snapshotCreateXML(xml = '<domainsnapshot/>', options?: FlagOptions): Promise<DomainSnapshot> {
    const args = { dom: this.dom, xml_desc: xml, flags: flagsOf(options) }
    const { snap } = await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_CREATE_XML, args, options)
    return new DomainSnapshot(this.#caller, snap)
  }

  /** `virDomainListAllSnapshots`; flags of virDomainSnapshotListFlags. */
  async listAllSnapshots(options?: FlagOptions): Promise<DomainSnapshot[]> {
    const args = { dom: this.dom, need_results: 1, flags: flagsOf(options) }
    const { snapshots } = await this.#caller.call(remote.REMOTE_PROC_DOMAIN_LIST_ALL_SNAPSHOTS, args, options)
    return snapshots.map((snap) => new DomainSnapshot(this.#caller, snap))
  }

  /** `virDomainSnapshotCurrent`. @throws {LibvirtError} `ERR_LIBVIRT_REMOTE` when there is none. */
  async snapshotCurrent(options?: FlagOptions): Promise<DomainSnapshot> {
    const { snap } = await this.#flagged(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_CURRENT, options)
    return new DomainSnapshot(this.#caller, snap)
  }

  /** `virDomainSnapshotLookupByName`. */
  async snapshotLookupByName(name: string, options?: FlagOptions): Promise<DomainSnapshot> {
    const args = { dom: this.dom, name, flags: flagsOf(options) }
    const { snap } = await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_LOOKUP_BY_NAME, args, options)
    return new DomainSnapshot(this.#caller, snap)
  }

  /** `virDomainQemuMonitorCommand`: one command to qemu itself, JSON in and out; flags of virDomainQemuMonitorCommandFlags. */
  async qemuMonitorCommand(cmd: string, options?: FlagOptions): Promise<string> {
    const args = { dom: this.dom, cmd, flags: flagsOf(options) }
    return (await this.#caller.call(qemu.QEMU_PROC_DOMAIN_MONITOR_COMMAND, args, options)).result
  }

  /** `virDomainQemuAgentCommand`: one command to the agent in the guest, JSON in and out; `timeout` in seconds. */
  async qemuAgentCommand(
    cmd: string,
    options: FlagOptions & { readonly timeout?: number } = {},
  ): Promise<string | null> {
    const { timeout = -2 } = options // VIR_DOMAIN_QEMU_AGENT_COMMAND_BLOCK
    const args = { dom: this.dom, cmd, timeout, flags: flagsOf(options) }
    return (await this.#caller.call(qemu.QEMU_PROC_DOMAIN_AGENT_COMMAND, args, options)).result
  }
}

const MEMORY_STAT_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(virDomainMemoryStatTags)
    .filter(([name]) => !name.endsWith('_NR') && !name.endsWith('_LAST'))
    .map(([name, tag]) => [tag, name.replace('VIR_DOMAIN_MEMORY_STAT_', '').toLowerCase()] as const)
    // The one name that virsh and libvirt-python shorten.
    .map(([tag, name]) => [tag, name === 'actual_balloon' ? 'actual' : name]),
)
