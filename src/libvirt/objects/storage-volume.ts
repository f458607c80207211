import type { Readable, Writable } from 'node:stream'
import type { Caller, CallOptions } from '../caller.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { type FlagOptions, flagsOf } from './options.ts'

/** Which part of a volume, in bytes; all of it by default. */
export interface VolumeRange extends FlagOptions {
  readonly offset?: number | bigint
  /** 0: to the end. */
  readonly length?: number | bigint
}

/** A storage volume (libvirt-storage.h). */
export class StorageVolume {
  /** Name of its pool. */
  readonly pool: string
  readonly name: string
  /** What tells it from all others, often its path. */
  readonly key: string
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { pool, name, key }: remote.RemoteNonnullStorageVol) {
    this.#caller = caller
    this.pool = pool
    this.name = name
    this.key = key
  }

  /** The volume as arguments of procedures have it. */
  get vol(): remote.RemoteNonnullStorageVol {
    return { pool: this.pool, name: this.name, key: this.key }
  }

  /** `virStorageVolGetInfo`: a virStorageVolType, bytes it may have and has. */
  info(options?: CallOptions): Promise<remote.RemoteStorageVolGetInfoRet> {
    return this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_GET_INFO, { vol: this.vol }, options)
  }

  /** `virStorageVolGetPath`. */
  async path(options?: CallOptions): Promise<string> {
    return (await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_GET_PATH, { vol: this.vol }, options)).name
  }

  /** `virStorageVolGetXMLDesc`. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    const args = { vol: this.vol, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_GET_XML_DESC, args, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virStorageVolDelete`; flags of virStorageVolDeleteFlags. */
  async delete(options?: FlagOptions): Promise<void> {
    const args = { vol: this.vol, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_DELETE, args, options)
  }

  /** `virStorageVolWipe`: overwrites its contents. */
  async wipe(options?: FlagOptions): Promise<void> {
    const args = { vol: this.vol, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_WIPE, args, options)
  }

  /** `virStorageVolResize`, in bytes; flags of virStorageVolResizeFlags. */
  async resize(capacity: number | bigint, options?: FlagOptions): Promise<void> {
    const args = { vol: this.vol, capacity, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_STORAGE_VOL_RESIZE, args, options)
  }

  /** `virStorageVolDownload`: its bytes, read no faster than they are taken. */
  download(range?: VolumeRange): Promise<Readable> {
    return this.#caller.openStream(remote.REMOTE_PROC_STORAGE_VOL_DOWNLOAD, this.#part(range), range)
  }

  /** `virStorageVolUpload`: all has arrived when the stream's `finish` comes. */
  upload(range?: VolumeRange): Promise<Writable> {
    return this.#caller.openStream(remote.REMOTE_PROC_STORAGE_VOL_UPLOAD, this.#part(range), range)
  }

  #part(range: VolumeRange | undefined): remote.RemoteStorageVolDownloadArgs {
    return { vol: this.vol, offset: range?.offset ?? 0, length: range?.length ?? 0, flags: flagsOf(range) }
  }
}
