import { randomUUID } from 'node:crypto'
import { enums, type remote } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'
import { badXml, uuidOf } from './domain.ts'
import type { Emit } from './event.ts'
import { child, escapeXml, parseXml } from './xml.ts'

const { virErrorNumber, virSecretUsageType, virSecretEventLifecycleType: EVENT } = enums

/** The names of `<usage type=…>` in the order of `virSecretUsageType`, and the element that holds the id. */
const USAGES = [
  { type: 'none', element: '' },
  { type: 'volume', element: 'volume' },
  { type: 'ceph', element: 'name' },
  { type: 'iscsi', element: 'target' },
  { type: 'tls', element: 'name' },
  { type: 'vtpm', element: 'name' },
] as const

/** Most secrets that are kept. */
const SECRETS_MAX = 1024

/** One secret; its value is what the caller set and is shown to nobody else. */
export interface Secret {
  readonly uuid: string
  /** `virSecretUsageType`. */
  readonly usageType: number
  readonly usageId: string
  readonly isPrivate: boolean
  readonly description: string | null
  value: Buffer | undefined
}

/** The secret as calls and events name it. */
export function secretReference(secret: Secret): remote.RemoteNonnullSecret {
  return { uuid: secret.uuid, usageType: secret.usageType, usageID: secret.usageId }
}

/** The secrets of the simulated host. Refusals: `VIR_ERR_NO_SECRET`, `VIR_ERR_INVALID_SECRET`. */
export class Secrets {
  readonly #emit: Emit
  readonly #byUuid = new Map<string, Secret>()

  constructor(emit: Emit) {
    this.#emit = emit
  }

  list(): Secret[] {
    return [...this.#byUuid.values()]
  }

  byUuid(uuid: string): Secret {
    return this.#byUuid.get(uuid) ?? missing(`uuid '${uuid}'`)
  }

  byUsage(usageType: number, usageId: string): Secret {
    const found = this.list().find((secret) => secret.usageType === usageType && secret.usageId === usageId)
    return found ?? missing(`usage '${usageId}'`)
  }

  defineXml(xml: string): Secret {
    const root = parseXml(xml)
    if (root.name !== 'secret') throw badXml(`unexpected root element '${root.name}', expecting 'secret'`)
    const usage = child(root, 'usage')
    const usageType = USAGES.findIndex((item) => item.type === (usage?.attributes.get('type') ?? 'none'))
    if (usageType < 0) throw badXml(`unknown usage '${usage?.attributes.get('type')}'`)
    const element = USAGES[usageType]?.element ?? ''
    return this.define({
      uuid: uuidOf(root) ?? randomUUID(),
      usageType,
      usageId: child(usage, element)?.text ?? '',
      isPrivate: root.attributes.get('private') === 'yes',
      description: child(root, 'description')?.text ?? null,
      value: undefined,
    })
  }

  define(secret: Secret): Secret {
    const known = this.#byUuid.get(secret.uuid)
    if (!known && this.#byUuid.size >= SECRETS_MAX)
      throw refusal(
        virErrorNumber.VIR_ERR_OPERATION_FAILED,
        `operation failed: ${SECRETS_MAX} secrets are defined`,
      )
    const defined = { ...secret, value: known?.value }
    this.#byUuid.set(secret.uuid, defined)
    this.#lifecycle(defined, EVENT.VIR_SECRET_EVENT_DEFINED)
    return defined
  }

  undefine(secret: Secret): void {
    this.#byUuid.delete(secret.uuid)
    this.#lifecycle(secret, EVENT.VIR_SECRET_EVENT_UNDEFINED)
  }

  /** Copies `value`. */
  setValue(secret: Secret, value: Uint8Array): void {
    secret.value = Buffer.from(value)
    this.#emit({ object: 'secret', kind: 'value_changed', secret: secretReference(secret) })
  }

  value(secret: Secret): Buffer {
    if (secret.isPrivate)
      throw refusal(virErrorNumber.VIR_ERR_INVALID_SECRET, 'Invalid secret: the secret is private')
    return secret.value ?? missing(`a value and uuid '${secret.uuid}'`)
  }

  #lifecycle(secret: Secret, event: number): void {
    this.#emit({ object: 'secret', kind: 'lifecycle', secret: secretReference(secret), event, detail: 0 })
  }
}

/** The description of a secret as `virsh secret-dumpxml` shows it. */
export function secretXml(secret: Secret): string {
  const usage = USAGES[secret.usageType] ?? USAGES[virSecretUsageType.VIR_SECRET_USAGE_TYPE_NONE]
  const lines = [
    `<secret ephemeral='no' private='${secret.isPrivate ? 'yes' : 'no'}'>`,
    `  <uuid>${secret.uuid}</uuid>`,
  ]
  if (secret.description !== null) lines.push(`  <description>${escapeXml(secret.description)}</description>`)
  if (usage.element !== '') {
    const id = `<${usage.element}>${escapeXml(secret.usageId)}</${usage.element}>`
    lines.push(`  <usage type='${usage.type}'>`, `    ${id}`, '  </usage>')
  }
  lines.push('</secret>', '')
  return lines.join('\n')
}

function missing(what: string): never {
  throw refusal(virErrorNumber.VIR_ERR_NO_SECRET, `Secret not found: no secret with matching ${what}`)
}
