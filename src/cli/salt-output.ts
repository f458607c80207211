import { write } from './output.ts'
import type { Outputter } from './salt-names.ts'

/** What the calls here return. */
export type Returned = boolean | null

/** How a return is printed. */
export interface OutputOptions {
  /** Default `nested`. */
  readonly out?: Outputter
  /** `--quiet` of salt-run: prints nothing. */
  readonly quiet?: boolean
}

/** Prints what a runner returned, as `salt-run` does. */
export async function printReturn(
  value: Returned,
  { out = 'nested', quiet = false }: OutputOptions,
): Promise<void> {
  if (quiet || out === 'quiet') return
  const isYaml = out === 'json' || out === 'yaml'
  await write(process.stdout, `${isYaml ? String(value) : python(value)}\n`)
}

/** Prints what a module returned, as `salt-call` does: under the name `local`. */
export async function printLocal(value: boolean, { out = 'nested' }: OutputOptions): Promise<void> {
  if (out === 'quiet') return
  await write(process.stdout, `${local(value, out)}\n`)
}

function local(value: boolean, out: Outputter): string {
  switch (out) {
    case 'json':
      return `{\n    "local": ${value}\n}`
    case 'yaml':
      return `local: ${value}`
    case 'txt':
    case 'text':
      return `local: ${python(value)}`
    case 'raw':
    case 'pprint':
      return `{'local': ${python(value)}}`
    case 'newline_values_only':
      return python(value)
    default:
      return `local:\n    ${python(value)}`
  }
}

function python(value: Returned): string {
  if (value === null) return 'None'
  return value ? 'True' : 'False'
}
