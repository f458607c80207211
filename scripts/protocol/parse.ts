/** Parser of the subset of the XDR language (RFC 4506 §6) that libvirt's `.x` files use. */

export type Field =
  | { name: string; kind: 'plain' | 'optional'; type: string }
  | { name: string; kind: 'fixed' | 'variable'; type: string; size: string }

export interface Protocol {
  consts: Map<string, string>
  enums: Map<string, { name: string; value: string; notes: string[] }[]>
  structs: Map<string, Field[]>
  typedefs: Map<string, Field>
  unions: Map<string, { on: Field; arms: { label: string; field: Field }[] }>
}

const IDENTIFIER = '[A-Za-z_][A-Za-z0-9_]*'
const DECLARATION = new RegExp(
  `^(?<type>(?:unsigned\\s+)?${IDENTIFIER})\\s*(?<star>\\*)?\\s*(?<name>${IDENTIFIER})\\s*(?:(?<open>[<[])(?<size>[^>\\]]*)[>\\]])?$`,
)

function parseField(text: string): Field {
  const normal = text
    .trim()
    .replace(/^unsigned\s+(?!int|hyper|char|short)/, 'unsigned int ')
    .replaceAll(/\s+/g, ' ')
  const groups = DECLARATION.exec(normal)?.groups
  if (!groups) throw new Error(`not a declaration: ${text}`)
  const { type = '', name = '', size = '' } = groups
  if (groups['open'] === '<') return { name, type, kind: 'variable', size: size.trim() }
  if (groups['open'] === '[') return { name, type, kind: 'fixed', size: size.trim() }
  return { name, type, kind: groups['star'] ? 'optional' : 'plain' }
}

function fieldsOf(body: string): Field[] {
  return body
    .split(';')
    .filter((part) => part.trim() !== '')
    .map(parseField)
}

function stripComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '')
}

function parseEnum(body: string): { name: string; value: string; notes: string[] }[] {
  const entries: { name: string; value: string; notes: string[] }[] = []
  let next = 0
  const entry = new RegExp(
    `((?:\\s*/\\*[\\s\\S]*?\\*/)*)\\s*(${IDENTIFIER})(?:\\s*=\\s*([^,/]+?))?\\s*(?:,|$|(?=/\\*))`,
    'y',
  )
  const text = body.trim()
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text)
    if (!match) break
    // Only the comment next to the entry is about it.
    const comment = (match[1] ?? '').split('/*').at(-1) ?? ''
    const notes = [...comment.matchAll(/@(\w+:?\s*[^\n*]*)/g)].map((note) => (note[1] ?? '').trim())
    const value = match[3]?.trim() ?? String(next)
    next = Number(value) + 1
    entries.push({ name: match[2] ?? '', value, notes })
  }
  return entries
}

function parseUnion(body: string, on: string): { on: Field; arms: { label: string; field: Field }[] } {
  const arms = [...body.matchAll(/case\s+(\w+)\s*:\s*([^;]+);/g)].map((arm) => ({
    label: arm[1] ?? '',
    field: parseField(arm[2] ?? ''),
  }))
  return { on: parseField(on), arms }
}

/** The matches of a pattern with its groups as strings. */
function* definitions(
  text: string,
  pattern: RegExp,
): Generator<[first: string, second: string, third: string]> {
  for (const [, first = '', second = '', third = ''] of text.matchAll(pattern)) yield [first, second, third]
}

