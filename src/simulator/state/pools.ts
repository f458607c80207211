import { enums, type remote } from '../../libvirt/index.ts'
import { badXml, nameOf, uuidOf } from './domain.ts'
import type { Emit } from './event.ts'
import { type Managed, ManagedTable } from './managed.ts'
import { child, escapeXml, parseXml } from './xml.ts'

const { virStoragePoolEventLifecycleType: EVENT } = enums

/** One storage pool; sizes in bytes. */
export interface Pool extends Managed {
  readonly type: string
  readonly path: string
  readonly capacityBytes: number
  allocationBytes: number
}

/** The pool as calls and events name it. */
export function poolReference(pool: Pool): remote.RemoteNonnullStoragePool {
  return { name: pool.name, uuid: pool.uuid }
}

/** The storage pools of the simulated host. Refusals: `VIR_ERR_NO_STORAGE_POOL`, `VIR_ERR_OPERATION_INVALID`. */
export class Pools extends ManagedTable<Pool> {
  readonly #emit: Emit

  constructor(emit: Emit) {
    super({
      noun: 'storage pool',
      notFound: enums.virErrorNumber.VIR_ERR_NO_STORAGE_POOL,
      report: (pool, event) => this.#lifecycle(pool, event),
    })
    this.#emit = emit
  }

  defineXml(xml: string): Pool {
    const description = parsePoolXml(xml)
    return this.define(description, (uuid) => createPool({ ...description, uuid }))
  }

  createXml(xml: string): Pool {
    const description = parsePoolXml(xml)
    return this.createTransient(description, (uuid) => createPool({ ...description, uuid }))
  }

  /** Makes the storage itself. */
  build(pool: Pool): void {
    this.requireInactive(pool)
    this.#lifecycle(pool, EVENT.VIR_STORAGE_POOL_EVENT_CREATED)
  }

  /** Removes the storage itself; the definition stays. */
  delete(pool: Pool): void {
    this.requireInactive(pool)
    pool.allocationBytes = 0
    this.#lifecycle(pool, EVENT.VIR_STORAGE_POOL_EVENT_DELETED)
  }

  refresh(pool: Pool): void {
    this.requireActive(pool)
    this.#emit({ object: 'pool', kind: 'refresh', pool: poolReference(pool) })
  }

  #lifecycle(pool: Pool, event: number): void {
    this.#emit({ object: 'pool', kind: 'lifecycle', pool: poolReference(pool), event, detail: 0 })
  }
}

/** The description of a pool as `virsh pool-dumpxml` shows it. */
export function poolXml(pool: Pool): string {
  return [
    `<pool type='${escapeXml(pool.type)}'>`,
    `  <name>${escapeXml(pool.name)}</name>`,
    `  <uuid>${pool.uuid}</uuid>`,
    `  <capacity unit='bytes'>${pool.capacityBytes}</capacity>`,
    `  <allocation unit='bytes'>${pool.allocationBytes}</allocation>`,
    `  <available unit='bytes'>${pool.capacityBytes - pool.allocationBytes}</available>`,
    `  <target>`,
    `    <path>${escapeXml(pool.path)}</path>`,
    `  </target>`,
    '</pool>',
    '',
  ].join('\n')
}

function parsePoolXml(xml: string): { name: string; uuid: string | undefined; type: string; path: string } {
  const root = parseXml(xml)
  if (root.name !== 'pool') throw badXml(`unexpected root element '${root.name}', expecting 'pool'`)
  const name = nameOf(root)
  const path = child(child(root, 'target'), 'path')?.text || `/var/lib/libvirt/images/${name}`
  return { name, uuid: uuidOf(root), type: root.attributes.get('type') ?? 'dir', path }
}

function createPool(from: { name: string; uuid: string; type: string; path: string }): Pool {
  const sizes = { capacityBytes: 107_374_182_400, allocationBytes: 21_474_836_480 }
  return { ...from, ...sizes, active: false, persistent: false, autostart: false }
}
