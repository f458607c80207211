import { type Document, isScalar, parseDocument, type ScalarTag, visit } from 'yaml'
import { Float } from '../msgpack/index.ts'

/** `name=value`, unless it is `name==value`; letters and digits of every script, as in Python (salt/utils/args.py). */
const KEYWORD = /^([\p{L}\p{Nl}\p{No}_][\p{L}\p{N}_.-]*)=(?!=)([^\n]*)\n?$/u

/** What YAML 1.1 calls printable; Python's reader refuses a text with anything else. */
const UNPRINTABLE = /[^\t\n\r\x20-\x7e\x85\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** Aliases that may be followed, against text that grows without bound. */
const ALIASES_MAX = 100

/** Arguments of a command line: those without a name, and those with one. */
export interface SaltArguments {
  readonly positional: unknown[]
  readonly keywords: Map<string, unknown>
}

/**
 * Reads arguments as the programs of Salt do (`salt.utils.args.parse_input`): `name=value` is a keyword, and every value is YAML where
 * that makes sense of it. Integers are exact, floats are `Float` where they are whole, maps are `Map`. The values of the
 * names in `noParse` stay text.
 */
export function parseInput(args: readonly string[], noParse: readonly string[] = []): SaltArguments {
  const positional: unknown[] = []
  const keywords = new Map<string, unknown>()
  for (const arg of args) {
    const [, name, value = ''] = KEYWORD.exec(arg) ?? []
    if (name === undefined) positional.push(yamlify(arg))
    else keywords.set(name, noParse.includes(name) ? value : yamlify(value))
  }
  return { positional, keywords }
}

/** One argument without its quotes is looked at again, and an integer of 20 digits is the id of a job: as Salt's programs do it. */
export function conditioned({ positional, keywords }: SaltArguments): SaltArguments {
  const rest: unknown[] = []
  const named = new Map<string, unknown>()
  for (const arg of positional) {
    const value = typeof arg === 'bigint' && /^\d{20}$/.test(String(arg)) ? String(arg) : arg
    const again = typeof value === 'string' ? KEYWORD.exec(value) : null
    if (again) named.set(again[1] ?? '', yamlify(again[2] ?? ''))
    else rest.push(value)
  }
  return { positional: rest, keywords: new Map([...named, ...keywords]) }
}

/**
 * The value that a text stands for: what YAML 1.1 makes of it, if that is null, a truth value, a number, a text, a map in braces or a
 * list in brackets; else the text itself (`salt.utils.args.yamlify_arg`).
 */
function yamlify(arg: string): unknown {
  const stripped = arg.trim()
  if (['', '---', '...'].includes(stripped)) return arg
  if (arg.includes('_') && /^[0-9_]+$/.test(stripped)) return arg
  if (/[\t\r\n]/.test(arg) || UNPRINTABLE.test(arg)) return arg
  if (arg === 'None') return null
  let value: unknown
  try {
    value = load(arg)
  } catch {
    return arg // what is no YAML is text: that is the rule, not an accident
  }
  return isMeant(arg, value) ? value : arg
}

/** Whether the value that YAML gives is what somebody on a command line means. */
function isMeant(arg: string, value: unknown): boolean {
  // A comment would be lost without a word.
  if (arg.includes('#')) return typeof value !== 'string' && value !== null
  if (value instanceof Map) return arg.startsWith('{')
  if (Array.isArray(value)) return arg.startsWith('[')
  if (value === '' && arg === '|') return false
  return !((value === null || value === '') && arg === '!')
}

/** @throws when the text is no YAML, or holds what Salt's loader does not take. */
function load(text: string): unknown {
  const document = parseDocument(text, {
    version: '1.1',
    schema: 'failsafe',
    customTags: (tags) => [...tags, ...SCALARS, ...SCALARS.map(tagged)],
    merge: true,
    logLevel: 'silent',
  })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem) throw problem
  checkAsPython(document, text)
  return checked(document.toJS({ mapAsMap: true, maxAliasCount: ALIASES_MAX }))
}

