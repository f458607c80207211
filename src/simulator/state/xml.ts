import { enums } from '../../libvirt/index.ts'
import { refusal } from '../errors.ts'

/** Longest description that is read, in UTF-16 units. */
const XML_LENGTH_MAX = 1_048_576
/** Deepest nesting that is read. */
const XML_DEPTH_MAX = 64
/** Most elements in one description. */
const XML_ELEMENTS_MAX = 20_000

/** One element; `start` and `end` enclose it in the text it was read from. */
export interface XmlElement {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** Text directly inside, entities resolved, trimmed. */
  readonly text: string
  readonly start: number
  readonly end: number
}

interface OpenElement {
  readonly name: string
  readonly attributes: Map<string, string>
  readonly children: XmlElement[]
  readonly start: number
  text: string
}

const NAME = /^[A-Za-z_][\w.:-]*/
const ATTRIBUTE = /([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/gy
const SPACE = /\s*/y
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/**
 * Reads the elements of an XML text: what the descriptions of libvirt's objects need, in time linear in the text.
 * Comments, processing instructions and CDATA are read; a document type is refused, and with it every entity of one's own.
 *
 * @throws {SimulatorError} `ERR_SIMULATOR_REFUSED` with `VIR_ERR_XML_ERROR` when it is not well-formed or over a limit.
 */
export function parseXml(text: string): XmlElement {
  if (text.length > XML_LENGTH_MAX) throw bad(`text of ${text.length} characters, limit ${XML_LENGTH_MAX}`)
  return new Parser(text).parse()
}

class Parser {
  readonly #text: string
  readonly #open: OpenElement[] = []
  #root: XmlElement | undefined
  #elements = 0
  #offset = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): XmlElement {
    while (this.#offset < this.#text.length) {
      const tag = this.#text.indexOf('<', this.#offset)
      this.#characters(this.#text.slice(this.#offset, tag < 0 ? undefined : tag))
      if (tag < 0) break
      this.#offset = tag
      this.#markup()
    }
    if (this.#open.length > 0) throw bad(`element '${this.#open.at(-1)?.name}' is not closed`)
    if (!this.#root) throw bad('no element')
    return this.#root
  }

  #characters(raw: string): void {
    const element = this.#open.at(-1)
    if (element) element.text += unescapeXml(raw)
    else if (raw.trim() !== '') throw bad('text outside of the element')
  }

  #markup(): void {
    const text = this.#text
    const at = this.#offset
    if (text.startsWith('<!--', at)) this.#until('-->', at + 4)
    else if (text.startsWith('<![CDATA[', at)) {
      const end = this.#until(']]>', at + 9)
      const element = this.#open.at(-1)
      if (element) element.text += text.slice(at + 9, end)
    } else if (text.startsWith('<?', at)) this.#until('?>', at + 2)
    else if (text.startsWith('<!', at)) throw bad('a document type is not accepted')
    else if (text.startsWith('</', at)) this.#close(text.slice(at + 2, this.#until('>', at + 2)).trim())
    else this.#start(at)
  }

  /** Moves behind the next `mark`; returns where it begins. */
  #until(mark: string, from: number): number {
    const at = this.#text.indexOf(mark, from)
    if (at < 0) throw bad(`'${mark}' is missing`)
    this.#offset = at + mark.length
    return at
  }

  #start(at: number): void {
    const name = NAME.exec(this.#text.slice(at + 1, at + 257))?.[0]
    if (name === undefined) throw bad(`no name after '<' at ${at}`)
    if (++this.#elements > XML_ELEMENTS_MAX) throw bad(`over ${XML_ELEMENTS_MAX} elements`)
    if (this.#open.length >= XML_DEPTH_MAX) throw bad(`nested over ${XML_DEPTH_MAX} deep`)
    if (this.#root) throw bad('more than one outermost element')
    const attributes = new Map<string, string>()
    const end = this.#attributes(at + 1 + name.length, attributes)
    const empty = this.#text[end] === '/'
    if (this.#text[empty ? end + 1 : end] !== '>') throw bad(`element '${name}' is not closed by '>'`)
    this.#offset = end + (empty ? 2 : 1)
    this.#open.push({ name, attributes, children: [], start: at, text: '' })
    if (empty) this.#close(name)
  }

  #attributes(from: number, attributes: Map<string, string>): number {
    let at = this.#skipSpace(from)
    for (;;) {
      ATTRIBUTE.lastIndex = at
      const match = ATTRIBUTE.exec(this.#text)
      if (!match) return at
      attributes.set(match[1] ?? '', unescapeXml(match[2] ?? match[3] ?? ''))
      at = this.#skipSpace(ATTRIBUTE.lastIndex)
    }
  }

  #skipSpace(from: number): number {
    SPACE.lastIndex = from
    SPACE.test(this.#text)
    return SPACE.lastIndex
  }

  #close(name: string): void {
    const element = this.#open.pop()
    if (element?.name !== name) throw bad(`'</${name.slice(0, 64)}>' closes '${element?.name ?? ''}'`)
    const { attributes, children, start } = element
    const closed: XmlElement = {
      name,
      attributes,
      children,
      text: element.text.trim(),
      start,
      end: this.#offset,
    }
    const parent = this.#open.at(-1)
    if (parent) parent.children.push(closed)
    else this.#root = closed
  }
}

/** The first child of that name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((item) => item.name === name)
}

/** Text as it may stand between tags and in quotes. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&apos;')
    .replaceAll('"', '&quot;')
}

function unescapeXml(raw: string): string {
  if (!raw.includes('&')) return raw
  return raw.replace(/&(#x[0-9a-f]{1,6}|#[0-9]{1,7}|[a-z]{1,8});/gi, (_, entity: string) => {
    const known = ENTITIES[entity]
    if (known !== undefined) return known
    if (!entity.startsWith('#')) throw bad(`entity '${entity}' is not known`)
    const point = /^#x/i.test(entity) ? Number.parseInt(entity.slice(2), 16) : Number(entity.slice(1))
    if (point === 0 || point > 0x10ffff) throw bad(`character ${point} cannot be`)
    return String.fromCodePoint(point)
  })
}

function bad(what: string): Error {
  return refusal(enums.virErrorNumber.VIR_ERR_XML_ERROR, `malformed XML: ${what}`)
}
