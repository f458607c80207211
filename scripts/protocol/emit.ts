import type { Field, Protocol } from './parse.ts'

/** TypeScript and XDR calls of one field: `type` of the value, expressions to read it from `r` and write it to `w`. */
interface Code {
  type: string
  read: string
  write: (value: string) => string
}

export function pascal(name: string): string {
  return name
    .replace(/^[a-z]/, (c) => c.toUpperCase())
    .replaceAll(/_([A-Za-z0-9])/g, (_, c: string) => c.toUpperCase())
}

const SCALARS: Record<string, [type: string, method: string]> = {
  int: ['number', 'int'],
  'unsigned int': ['number', 'uint'],
  hyper: ['number | bigint', 'hyper'],
  'unsigned hyper': ['number | bigint', 'unsignedHyper'],
  double: ['number', 'double'],
  char: ['number', 'int'],
  'unsigned char': ['number', 'uint'],
  short: ['number', 'int'],
  'unsigned short': ['number', 'uint'],
}

const UUIDS: ReadonlySet<string> = new Set(['remote_uuid', 'virNetMessageUUID'])

/** Turns parsed definitions into TypeScript; `namespaceOf` names the import that a type of another file comes from. */
export class Emitter {
  readonly #protocol: Protocol
  readonly #constant: (name: string) => number

  constructor(protocol: Protocol, constant: (name: string) => number) {
    this.#protocol = protocol
    this.#constant = constant
  }

  field(field: Field): Code {
    if (field.kind === 'fixed' || field.kind === 'variable') return this.#sized(field)
    if (field.kind === 'optional') {
      const inner = pascal(field.type)
      if (this.#isString(field.type)) return this.#optionalString(field.type)
      return {
        type: `${inner} | null`,
        read: `r.optional(${inner})`,
        write: (value) => `w.optional(${inner}, ${value})`,
      }
    }
    return this.#plain(field.type)
  }

  #plain(type: string): Code {
    const scalar = SCALARS[type]
    if (scalar)
      return { type: scalar[0], read: `r.${scalar[1]}()`, write: (value) => `w.${scalar[1]}(${value})` }
    if (UUIDS.has(type)) return { type: 'string', read: 'r.uuid()', write: (value) => `w.uuid(${value})` }
    if (this.#protocol.enums.has(type))
      return { type: 'number', read: 'r.int()', write: (value) => `w.int(${value})` }
    const alias = this.#protocol.typedefs.get(type)
    if (alias) return this.field(alias)
    const name = pascal(type)
    return { type: name, read: `${name}.decode(r)`, write: (value) => `${name}.encode(w, ${value})` }
  }

  #isString(type: string): boolean {
    return this.#protocol.typedefs.get(type)?.type === 'string'
  }

  #optionalString(type: string): Code {
    const inner = this.#plain(type)
    return {
      type: 'string | null',
      read: `r.bool() ? ${inner.read} : null`,
      write: (value) => `w.bool(${value} !== null); if (${value} !== null) ${inner.write(value)}`,
    }
  }

  #sized(field: Field & { size: string }): Code {
    const size = this.#constant(field.size)
    const fixed = field.kind === 'fixed'
    if (field.type === 'string')
      return { type: 'string', read: `r.string(${size})`, write: (value) => `w.string(${value}, ${size})` }
    if (field.type === 'opaque' || field.type === 'char') {
      const method =
        field.type === 'char' ? (fixed ? 'fixedChars' : 'chars') : fixed ? 'fixedOpaque' : 'opaque'
      return {
        type: 'Buffer',
        read: `r.${method}(${size})`,
        write: (value) => `w.${method}(${value}, ${size})`,
      }
    }
    if (fixed) throw new Error(`fixed array of ${field.type} (${field.name})`)
    const element = this.#element(field.type)
    return {
      type: `${element.includes('|') ? `(${element})` : this.#plain(field.type).type.includes('|') ? `(${this.#plain(field.type).type})` : this.#plain(field.type).type}[]`,
      read: `r.array(${element}, ${size})`,
      write: (value) => `w.array(${element}, ${value}, ${size})`,
    }
  }

  /** The `XdrType` that stands for an array's element. */
  #element(type: string): string {
    if (this.#isString(type)) return 'NONNULL_STRING'
    const scalar = SCALARS[type]
    if (scalar) return scalar[1].replaceAll(/[A-Z]/g, (c) => `_${c}`).toUpperCase()
    if (UUIDS.has(type)) return 'UUID'
    if (this.#protocol.enums.has(type)) return 'INT'
    return pascal(type)
  }

  struct(name: string, fields: Field[]): string {
    const type = pascal(name)
    const codes = fields.map((field) => ({ name: field.name, ...this.field(field) }))
    const shape = codes.map((code) => `${code.name}: ${code.type}`).join('; ')
    const read = codes.map((code) => `${code.name}: ${code.read}`).join(', ')
    const write = codes.map((code) => code.write(`v.${code.name}`)).join('; ')
    return (
      `/** \`${name}\` */\nexport interface ${type} { ${shape} }\n` +
      `export const ${type}: XdrType<${type}> = {\n` +
      `  decode: (r) => ({ ${read} }),\n  encode: (w, v) => { ${write} },\n}\n`
    )
  }

  union(name: string, union: { on: Field; arms: { label: string; field: Field }[] }): string {
    const type = pascal(name)
    const arms = union.arms.map((arm) => ({ label: this.#constant(arm.label), code: this.field(arm.field) }))
    const values = [...new Set(arms.flatMap((arm) => arm.code.type.split(' | ')))].join(' | ')
    const reads = arms
      .map((arm) => `    case ${arm.label}: return { type, value: ${arm.code.read} }`)
      .join('\n')
    const writes = arms
      .map((arm) => {
        const want =
          arm.code.type === 'string' ? 'string' : arm.code.type.includes('bigint') ? 'integer' : 'number'
        return `    case ${arm.label}: ${arm.code.write(`${want}Of(v.value)`)}; break`
      })
      .join('\n')
    return (
      `/** \`${name}\`: the arm's number (${union.arms.map((arm) => arm.label).join(', ')}) and its value. */\n` +
      `export interface ${type} { type: number; value: ${values} }\n` +
      `export const ${type}: XdrType<${type}> = {\n  decode: (r) => {\n    const type = r.int()\n    switch (type) {\n${reads}\n` +
      `    default: throw new XdrError('ERR_XDR_VALUE', \`${name} has no arm \${type}\`)\n    }\n  },\n` +
      `  encode: (w, v) => {\n    w.int(v.type)\n    switch (v.type) {\n${writes}\n` +
      `    default: throw new XdrError('ERR_XDR_VALUE', \`${name} has no arm \${v.type}\`)\n    }\n  },\n}\n`
    )
  }
}
