import { VirbusError } from '../core/errors.ts'
import { globMatcher } from '../core/glob.ts'

/** `ERR_CLI_WHERE`: the condition of `--where` cannot be read; the message says at which character. */
export class WhereError extends VirbusError<'ERR_CLI_WHERE'> {}

/** What a condition looks at. */
export interface Subject {
  readonly tag: string
  readonly data: unknown
}

type Condition = (subject: Subject) => boolean
type Value = string | number | boolean | null
type Token = { readonly at: number } & (
  | { readonly kind: 'path'; readonly path: readonly string[] }
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'operator'; readonly text: string }
)

const CHARS_MAX = 10_000
const DEPTH_MAX = 100
const PATTERN =
  /\s*(?:(?<operator>==|!=|<=|>=|&&|\|\||[<>!()])|(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?<word>[\p{L}_][\p{L}\p{N}_-]*(?:\.[\p{L}\p{N}_-]+|\["(?:[^"\\]|\\.)*"\])*))/uy

/**
 * Reads a condition: `data.domain.name == "web*" and not (data.event == "started" or data.domain.id < 3)`.
 *
 * - `tag`, `data` and what is in it by its name (`data.domain.name`, `data["a name"]`, `data.list.0`);
 * - `==`, `!=` with a text are globs, with numbers, `true`, `false`, `null` they are equality; `<`, `<=`, `>`, `>=` compare numbers, or texts;
 * - a path alone: whether it is there and not null, false, 0 or empty;
 * - `and`, `or`, `not`, also as `&&`, `||`, `!`, and parentheses.
 *
 * @throws {WhereError} `ERR_CLI_WHERE`.
 */
export function parseWhere(text: string): Condition {
  if (text.length > CHARS_MAX)
    throw new WhereError('ERR_CLI_WHERE', `a condition of over ${CHARS_MAX} characters`)
  return new Parser(text).parse()
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  PATTERN.lastIndex = 0
  for (let at = 0; at < text.trimEnd().length; at = PATTERN.lastIndex) {
    const groups = PATTERN.exec(text)?.groups
    if (!groups) throw wrong(text, at)
    const { operator, string, number, word } = groups
    if (operator !== undefined) tokens.push({ at, kind: 'operator', text: operator })
    else if (string !== undefined) tokens.push({ at, kind: 'value', value: unquoted(string) })
    else if (number !== undefined) tokens.push({ at, kind: 'value', value: Number(number) })
    else if (word !== undefined) tokens.push(wordToken(text, word, at))
  }
  return tokens
}

const OPERATOR_WORDS: Readonly<Record<string, string>> = { and: '&&', or: '||', not: '!' }
const VALUE_WORDS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['false', false],
  ['null', null],
])

function wordToken(text: string, word: string, at: number): Token {
  const operator = Object.hasOwn(OPERATOR_WORDS, word) ? OPERATOR_WORDS[word] : undefined
  if (operator !== undefined) return { at, kind: 'operator', text: operator }
  const value = VALUE_WORDS.get(word)
  if (value !== undefined) return { at, kind: 'value', value }
  const path = [...word.matchAll(/\["((?:[^"\\]|\\.)*)"\]|[^.[]+/g)].map(([part, quoted]) =>
    quoted === undefined ? part : unquoted(`"${quoted}"`),
  )
  if (path[0] !== 'tag' && path[0] !== 'data') throw wrong(text, at, 'a name begins with tag or data')
  return { at, kind: 'path', path }
}

function unquoted(string: string): string {
  return string.slice(1, -1).replaceAll(/\\(.)/gs, '$1')
}

function wrong(text: string, at: number, why = 'not understood'): WhereError {
  const rest = text.slice(at).trim().slice(0, 20)
  const where = rest === '' ? 'at the end' : `at '${rest}'`
  return new WhereError('ERR_CLI_WHERE', `--where: ${why} ${where} (character ${at + 1})`)
}

