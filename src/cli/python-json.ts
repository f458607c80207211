/** JSON text that is printed as it is. */
export class Verbatim {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** How `json.dumps` of Python is to be imitated. */
export interface DumpOptions {
  /** Spaces a level; without it, one line. */
  readonly indent?: number
  /** Keys in the order of their code points; those of a map that has numbers only, in the order of the numbers. */
  readonly sortKeys?: boolean
  /** What stands for a value that JSON does not have: bytes, extension types. */
  readonly fallback: (value: unknown) => unknown
}

/**
 * JSON as Python's `json.dumps(…, ensure_ascii=False)` writes it: `, ` and `: ` between the parts, integers of any size exact,
 * floats by the shortest digits that give the same float back, NaN and Infinity by name, keys that are no strings as their text.
 */
export function dumps(value: unknown, options: DumpOptions): string {
  return write(value, options, '\n')
}

function write(value: unknown, options: DumpOptions, newline: string): string {
  if (value === null || value === undefined) return 'null'
  if (value instanceof Verbatim) return value.text
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : float(value)
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => write(item, options, indented(newline, options)))
    return enclose('[', items, ']', options, newline)
  }
  if (value instanceof Map) return writeEntries([...value], options, newline)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype)
    return writeEntries(Object.entries(value), options, newline)
  return write(options.fallback(value), options, newline)
}

function writeEntries(
  entries: readonly (readonly [unknown, unknown])[],
  options: DumpOptions,
  newline: string,
): string {
  const inSequence = options.sortKeys && entries.every(([key]) => isNumber(key))
  const ordered = inSequence ? entries.toSorted(([a], [b]) => (Number(a) < Number(b) ? -1 : 1)) : entries
  const named = ordered.map(([key, value]) => [keyText(key, options), value] as const)
  if (options.sortKeys && !inSequence) named.sort(([a], [b]) => byCodePoints(a, b))
  const inner = indented(newline, options)
  const items = named.map(([key, value]) => `${JSON.stringify(key)}: ${write(value, options, inner)}`)
  return enclose('{', items, '}', options, newline)
}

function isNumber(key: unknown): boolean {
  return typeof key === 'number' || typeof key === 'bigint'
}

function keyText(key: unknown, options: DumpOptions): string {
  if (typeof key === 'string') return key
  const replaced = typeof key === 'object' && key !== null ? options.fallback(key) : key
  return typeof replaced === 'string' ? replaced : write(replaced, options, '\n')
}

function indented(newline: string, { indent }: DumpOptions): string {
  return indent === undefined ? newline : newline + ' '.repeat(indent)
}

function enclose(
  open: string,
  items: readonly string[],
  close: string,
  options: DumpOptions,
  newline: string,
): string {
  if (items.length === 0) return open + close
  if (options.indent === undefined) return open + items.join(', ') + close
  const inner = indented(newline, options)
  return open + inner + items.join(`,${inner}`) + newline + close
}

/** `repr` of a Python float: exponent form outside 1e-4 … 1e16, `.0` behind whole numbers. */
export function float(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  if (Object.is(value, -0)) return '-0.0'
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    const digits = String(Math.abs(exponent)).padStart(2, '0')
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${digits}`
  }
  const text =
    exponent < 0 ? value.toFixed(mantissa.replace(/[-.]/g, '').length - 1 - exponent) : String(value)
  return text.includes('.') ? text : `${text}.0`
}

function byCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
