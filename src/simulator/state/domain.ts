import { randomUUID } from 'node:crypto'
import { enums, type remote } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'
import { child, escapeXml, parseXml, type XmlElement } from './xml.ts'

const { virErrorNumber, virDomainState } = enums

/** Longest name of an object, in characters: a file name under /etc/libvirt must hold it. */
const NAME_LENGTH_MAX = 255
const VCPUS_MAX = 4096
/** 64 TiB. */
const MEMORY_KIB_MAX = 68_719_476_736
const UUID_TEXT = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

/** KiB in one of libvirt's units of memory (formatdomain: memory allocation). */
const UNIT_KIB: Readonly<Record<string, number>> = {
  b: 1 / 1024,
  bytes: 1 / 1024,
  k: 1,
  kib: 1,
  kb: 1000 / 1024,
  m: 1024,
  mib: 1024,
  mb: 1_000_000 / 1024,
  g: 1_048_576,
  gib: 1_048_576,
  gb: 1_000_000_000 / 1024,
  t: 1_073_741_824,
  tib: 1_073_741_824,
}

/** A custom element of the metadata, as it was given. */
export interface MetadataElement {
  readonly key: string
  readonly xml: string
}

/** One guest. Only {@link Domains} changes it. */
export interface Domain {
  name: string
  readonly uuid: string
  /** -1 while it is not active. */
  id: number
  /** `virDomainState`. */
  state: number
  /** `virDomain…Reason` of its state. */
  reason: number
  persistent: boolean
  autostart: boolean
  vcpus: number
  memoryKib: number
  memoryMaxKib: number
  /** CPU time of earlier runs of the same activation, in nanoseconds. */
  cpuTimeNs: number
  /** `performance.now()` since when it runs. */
  runningSinceMs: number | undefined
  title: string | null
  description: string | null
  /** Custom elements by their namespace. */
  metadata: Map<string, MetadataElement>
  hasManagedSave: boolean
  type: string
  osType: string
  /** The `<devices>` element as it was given. */
  devicesXml: string
  /** Aliases of devices that were plugged in later. */
  readonly plugged: Set<string>
}

/** What a new domain needs; the rest has defaults. */
export interface DomainDescription {
  readonly name: string
  readonly uuid?: string | undefined
  readonly vcpus?: number
  readonly memoryKib?: number
  readonly memoryMaxKib?: number
  readonly title?: string | null
  readonly description?: string | null
  readonly type?: string
  readonly osType?: string
  readonly devicesXml?: string
  readonly metadata?: ReadonlyMap<string, MetadataElement>
}

/** An inactive domain of that description. */
export function createDomain(from: DomainDescription): Domain {
  const memoryMaxKib = from.memoryMaxKib ?? from.memoryKib ?? 1_048_576
  return {
    name: from.name,
    uuid: from.uuid ?? randomUUID(),
    id: -1,
    state: virDomainState.VIR_DOMAIN_SHUTOFF,
    reason: enums.virDomainShutoffReason.VIR_DOMAIN_SHUTOFF_UNKNOWN,
    persistent: true,
    autostart: false,
    vcpus: from.vcpus ?? 1,
    memoryKib: Math.min(from.memoryKib ?? memoryMaxKib, memoryMaxKib),
    memoryMaxKib,
    cpuTimeNs: 0,
    runningSinceMs: undefined,
    title: from.title ?? null,
    description: from.description ?? null,
    metadata: new Map(from.metadata),
    hasManagedSave: false,
    type: from.type ?? 'test',
    osType: from.osType ?? 'hvm',
    devicesXml: from.devicesXml ?? '<devices/>',
    plugged: new Set(),
  }
}

/** Whether it runs, is paused, sleeps or has crashed without being destroyed: everything that has an id. */
export function isActive(domain: Domain): boolean {
  return domain.id !== -1
}

/** The domain as calls and events name it. */
export function domainReference(domain: Domain): remote.RemoteNonnullDomain {
  return { name: domain.name, uuid: domain.uuid, id: domain.id }
}

/** CPU time in nanoseconds: as if a quarter of one CPU were busy while it runs. */
export function cpuTimeNs(domain: Domain): number {
  const { runningSinceMs } = domain
  const runMs = runningSinceMs === undefined ? 0 : performance.now() - runningSinceMs
  return domain.cpuTimeNs + Math.round(runMs * 250_000)
}

/**
 * Reads a domain's XML description (formatdomain).
 *
 * @throws {SimulatorError} `ERR_SIMULATOR_REFUSED` with `VIR_ERR_XML_ERROR` for what is not XML, has no usable name, or values out of range.
 */
export function parseDomainXml(xml: string): DomainDescription {
  const root = parseXml(xml)
  if (root.name !== 'domain') throw badXml(`unexpected root element '${root.name}', expecting 'domain'`)
  const memoryMaxKib = memoryOf(child(root, 'memory')) ?? 1_048_576
  const devices = child(root, 'devices')
  return {
    name: nameOf(root),
    uuid: uuidOf(root),
    vcpus: integerOf(child(root, 'vcpu'), { fallback: 1, max: VCPUS_MAX }),
    memoryMaxKib,
    memoryKib: memoryOf(child(root, 'currentMemory')) ?? memoryMaxKib,
    title: child(root, 'title')?.text ?? null,
    description: child(root, 'description')?.text ?? null,
    type: root.attributes.get('type') ?? 'test',
    osType: child(child(root, 'os'), 'type')?.text || 'hvm',
    metadata: metadataOf(root, xml),
    ...(devices ? { devicesXml: xml.slice(devices.start, devices.end) } : {}),
  }
}

