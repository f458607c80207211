import { LibvirtError } from '../errors.ts'
import { virTypedParameterType } from '../protocol/enums.gen.ts'
import type { RemoteTypedParam } from '../protocol/remote.gen.ts'

/**
 * Typed parameters as a plain object: `{ 'state.state': 1, 'cpu.time': 4822000000 }`. Integers are numbers when exact
 * and bigints otherwise, `boolean` is boolean.
 */
export type TypedParams = Readonly<Record<string, number | bigint | boolean | string>>

/** A parameter whose type is said: `int`, `uint`, `llong`, `ullong`, `double`. */
export interface TypedValue {
  readonly type: 'int' | 'uint' | 'llong' | 'ullong' | 'double'
  readonly value: number | bigint
}

/** Parameters to set. Numbers are of the type that the daemon itself gives for the name, or that is said. */
export type SettableParams = Readonly<Record<string, number | bigint | boolean | string | TypedValue>>

const TYPES = {
  int: virTypedParameterType.VIR_TYPED_PARAM_INT,
  uint: virTypedParameterType.VIR_TYPED_PARAM_UINT,
  llong: virTypedParameterType.VIR_TYPED_PARAM_LLONG,
  ullong: virTypedParameterType.VIR_TYPED_PARAM_ULLONG,
  double: virTypedParameterType.VIR_TYPED_PARAM_DOUBLE,
  boolean: virTypedParameterType.VIR_TYPED_PARAM_BOOLEAN,
  string: virTypedParameterType.VIR_TYPED_PARAM_STRING,
} as const

/** Turns what came from a daemon into a plain object; every name is an own property, `__proto__`, too. */
export function paramsOf(list: readonly RemoteTypedParam[]): TypedParams {
  return Object.fromEntries(
    list.map(({ field, value: { type, value } }) => [field, type === TYPES.boolean ? value !== 0 : value]),
  )
}

/** Whether there are plain numbers, whose types only the daemon knows. */
export function hasUntyped(params: SettableParams): boolean {
  return Object.values(params).some((given) => typeof given === 'number' || typeof given === 'bigint')
}

/**
 * Turns a plain object into what a daemon takes. `known`: parameters of the same names as the daemon gave them, for the
 * types of plain numbers.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_ARGUMENT` when a plain number's type is not known.
 */
export function listOf(params: SettableParams, known: readonly RemoteTypedParam[] = []): RemoteTypedParam[] {
  const types = new Map(known.map(({ field, value }) => [field, value.type]))
  return Object.entries(params).map(([field, given]) => {
    if (typeof given === 'object') return { field, value: { type: TYPES[given.type], value: given.value } }
    if (typeof given === 'string') return { field, value: { type: TYPES.string, value: given } }
    if (typeof given === 'boolean') return { field, value: { type: TYPES.boolean, value: given ? 1 : 0 } }
    const type = types.get(field)
    if (type === undefined)
      throw new LibvirtError(
        'ERR_LIBVIRT_ARGUMENT',
        `the type of '${field}' is not known here; say it: { type: 'ullong', value: ${given} }`,
      )
    return { field, value: { type, value: given } }
  })
}
