import type { Caller, CallOptions } from '../caller.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { type FlagOptions, flagsOf } from './options.ts'

/** A secret (libvirt-secret.h). */
export class Secret {
  readonly uuid: string
  /** Of virSecretUsageType. */
  readonly usageType: number
  readonly usageID: string
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { uuid, usageType, usageID }: remote.RemoteNonnullSecret) {
    this.#caller = caller
    this.uuid = uuid
    this.usageType = usageType
    this.usageID = usageID
  }

  /** The secret as arguments of procedures have it. */
  get secret(): remote.RemoteNonnullSecret {
    return { uuid: this.uuid, usageType: this.usageType, usageID: this.usageID }
  }

  /** `virSecretGetValue`. @throws {LibvirtError} `ERR_LIBVIRT_REMOTE` for one that is private or has no value. */
  async value(options?: FlagOptions): Promise<Buffer> {
    const args = { secret: this.secret, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_SECRET_GET_VALUE, args, options)).value
  }

  /** `virSecretSetValue`; at most 65,536 bytes. */
  async setValue(value: Uint8Array, options?: FlagOptions): Promise<void> {
    const args = { secret: this.secret, value: Buffer.from(value), flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_SECRET_SET_VALUE, args, options)
  }

  /** `virSecretGetXMLDesc`. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    const args = { secret: this.secret, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_SECRET_GET_XML_DESC, args, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virSecretUndefine`. */
  async undefine(options?: CallOptions): Promise<void> {
    await this.#caller.call(remote.REMOTE_PROC_SECRET_UNDEFINE, { secret: this.secret }, options)
  }
}
