/** What events do not tell of a guest: figures of one moment. Numbers are libvirt's. */
export interface Figures {
  /** virDomainState. */
  readonly state: number
  /** The number of the reason enum of that state (virDomainRunningReason, virDomainPausedReason …). */
  readonly reason: number
  /** vCPUs that it has at this moment. */
  readonly vcpus: number
  /** Memory that it has and the most that it may have, in KiB. */
  readonly memoryKiB: number | bigint
  readonly maxMemoryKiB: number | bigint
  /** CPU time since its start in nanoseconds; 0 when it does not run. */
  readonly cpuTimeNs: number | bigint
  readonly autostart: boolean
}

/** What an element of metadata holds: text, or attributes and children by name. */
export type MetadataValue = string | { readonly [name: string]: unknown }

/** What a guest's definition says for people and programs; both are read when somebody asks. */
export interface Description {
  readonly title: string | undefined
  /** The elements of its `<metadata>` by namespace: the text of one that has only text, else its children by name. */
  readonly metadata: ReadonlyMap<string, MetadataValue>
}

/** Where a host answers for its guests. */
export interface GuestSource {
  /** Figures of all guests by UUID, in as few questions as the host takes. */
  figures(): Promise<ReadonlyMap<string, Figures>>
  /** Title and the elements of `namespaces` of one guest; undefined when it is gone. */
  describe(uuid: string, namespaces: readonly string[]): Promise<Description | undefined>
}
