import { VirbusError } from '../core/errors.ts'
import { conditioned, parseInput } from './salt-args.ts'

/** `ERR_CLI_SALT_ARGUMENTS`: the arguments do not fit the function of Salt that is called. */
export class SaltArgumentsError extends VirbusError<'ERR_CLI_SALT_ARGUMENTS'> {}

/** How a function of Salt is called: names in the order of its arguments. */
export interface Signature {
  readonly required: readonly string[]
  readonly optional: readonly string[]
  /** Takes names that it does not know. */
  readonly takesOthers?: boolean
}

/** Arguments by name, those that the function does not know apart. */
export interface Call {
  readonly args: ReadonlyMap<string, unknown>
  readonly others: ReadonlyMap<string, unknown>
}

/**
 * Gives the words of a command line the names of a function's arguments, as Salt's programs do.
 *
 * @throws {SaltArgumentsError} ERR_CLI_SALT_ARGUMENTS when one is missing, comes twice, or is not known.
 */
export function callOf(
  name: string,
  signature: Signature,
  words: readonly string[],
  noParse: readonly string[],
): Call {
  const { positional, keywords } = conditioned(parseInput(words, noParse))
  const names = [...signature.required, ...signature.optional]
  const fail = (what: string): never => {
    throw new SaltArgumentsError('ERR_CLI_SALT_ARGUMENTS', `${name}: ${what}`)
  }
  if (positional.length > names.length)
    fail(`takes ${names.length} arguments (${names.join(', ')}), ${positional.length} were given`)
  const args = new Map(positional.map((value, index) => [names[index] ?? '', value]))
  const others = new Map<string, unknown>()
  for (const [key, value] of keywords) {
    if (args.has(key)) fail(`${key} was given twice`)
    if (names.includes(key)) args.set(key, value)
    else if (signature.takesOthers) others.set(key, value)
    else fail(`has no argument ${key}; it takes ${names.join(', ')}`)
  }
  const missing = signature.required.filter((key) => !args.has(key))
  if (missing.length > 0) fail(`${missing.join(' and ')} missing`)
  return { args, others }
}

/** An argument that has to be text; anything else cannot be what was meant. */
export function textArgument(name: string, { args }: Call, key: string, otherwise?: string): string {
  const value = args.get(key) ?? otherwise
  if (typeof value === 'string') return value
  throw new SaltArgumentsError(
    'ERR_CLI_SALT_ARGUMENTS',
    `${name}: ${key} has to be text, not ${typeof value === 'object' ? 'a structure' : String(value)}; --no-parse=${key} leaves it as it is`,
  )
}

/** An argument that has to be a map. */
export function mapArgument(name: string, { args }: Call, key: string): Map<unknown, unknown> {
  const value = args.get(key)
  if (value instanceof Map) return value
  throw new SaltArgumentsError(
    'ERR_CLI_SALT_ARGUMENTS',
    `${name}: ${key} has to be a map, such as '{key: value}'`,
  )
}

/** Python's idea of what is true. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Map) return value.size > 0
  return Boolean(value?.valueOf())
}
