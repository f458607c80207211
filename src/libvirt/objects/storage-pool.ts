import type { Caller, CallOptions } from '../caller.ts'
import type { Procedure } from '../protocol/procedure.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { type FlagOptions, flagsOf } from './options.ts'
import { StorageVolume } from './storage-volume.ts'

/** A storage pool (libvirt-storage.h). */
export class StoragePool {
  readonly name: string
  readonly uuid: string
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { name, uuid }: remote.RemoteNonnullStoragePool) {
    this.#caller = caller
    this.name = name
    this.uuid = uuid
  }

  /** The pool as arguments of procedures have it. */
  get pool(): remote.RemoteNonnullStoragePool {
    return { name: this.name, uuid: this.uuid }
  }

  #call<Result>(
    procedure: Procedure<{ pool: remote.RemoteNonnullStoragePool }, Result>,
    options: CallOptions | undefined,
  ): Promise<Result> {
    return this.#caller.call(procedure, { pool: this.pool }, options)
  }

  #flagged<Result>(
    procedure: Procedure<{ pool: remote.RemoteNonnullStoragePool; flags: number }, Result>,
    options: FlagOptions | undefined,
  ): Promise<Result> {
    return this.#caller.call(procedure, { pool: this.pool, flags: flagsOf(options) }, options)
  }

  /** `virStoragePoolGetInfo`: a virStoragePoolState, and bytes. */
  info(options?: CallOptions): Promise<remote.RemoteStoragePoolGetInfoRet> {
    return this.#call(remote.REMOTE_PROC_STORAGE_POOL_GET_INFO, options)
  }

  /** `virStoragePoolCreate`: starts it; flags of virStoragePoolCreateFlags. */
  create(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_STORAGE_POOL_CREATE, options)
  }

  /** `virStoragePoolBuild`: makes what is under it; flags of virStoragePoolBuildFlags. */
  build(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_STORAGE_POOL_BUILD, options)
  }

  /** `virStoragePoolDestroy`: stops it; what is in it stays. */
  destroy(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_STORAGE_POOL_DESTROY, options)
  }

  /** `virStoragePoolDelete`: removes what is under it; flags of virStoragePoolDeleteFlags. */
  delete(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_STORAGE_POOL_DELETE, options)
  }

  /** `virStoragePoolUndefine`. */
  undefine(options?: CallOptions): Promise<void> {
    return this.#call(remote.REMOTE_PROC_STORAGE_POOL_UNDEFINE, options)
  }

  /** `virStoragePoolRefresh`: looks what is in it now. */
  refresh(options?: FlagOptions): Promise<void> {
    return this.#flagged(remote.REMOTE_PROC_STORAGE_POOL_REFRESH, options)
  }

  /** `virStoragePoolIsActive`. */
  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_STORAGE_POOL_IS_ACTIVE, options)).active !== 0
  }

  /** `virStoragePoolIsPersistent`. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_STORAGE_POOL_IS_PERSISTENT, options)).persistent !== 0
  }

  /** `virStoragePoolGetAutostart`. */
  async autostart(options?: CallOptions): Promise<boolean> {
    return (await this.#call(remote.REMOTE_PROC_STORAGE_POOL_GET_AUTOSTART, options)).autostart !== 0
  }

  /** `virStoragePoolSetAutostart`. */
  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    const args = { pool: this.pool, autostart: autostart ? 1 : 0 }
    await this.#caller.call(remote.REMOTE_PROC_STORAGE_POOL_SET_AUTOSTART, args, options)
  }

  /** `virStoragePoolGetXMLDesc`; flags of virStorageXMLFlags. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    return (await this.#flagged(remote.REMOTE_PROC_STORAGE_POOL_GET_XML_DESC, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virStoragePoolListAllVolumes`. */
  async listAllVolumes(options?: FlagOptions): Promise<StorageVolume[]> {
    const args = { pool: this.pool, need_results: 1, flags: flagsOf(options) }
    const { vols } = await this.#caller.call(remote.REMOTE_PROC_STORAGE_POOL_LIST_ALL_VOLUMES, args, options)
    return vols.map((vol) => new StorageVolume(this.#caller, vol))
  }

  /** `virStorageVolLookupByName`. */
  async storageVolLookupByName(name: string, options?: CallOptions): Promise<StorageVolume> {
    const args = { pool: this.pool, name }
    const { vol } = await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_NAME, args, options)
    return new StorageVolume(this.#caller, vol)
  }

  /** `virStorageVolCreateXML`; flags of virStorageVolCreateFlags. */
  async createXML(xml: string, options?: FlagOptions): Promise<StorageVolume> {
    const args = { pool: this.pool, xml, flags: flagsOf(options) }
    const { vol } = await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_CREATE_XML, args, options)
    return new StorageVolume(this.#caller, vol)
  }

  /** `virStorageVolCreateXMLFrom`: a copy of another volume. */
  async createXMLFrom(xml: string, from: StorageVolume, options?: FlagOptions): Promise<StorageVolume> {
    const args = { pool: this.pool, xml, clonevol: from.vol, flags: flagsOf(options) }
    const { vol } = await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_CREATE_XML_FROM, args, options)
    return new StorageVolume(this.#caller, vol)
  }
}