/** The description of a domain as `virsh dumpxml` shows it. */
export function domainXml(domain: Domain): string {
  const id = isActive(domain) ? ` id='${domain.id}'` : ''
  const lines = [`<domain type='${escapeXml(domain.type)}'${id}>`, `  <name>${escapeXml(domain.name)}</name>`]
  lines.push(`  <uuid>${domain.uuid}</uuid>`)
  if (domain.title !== null) lines.push(`  <title>${escapeXml(domain.title)}</title>`)
  if (domain.description !== null) lines.push(`  <description>${escapeXml(domain.description)}</description>`)
  if (domain.metadata.size > 0) {
    const elements = [...domain.metadata].map(([uri, item]) => `    ${inNamespace(item.xml, uri)}`)
    lines.push('  <metadata>', ...elements, '  </metadata>')
  }
  lines.push(
    `  <memory unit='KiB'>${domain.memoryMaxKib}</memory>`,
    `  <currentMemory unit='KiB'>${domain.memoryKib}</currentMemory>`,
    `  <vcpu placement='static'>${domain.vcpus}</vcpu>`,
    `  <os>`,
    `    <type arch='x86_64'>${escapeXml(domain.osType)}</type>`,
    `  </os>`,
    `  <on_poweroff>destroy</on_poweroff>`,
    `  <on_reboot>restart</on_reboot>`,
    `  <on_crash>destroy</on_crash>`,
    `  ${domain.devicesXml}`,
    `</domain>`,
    '',
  )
  return lines.join('\n')
}

/** Custom elements are told apart by their namespace; those without one are not kept. */
function metadataOf(root: XmlElement, xml: string): Map<string, MetadataElement> {
  const found = new Map<string, MetadataElement>()
  for (const element of child(root, 'metadata')?.children ?? []) {
    const key = element.name.includes(':') ? (element.name.split(':')[0] ?? '') : ''
    const uri = element.attributes.get(key === '' ? 'xmlns' : `xmlns:${key}`)
    if (uri !== undefined) found.set(uri, { key, xml: xml.slice(element.start, element.end) })
  }
  return found
}

/** The element with its namespace as the default one, where it declares none itself. */
function inNamespace(xml: string, uri: string): string {
  const { name, attributes } = parseXml(xml)
  if ([...attributes.keys()].some((attribute) => attribute.startsWith('xmlns'))) return xml
  const at = xml.indexOf(`<${name}`) + 1 + name.length
  return `${xml.slice(0, at)} xmlns='${escapeXml(uri)}'${xml.slice(at)}`
}

/** The `<name>` of a description. */
export function nameOf(root: XmlElement): string {
  const name = child(root, 'name')?.text ?? ''
  assertName(name)
  return name
}

/** Refuses what cannot be a name: empty, too long, with a slash or a line break. */
export function assertName(name: string): void {
  if (name === '') throw badXml('missing name')
  if (name.length > NAME_LENGTH_MAX)
    throw badXml(`name of ${name.length} characters, limit ${NAME_LENGTH_MAX}`)
  if (/[/\n\0]/.test(name)) throw badXml(`name '${name}' holds a character that cannot be in one`)
}

/** The `<uuid>` of a description in its canonical form; undefined where there is none. */
export function uuidOf(root: XmlElement): string | undefined {
  const text = child(root, 'uuid')?.text
  if (text === undefined) return undefined
  if (!UUID_TEXT.test(text)) throw badXml(`'${text.slice(0, 64)}' is not a UUID`)
  const hex = text.replaceAll('-', '').toLowerCase()
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function memoryOf(element: XmlElement | undefined): number | undefined {
  if (!element) return undefined
  const unit = UNIT_KIB[(element.attributes.get('unit') ?? 'KiB').toLowerCase()]
  if (unit === undefined) throw badXml(`unknown unit of memory '${element.attributes.get('unit')}'`)
  if (!/^\d{1,15}$/.test(element.text)) throw badXml(`'${element.text.slice(0, 64)}' is not a size of memory`)
  const kib = Math.ceil(Number(element.text) * unit)
  if (kib > MEMORY_KIB_MAX) throw badXml(`memory of ${kib} KiB, limit ${MEMORY_KIB_MAX}`)
  return kib
}

function integerOf(element: XmlElement | undefined, range: { fallback: number; max: number }): number {
  if (!element) return range.fallback
  const value = /^\d{1,9}$/.test(element.text) ? Number(element.text) : 0
  if (value < 1 || value > range.max)
    throw badXml(`'${element.text.slice(0, 64)}' is not in 1 to ${range.max}`)
  return value
}

/** A refusal of a description. */
export function badXml(what: string): Error {
  return refusal(virErrorNumber.VIR_ERR_XML_ERROR, `XML error: ${what}`)
}
