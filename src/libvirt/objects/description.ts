import { messageOf } from '../../core/errors.ts'
import { LibvirtError } from '../errors.ts'

/**
 * One element of a description. Attributes are properties with `@` before their names, child elements properties with
 * their names; one that occurs once is itself, one that occurs several times an array, and those that libvirt's schemas
 * let occur several times (`disk`, `interface` …) are arrays also when there is one. Text beside others is `#text`.
 * All values are text, as in the document.
 */
export interface Description {
  readonly [name: string]: DescriptionValue
}

/** Text, an element, or several of them. */
export type DescriptionValue = string | Description | readonly (string | Description)[]

/** The longest description that libvirt's protocol carries, in characters (REMOTE_STRING_MAX). */
const CHARS_MAX = 4_194_304

/** Elements that may occur several times in their parent, by their place. */
const LISTS = new RegExp(
  [
    // Everything under <devices> but the few that a guest has at most one of.
    '^domain\\.devices\\.(?!emulator$|memballoon$|vsock$|nvram$)[a-z]+$',
    '^domain\\.(seclabel|iothreads\\.iothread|os\\.boot|cpu\\.feature|cpu\\.numa\\.cell|cputune\\.(vcpupin|iothreadpin))$',
    '^network\\.(ip|route|portgroup|dns\\.(host|txt|srv|forwarder)|ip\\.dhcp\\.(host|range)|forward\\.(interface|address|pf))$',
    '^device\\.(capability|capability\\.capability|devnode)$',
    '^capabilities\\.(guest|guest\\.arch\\.(machine|domain)|host\\.secmodel|host\\.cpu\\.(feature|pages)|host\\.topology\\.cells\\.cell)$',
    '^(pool\\.source\\.(host|device)|domainsnapshot\\.disks\\.disk)$',
  ].join('|'),
)

/**
 * Parses an XML description; the object has the root element as its only property.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_BODY` when it is no XML, has a document type, or is over 4,194,304 characters.
 * @example
 * const { domain } = await parseDescription(await guest.XMLDesc())
 */
export async function parseDescription(xml: string): Promise<Description> {
  if (xml.length > CHARS_MAX) throw new LibvirtError('ERR_LIBVIRT_BODY', `XML of ${xml.length} characters`)
  if (/<!DOCTYPE/i.test(xml)) throw new LibvirtError('ERR_LIBVIRT_BODY', 'XML with a document type')
  // Loaded when somebody wants it: most who watch events do not.
  const { XMLParser, XMLValidator } = await import('fast-xml-parser')
  const valid = XMLValidator.validate(xml)
  if (valid !== true)
    throw new LibvirtError('ERR_LIBVIRT_BODY', `no XML: ${valid.err.msg} in line ${valid.err.line}`)
  try {
    const parser = new XMLParser({
      ignoreAttributes: false,
      attributeNamePrefix: '@',
      parseTagValue: false,
      parseAttributeValue: false,
      ignoreDeclaration: true,
      ignorePiTags: true,
      isArray: (_, path) => LISTS.test(String(path)),
    })
    return parser.parse(xml)
  } catch (error) {
    throw new LibvirtError('ERR_LIBVIRT_BODY', `no XML: ${messageOf(error)}`, { cause: error })
  }
}