/** Refuses what PyYAML's parser, which is of YAML 1.1, refuses and this one takes. */
function checkAsPython(document: Document, text: string): void {
  visit(document, {
    Collection: (position, node) => checkProperties(node, position === null),
    Pair: (_, { key }) => {
      if (!isScalar(key) || key.type !== 'PLAIN') return
      const end = key.range?.[1] ?? 0
      const isOpen = text[end] === ':' && /[,[\]{}]/.test(text[end + 1] ?? '')
      if (key.source === '' || isOpen)
        throw new SyntaxError('a key without a value, or a value without a key')
    },
    Scalar: (position, node) => {
      const { type, source = '' } = node
      checkProperties(node, position === null)
      if (type !== 'PLAIN') return
      if (position !== 'key' && (source === '=' || source === '<<'))
        throw new SyntaxError(`${source} is no value`)
      if (/^[:?]/.test(source) && /^[[{]/.test(text)) throw new SyntaxError(`${source} begins no text`)
    },
  })
}

function checkProperties(node: { readonly anchor?: string; readonly tag?: string }, isRoot: boolean): void {
  const { anchor, tag } = node
  if (anchor !== undefined && !/^[\w-]+$/.test(anchor)) throw new SyntaxError(`${anchor} is no name`)
  if (tag === '!' && !isRoot) throw new SyntaxError('a tag without a name')
}

/** Python has no lists and maps as keys, and 1 is the same key as true. */
function checked(value: unknown): unknown {
  if (Array.isArray(value)) value.forEach(checked)
  if (!(value instanceof Map)) return value
  const seen = new Set<unknown>()
  for (const [key, item] of value) {
    if (Array.isArray(key) || key instanceof Map) throw new SyntaxError('a list or a map is no key')
    const plain = key instanceof Float ? key.value : typeof key === 'boolean' ? Number(key) : key
    if (seen.has(plain)) throw new SyntaxError(`key ${String(key)} comes twice`)
    seen.add(plain)
    checked(item)
  }
  return value
}

function scalar(tag: string, test: RegExp, resolve: (text: string) => unknown): ScalarTag {
  return { tag: `tag:yaml.org,2002:${tag}`, default: true, test, resolve }
}

/** The same where the type is written before the value: `!!int "3"`. */
function tagged({ tag, test, resolve }: ScalarTag): ScalarTag {
  return {
    tag,
    resolve: (text, onError, options) => {
      if (tag.endsWith('null')) return null
      const isFloat = tag.endsWith('float') && /^[-+]?\d[\d_]*(?:[eE][-+]?\d+)?$/.test(text)
      if (!isFloat && !test?.test(text)) throw new SyntaxError(`${text} is no ${tag}`)
      return resolve(text, onError, options)
    },
  }
}

/** The plain scalars of YAML 1.1 as PyYAML resolves them (yaml/resolver.py), which is not quite what YAML 1.1 says. */
const SCALARS: readonly ScalarTag[] = [
  scalar('null', /^(?:~|null|Null|NULL|)$/, () => null),
  scalar('bool', /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/, (text) =>
    ['yes', 'true', 'on'].includes(text.toLowerCase()),
  ),
  scalar(
    'int',
    /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/,
    integer,
  ),
  scalar(
    'float',
    /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
    float,
  ),
]

/** Digits of base 2, 8, 10, 16 or 60. Salt takes leading zeros away first, so that 010 is ten; -010 it does not see. */
function integer(text: string): number | bigint {
  const unpadded = /^0(?![bx])./.test(text) ? text.replace(/^0+/, '') || '0' : text
  const digits = unpadded.replaceAll('_', '')
  const negative = digits.startsWith('-')
  const value = magnitude(digits.replace(/^[-+]/, ''))
  const signed = negative ? -value : value
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
}

function magnitude(digits: string): bigint {
  if (digits === '' || /^0[bx]?$/.test(digits)) {
    if (digits === '0') return 0n
    throw new SyntaxError('a number without digits')
  }
  if (digits.includes(':')) return digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n)
  return BigInt(/^0[0-7]/.test(digits) ? `0o${digits}` : digits)
}

function float(text: string): number | Float {
  const plain = text.replaceAll('_', '').toLowerCase()
  const negative = plain.startsWith('-')
  const digits = plain.replace(/^[-+]/, '')
  const value = negative ? -sum(digits) : sum(digits)
  return Number.isInteger(value) ? new Float(value) : value
}

function sum(digits: string): number {
  if (digits === '.inf') return Number.POSITIVE_INFINITY
  if (digits === '.nan') return Number.NaN
  return digits.split(':').reduce((total, part) => total * 60 + Number(part), 0)
}
