import { messageOf } from '../../core/errors.ts'
import { LibvirtError } from '../errors.ts'

/**
 * One element of a description. Attributes are properties with `@` before their names, child elements properties with
 * their names; one that occurs once is itself, one that occurs several times an array, and those that libvirt's schemas
 * let occur several times (`disk`, `interface` …) are arrays also when there is one. An element that has neither is its
 * text, `''` when there is none; beside others text is `#text`. Nothing is made a number, nothing is trimmed, but text
 * of white space alone is left out. Namespace prefixes stay as they are (`qemu:commandline`).
 */
export interface Description {
  readonly [name: string]: DescriptionValue
}

/** Text, an element, or several of them. */
export type DescriptionValue = string | Description | readonly (string | Description)[]

/** The longest description that libvirt's protocol carries, in characters (REMOTE_STRING_MAX). */
const CHARS_MAX = 4_194_304
/** The deepest nesting that libxml2, and so libvirt itself, reads (xmlParserMaxDepth). */
const DEPTH_MAX = 256

/**
 * Paths of elements that may occur several times in their parent, after libvirt's schemas (src/conf/schemas/*.rng).
 * Under `<devices>` that is everything but a few: releases come with devices of which they allow more than one.
 */
const LISTS = new RegExp(
  `^(?:${[
    `(?:domainsnapshot/)?(?:domain|inactiveDomain)/(?:${[
      'devices/(?!emulator$|memballoon$|vsock$|nvram$)[a-z]+',
      'devices/(?:disk/(?:(?:mirror|backingStore)/)*|hostdev/)source/(?:host|seclabel|cookies/cookie)',
      'devices/(?:serial|parallel|console|channel|redirdev|smartcard|rng/backend)/source(?:/seclabel)?',
      'devices/(?:graphics/(?:channel|listen)|redirfilter/usbdev|smartcard/certificate|sound/codec)',
      'devices/(?:interface|hostdev)/(?:source/)?(?:ip|route)',
      'devices/interface/(?:filterref/parameter|portForward|portForward/range|vlan/tag)',
      'cpu/(?:feature|numa/cell|numa/cell/(?:cache|distances/sibling)|numa/interconnects/(?:bandwidth|latency))',
      'cputune/(?:vcpupin|iothreadpin|vcpusched|iothreadsched)',
      'cputune/(?:cachetune|memorytune|cachetune/(?:cache|monitor)|memorytune/(?:node|monitor))',
      'os/(?:acpi/table|boot|firmware/feature|initarg|initenv|nvram/source/(?:host|seclabel|cookies/cookie))',
      'sysinfo(?:/entry|/baseBoard|/(?:baseBoard|bios|chassis|oemStrings|system)/entry)?',
      'seclabel|vcpus/vcpu|iothreadids/iothread|memoryBacking/hugepages/page|numatune/memnode|blkiotune/device',
      'clock/timer|idmap/(?:uid|gid)|keywrap/cipher|perf/event',
      'qemu:(?:commandline/qemu:(?:arg|env)|capabilities/qemu:(?:add|del)|override/qemu:device)',
      'qemu:override/qemu:device/qemu:frontend/qemu:property',
    ].join('|')})`,
    'domainsnapshot/disks/disk(?:/source/(?:host|seclabel|cookies/cookie))?',
    'network/(?:ip|route|portgroup|(?:portgroup/)?vlan/tag|forward/(?:interface|address)|dnsmasq:options/dnsmasq:option)',
    'network/(?:dns/(?:host|host/hostname|txt|srv|forwarder)|ip/dhcp/(?:host|range))',
    'device/(?:capability(?:/capability)?|devnode)',
    'device/capability/(?:attr|feature|iommuGroup/address|pci-express/link|capability/(?:address|type))',
    'device/capability/capability/fields(?:/(?:system|vendor)_field)?',
    'pool/source/(?:host|device|device/freeExtent)|volume/source/device(?:/extent)?',
    'pool/(?:fs:mount_opts/fs|rbd:config_opts/rbd):option',
    'capabilities/guest(?:/arch/(?:machine|domain|domain/machine))?',
    `capabilities/host/(?:${[
      'cpu/(?:feature|pages)|secmodel(?:/baselabel)?|migration_features/uri_transports/uri_transport',
      'cache/(?:bank|bank/control|monitor/feature)',
      'memory_bandwidth/(?:node|node/control|monitor/feature)',
      'topology/(?:cells/cell(?:/(?:cache|cpus/cpu|distances/sibling|pages))?|interconnects/(?:bandwidth|latency))',
    ].join('|')})`,
  ].join('|')})$`,
)