/** Adds the definitions of one `.x` file to `protocol`. */
export function parseInto(protocol: Protocol, source: string): void {
  const text = source.replaceAll(/^%.*$/gm, '')
  for (const [name, body] of definitions(text, /^enum\s+(\w+)\s*\{([\s\S]*?)^\}\s*;/gm))
    protocol.enums.set(name, [...(protocol.enums.get(name) ?? []), ...parseEnum(body)])
  const bare = stripComments(text)
  for (const [name, value] of definitions(bare, /^const\s+(\w+)\s*=\s*([^;]+);/gm))
    protocol.consts.set(name, value.trim())
  for (const [declaration] of definitions(bare, /^typedef\s+([^;]+);/gm)) {
    const field = parseField(declaration)
    protocol.typedefs.set(field.name, field)
  }
  for (const [name, body] of definitions(bare, /^struct\s+(\w+)\s*\{([\s\S]*?)^\}\s*;/gm))
    protocol.structs.set(name, fieldsOf(body))
  for (const [name, on, body] of definitions(
    bare,
    /^union\s+(\w+)\s+switch\s*\(([^)]*)\)\s*\{([\s\S]*?)^\}\s*;/gm,
  ))
    protocol.unions.set(name, parseUnion(body, on))
}

/** A protocol without definitions. */
export function emptyProtocol(): Protocol {
  return { consts: new Map(), enums: new Map(), structs: new Map(), typedefs: new Map(), unions: new Map() }
}

export interface PublicEnum {
  name: string
  values: { name: string; value: number; since: string }[]
}

/**
 * The public enums of one header of `include/libvirt/`, in order, with the release that each value came with.
 * `known`: values of all headers so far, added to; a value that refers to a later header comes out as NaN the first time.
 */
export function parseHeader(
  source: string,
  known: Map<string, number>,
): { enums: PublicEnum[]; defines: Map<string, string> } {
  const enums: PublicEnum[] = []
  for (const match of source.matchAll(/typedef\s+enum\s*\{([\s\S]*?)\}\s*(\w+)\s*;/g)) {
    enums.push({ name: match[2] ?? '', values: enumValues(match[1] ?? '', known) })
  }
  const defines = new Map<string, string>()
  for (const match of source.matchAll(/^#\s*define\s+(\w+)\s+\(?([-\w]+)\)?\s*$/gm))
    defines.set(match[1] ?? '', match[2] ?? '')
  for (const match of source.matchAll(/^#\s*define\s+(VIR_\w+_BUFLEN)\s+\((\d+)\s*\+\s*(\d+)\)/gm))
    defines.set(match[1] ?? '', String(Number(match[2]) + Number(match[3])))
  return { enums, defines }
}

function enumValues(body: string, known: Map<string, number>): PublicEnum['values'] {
  const values: PublicEnum['values'] = []
  // "# ifdef VIR_ENUM_SENTINELS … # endif" hides the *_LAST values, which are not part of the API.
  const text = body
    .replaceAll(/#\s*ifdef VIR_ENUM_SENTINELS[\s\S]*?#\s*endif[^\n]*/g, '')
    .replaceAll(/^#.*$/gm, '')
  const tokens = text.matchAll(/\/\*([\s\S]*?)\*\/|(\w+)\s*(?:=\s*([^,/]+?))?\s*(?=,|\/\*|$)/g)
  let next = 0
  for (const token of tokens) {
    const last = values.at(-1)
    if (token[1] !== undefined) {
      const since = /Since:\s*([\d.]+)/.exec(token[1])?.[1]
      if (last && since && last.since === '') last.since = since
    } else if (token[2]?.startsWith('VIR_')) {
      const value = token[3] === undefined ? next : evaluate(token[3], known)
      next = value + 1
      known.set(token[2], value)
      values.push({ name: token[2], value, since: '' })
    }
  }
  return values
}

function evaluate(expression: string, known: ReadonlyMap<string, number>): number {
  const text = expression.trim()
  const shift = /^\(?\s*(\d+)U?\s*<<\s*(\d+)\s*\)?$/.exec(text)
  if (shift) return Number(shift[1]) * 2 ** Number(shift[2])
  if (/^-?(0x[0-9a-fA-F]+|\d+)U?$/.test(text)) return Number(text.replace(/U$/, ''))
  const parts = text
    .replaceAll(/[()]/g, '')
    .split('|')
    .map((part) => known.get(part.trim()))
  if (parts.every((part) => part !== undefined))
    return parts.reduce((sum: number, part) => sum | (part ?? 0), 0)
  return Number.NaN
}
