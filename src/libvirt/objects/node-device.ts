import type { Caller, CallOptions } from '../caller.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { type FlagOptions, flagsOf } from './options.ts'

/** A device of the host (libvirt-nodedev.h). */
export class NodeDevice {
  readonly name: string
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { name }: remote.RemoteNonnullNodeDevice) {
    this.#caller = caller
    this.name = name
  }

  /** `virNodeDeviceGetXMLDesc`. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    const args = { name: this.name, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_GET_XML_DESC, args, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virNodeDeviceGetParent`: the name of the device that it is on; null for the computer itself. */
  async parent(options?: CallOptions): Promise<string | null> {
    const args = { name: this.name }
    return (await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_GET_PARENT, args, options)).parentName
  }

  /** `virNodeDeviceListCaps`: `pci`, `net`, `storage` … */
  async listCaps(options?: CallOptions): Promise<string[]> {
    const args = { name: this.name, maxnames: remote.REMOTE_NODE_DEVICE_CAPS_LIST_MAX }
    return (await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_LIST_CAPS, args, options)).names
  }

  /** `virNodeDeviceDettach`: takes it from the host, for a guest. */
  async detach(options?: CallOptions): Promise<void> {
    await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_DETTACH, { name: this.name }, options)
  }

  /** `virNodeDeviceReAttach`: gives it back. */
  async reAttach(options?: CallOptions): Promise<void> {
    await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_RE_ATTACH, { name: this.name }, options)
  }

  /** `virNodeDeviceReset`. */
  async reset(options?: CallOptions): Promise<void> {
    await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_RESET, { name: this.name }, options)
  }

  /** `virNodeDeviceDestroy`. */
  async destroy(options?: CallOptions): Promise<void> {
    await this.#caller.call(remote.REMOTE_PROC_NODE_DEVICE_DESTROY, { name: this.name }, options)
  }
}