/**
 * A node as fast-xml-parser gives it in the document's order: `#text`, `#cdata`, or the name of an element after `<`,
 * so that no name is one that JavaScript gives a meaning to; `:@` has attributes with `@` before their names.
 */
interface ParsedNode {
  readonly '#text'?: string
  readonly '#cdata'?: readonly { readonly '#text': string }[]
  readonly ':@'?: Readonly<Record<string, string>>
  readonly [element: `<${string}`]: readonly ParsedNode[]
}

/**
 * Parses an XML description; the object has the root element as its only property. Entities are the five of XML and
 * those by number; what a document type defines is not known.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_BODY` when it is no XML, is over 4,194,304 characters, or nested deeper than 256.
 * @example
 * const { domain } = await parseDescription(await guest.XMLDesc())
 */
export async function parseDescription(xml: string): Promise<Description> {
  if (xml.length > CHARS_MAX) throw new LibvirtError('ERR_LIBVIRT_BODY', `XML of ${xml.length} characters`)
  // Loaded when somebody wants it: most who watch events do not.
  const { XMLParser, XMLValidator } = await import('fast-xml-parser')
  const valid = XMLValidator.validate(xml)
  if (valid !== true) throw noXML(`${valid.err.msg} in line ${valid.err.line}`)
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    cdataPropName: '#cdata',
    // The parser asks twice for an element without content.
    transformTagName: (name) => (name.startsWith('<') ? name : `<${name}`),
    parseTagValue: false,
    parseAttributeValue: false,
    processEntities: false,
    trimValues: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    maxNestedTags: DEPTH_MAX,
  })
  let nodes: readonly ParsedNode[]
  try {
    nodes = parser.parse(xml)
  } catch (error) {
    throw noXML(messageOf(error), error)
  }
  const root = descriptionOf({ '<': nodes }, '<', '')
  if (typeof root === 'string' || Object.keys(root).length !== 1 || Object.values(root).some(Array.isArray))
    throw noXML('not one root element')
  return root
}

function noXML(reason: string, cause?: unknown): LibvirtError {
  return new LibvirtError('ERR_LIBVIRT_BODY', `no XML: ${reason}`, { cause })
}

/** One element of a node; `path` is that of the element, and '' for the document. */
function descriptionOf(node: ParsedNode, element: `<${string}`, path: string): string | Description {
  const members = new Map<string, DescriptionValue>()
  for (const [name, value] of Object.entries(node[':@'] ?? {})) members.set(name, decoded(value))
  const children = node[element] ?? []
  const text = children.map(textOf).join('')
  const lists = Map.groupBy(
    children.flatMap((child) => elementOf(child, path)),
    ({ name }) => name,
  )
  for (const [name, list] of lists) {
    const values = list.map(({ value }) => value)
    const [first] = list
    const isList = values.length > 1 || LISTS.test(pathOf(name, path))
    if (first) members.set(name, isList ? values : first.value)
  }
  if (members.size === 0) return text
  if (text !== '') members.set('#text', text)
  return Object.fromEntries(members)
}

/** The text that a node is; '' for an element, and for white space between elements. */
function textOf(node: ParsedNode): string {
  const cdata = (node['#cdata'] ?? []).map((part) => part['#text']).join('')
  const text = node['#text'] ?? ''
  return /^[ \t\n]*$/.test(text) ? cdata : decoded(text) + cdata
}

/** The element that a node is, if it is one. */
function elementOf(node: ParsedNode, parent: string): { name: string; value: string | Description }[] {
  const key = Object.keys(node).find(isElement)
  if (key === undefined) return []
  const name = key.slice(1)
  return [{ name, value: descriptionOf(node, key, pathOf(name, parent)) }]
}

function pathOf(name: string, parent: string): string {
  return parent === '' ? name : `${parent}/${name}`
}

function isElement(key: string): key is `<${string}` {
  return key.startsWith('<')
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

/** Text without its references: XML 1.0 §4.1, §4.6. libxml2 writes `&#xE9;` into attributes of metadata. */
function decoded(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-fA-F]{1,8});|#([0-9]{1,10});|([a-z]{2,4});)?/g,
    (reference: string, hex?: string, decimal?: string, name = '') => {
      const code = hex ? Number.parseInt(hex, 16) : Number(decimal ?? 0)
      const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
      const character = isCharacter ? String.fromCodePoint(code) : ENTITIES.get(name)
      if (character === undefined) throw noXML(`the reference '${reference}' stands for nothing`)
      return character
    },
  )
}