class Parser {
  readonly #text: string
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
    this.#tokens = tokensOf(text)
  }

  parse(): Condition {
    const condition = this.#or()
    if (this.#next < this.#tokens.length) throw this.#wrong()
    return condition
  }

  #or(): Condition {
    if (++this.#depth > DEPTH_MAX) throw this.#wrong('too deep')
    const parts = [this.#and()]
    while (this.#takes('||')) parts.push(this.#and())
    this.#depth--
    return (subject) => parts.some((part) => part(subject))
  }

  #and(): Condition {
    const parts = [this.#not()]
    while (this.#takes('&&')) parts.push(this.#not())
    return (subject) => parts.every((part) => part(subject))
  }

  #not(): Condition {
    if (this.#takes('!')) {
      if (++this.#depth > DEPTH_MAX) throw this.#wrong('too deep')
      const inner = this.#not()
      this.#depth--
      return (subject) => !inner(subject)
    }
    if (!this.#takes('(')) return this.#comparison()
    const inner = this.#or()
    if (!this.#takes(')')) throw this.#wrong('expected )')
    return inner
  }

  #comparison(): Condition {
    const token = this.#tokens[this.#next++]
    if (token?.kind !== 'path') {
      this.#next--
      throw this.#wrong('expected a name such as data.event')
    }
    const { path } = token
    const operator = this.#tokens[this.#next]
    if (operator?.kind !== 'operator' || !Object.hasOwn(COMPARE, operator.text))
      return (subject) => Boolean(at(subject, path))
    this.#next++
    const value = this.#tokens[this.#next++]
    if (value?.kind !== 'value') {
      this.#next--
      throw this.#wrong('expected a text in quotes, a number, true, false or null')
    }
    const compare = COMPARE[operator.text]?.(value.value)
    return (subject) => compare?.(at(subject, path)) ?? false
  }

  #takes(operator: string): boolean {
    const token = this.#tokens[this.#next]
    const is = token?.kind === 'operator' && token.text === operator
    if (is) this.#next++
    return is
  }

  #wrong(why?: string): WhereError {
    return wrong(this.#text, this.#tokens[this.#next]?.at ?? this.#text.length, why)
  }
}

/** What is at a path; undefined when there is nothing. */
export function at(subject: Subject, path: readonly string[]): unknown {
  let value: unknown = subject
  for (const name of path) {
    if (value instanceof Map) value = value.get(name)
    else if (typeof value === 'object' && value !== null && Object.hasOwn(value, name))
      value = Reflect.get(value, name)
    else return undefined
  }
  return plain(value)
}

/** Numbers that are kept exact, as what they are. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return 'value' in value && typeof value.value === 'number' ? value.value : value
}

type Compare = (wanted: Value) => (found: unknown) => boolean

const equals: Compare = (wanted) => {
  if (typeof wanted === 'string') {
    const matches = globMatcher(wanted)
    return (found) => typeof found === 'string' && matches(found)
  }
  if (wanted === null) return (found) => found === null || found === undefined
  return (found) => (typeof found === 'bigint' ? Number(found) : found) === wanted
}

/** Numbers with numbers and texts with texts; anything else is neither less nor more. */
function ordered(holds: (order: number) => boolean): Compare {
  return (wanted) => (found) => {
    if (typeof wanted === 'string') return typeof found === 'string' && holds(order(found, wanted))
    const number = typeof found === 'bigint' ? Number(found) : found
    return typeof number === 'number' && typeof wanted === 'number' && holds(number - wanted)
  }
}

function order(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

const COMPARE: Readonly<Record<string, Compare>> = {
  '==': equals,
  '!=': (wanted) => {
    const equal = equals(wanted)
    return (found) => !equal(found)
  },
  '<': ordered((difference) => difference < 0),
  '<=': ordered((difference) => difference <= 0),
  '>': ordered((difference) => difference > 0),
  '>=': ordered((difference) => difference >= 0),
}
