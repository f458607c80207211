import type { Caller } from '../caller.ts'
import * as remote from '../protocol/remote.gen.ts'
import { type Description, parseDescription } from './description.ts'
import { type FlagOptions, flagsOf } from './options.ts'

/** A snapshot of a domain (libvirt-domain-snapshot.h). */
export class DomainSnapshot {
  readonly name: string
  /** The domain as the protocol names it. */
  readonly dom: remote.RemoteNonnullDomain
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller, { name, dom }: remote.RemoteNonnullDomainSnapshot) {
    this.#caller = caller
    this.name = name
    this.dom = dom
  }

  get #snap(): remote.RemoteNonnullDomainSnapshot {
    return { name: this.name, dom: this.dom }
  }

  /** `virDomainSnapshotGetXMLDesc`. */
  async XMLDesc(options?: FlagOptions): Promise<string> {
    const args = { snap: this.#snap, flags: flagsOf(options) }
    return (await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_GET_XML_DESC, args, options)).xml
  }

  /** The description, parsed. */
  async description(options?: FlagOptions): Promise<Description> {
    return await parseDescription(await this.XMLDesc(options))
  }

  /** `virDomainRevertToSnapshot`; flags of virDomainSnapshotRevertFlags. */
  async revert(options?: FlagOptions): Promise<void> {
    const args = { snap: this.#snap, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_REVERT_TO_SNAPSHOT, args, options)
  }

  /** `virDomainSnapshotDelete`; flags of virDomainSnapshotDeleteFlags. */
  async delete(options?: FlagOptions): Promise<void> {
    const args = { snap: this.#snap, flags: flagsOf(options) }
    await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_DELETE, args, options)
  }

  /** `virDomainSnapshotIsCurrent`. */
  async isCurrent(options?: FlagOptions): Promise<boolean> {
    const args = { snap: this.#snap, flags: flagsOf(options) }
    return (
      (await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_IS_CURRENT, args, options)).current !== 0
    )
  }

  /** `virDomainSnapshotGetParent`. @throws {LibvirtError} `ERR_LIBVIRT_REMOTE` when it has none. */
  async getParent(options?: FlagOptions): Promise<DomainSnapshot> {
    const args = { snap: this.#snap, flags: flagsOf(options) }
    const { snap } = await this.#caller.call(remote.REMOTE_PROC_DOMAIN_SNAPSHOT_GET_PARENT, args, options)
    return new DomainSnapshot(this.#caller, snap)
  }

  /** `virDomainSnapshotListAllChildren`; flags of virDomainSnapshotListFlags. */
  async listAllChildren(options?: FlagOptions): Promise<DomainSnapshot[]> {
    const args = { snapshot: this.#snap, need_results: 1, flags: flagsOf(options) }
    const procedure = remote.REMOTE_PROC_DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN
    const { snapshots } = await this.#caller.call(procedure, args, options)
    return snapshots.map((snap) => new DomainSnapshot(this.#caller, snap))
  }
}
