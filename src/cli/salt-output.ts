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
  await print(quiet ? '' : returnText(value, out))
}

/** Prints what a module returned, as `salt-call` does: under the name `local`. */
export async function printLocal(value: boolean, { out = 'nested' }: OutputOptions): Promise<void> {
  await print(localText(value, out))
}

/** Salt prints no empty line for what has no text. */
async function print(text: string): Promise<void> {
  if (text !== '') await write(process.stdout, `${text}\n`)
}

/** A runner's return by an outputter of Salt. */
export function returnText(value: Returned, out: Outputter): string {
  if (out === 'quiet') return ''
  return out === 'json' || out === 'yaml' ? String(value) : python(value)
}

/** A module's return by an outputter of Salt. */
export function localText(value: boolean, out: Outputter): string {
  switch (out) {
    case 'quiet':
      return ''
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
