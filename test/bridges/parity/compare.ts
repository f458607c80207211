import { isDeepStrictEqual } from 'node:util'
import { encode, type MsgpackValue } from '../../../src/msgpack/index.ts'
import { kindOf, type Seen } from './engines.ts'

/** A difference that is a fault of the real engine or of its libvirt bindings. */
interface Allowed {
  readonly name: string
  readonly kind: string
  /** Names with `.` between them. */
  readonly path: RegExp
  /** True for the pairs of values, the real engine's first, that differ for this reason. */
  readonly is: (real: unknown, ours: unknown) => boolean
  /** From these bindings on (`getVersion`) the difference is gone, or need not be seen. */
  readonly until?: number
}

/** The real engine has this one word where ours has one of these. */
function instead(word: string, ...ours: readonly string[]): Allowed['is'] {
  return (real, mine) => real === word && ours.includes(String(mine))
}

/** The real engine has a number of so many bits with a sign that it does not have. */
function signed(bits: number): Allowed['is'] {
  const isNegative = /^-\d+$/
  return (real, mine) =>
    isNegative.test(String(real)) && BigInt.asUintN(bits, BigInt(String(real))).toString() === String(mine)
}

/** Every difference that may be; docs/engine.md tells users those that they can meet. */
export const ALLOWED: readonly Allowed[] = [
  {
    name: "'defined' of a network is the beginning of another constant's name",
    kind: 'network/lifecycle',
    path: /^event$/,
    is: instead('id lifecycle', 'defined'),
    until: 9_008_000,
  },
  {
    name: "the prefix of a graphics address family has a '_' too many",
    kind: 'domain/graphics',
    path: /^(local|remote)\.family$/,
    is: instead('unknown', 'ipv4', 'ipv6', 'unix'),
  },
  {
    name: 'a detail whose name begins with that of another',
    kind: 'domain/lifecycle',
    path: /^detail$/,
    is: instead('unknown', 'postcopy failed'),
  },
  {
    name: 'a detail that is newer than the bindings',
    kind: 'domain/lifecycle',
    path: /^detail$/,
    is: instead('unknown', 'recreated', 'guest shutdown'),
    until: 11_006_000,
  },
  {
    name: 'the bindings take the size of a balloon from 2^63 on for a negative number',
    kind: 'domain/balloon_change',
    path: /^actual$/,
    is: signed(64),
  },
  {
    name: 'the bindings take an unsigned int parameter from 2^31 on for a negative number',
    kind: 'domain/tunable',
    path: /^params\./,
    is: signed(32),
  },
  {
    name: 'the same in the statistics of a job',
    kind: 'domain/job_completed',
    path: /^params\./,
    is: signed(32),
  },
]

/** What of one event differs. */
export interface Difference {
  readonly kind: string
  /** Its name in `ALLOWED`; undefined where it must not be. */
  readonly allowed: string | undefined
  readonly path: string
  readonly real: unknown
  readonly ours: unknown
}

/** The result of a comparison. */
export interface Compared {
  /** How many events of each kind were compared. */
  readonly counts: ReadonlyMap<string, number>
  readonly differences: readonly Difference[]
}

/** Every leaf of a value with its path, in the order in which the bus would carry them. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap && !Array.isArray(value)) return [[path, value]]
  // A float is an object whose class the wire keeps.
  if (isMap && Object.getPrototypeOf(value) !== Object.prototype) return [[path, value]]
  const entries = Object.entries(value)
  if (entries.length === 0) return [[`${path}${isMap ? '{}' : '[]'}`, null]]
  return entries.flatMap(([name, item]) => leaves(item, path === '' ? name : `${path}.${name}`))
}

/** Whether two values are the same on the bus: 1 and 1.0 are not. */
function isSame(a: unknown, b: unknown): boolean {
  // Leaves are what both the bus and JSON can carry.
  return encode(a as MsgpackValue).equals(encode(b as MsgpackValue))
}

function differencesOf(real: Seen, ours: Seen): Difference[] {
  const kind = kindOf(real)
  if (real.tag !== ours.tag)
    return [{ kind, allowed: undefined, path: 'tag', real: real.tag, ours: ours.tag }]
  const [left, right] = [leaves(real.data), leaves(ours.data)]
  const paths = [left, right].map((all) => all.map(([path]) => path))
  // Another field, or the same ones in another order.
  if (!isDeepStrictEqual(paths[0], paths[1]))
    return [{ kind, allowed: undefined, path: 'fields', real: real.data, ours: ours.data }]
  return left.flatMap(([path, value], index) => {
    const mine = right[index]?.[1]
    if (isSame(value, mine)) return []
    const rule = ALLOWED.find((one) => one.kind === kind && one.path.test(path) && one.is(value, mine))
    return [{ kind, allowed: rule?.name, path, real: value, ours: mine }]
  })
}

/** Compares two sequences of events one by one: tags, the fields and their order, and each value with its type. */
export function compare(real: readonly Seen[], ours: readonly Seen[]): Compared {
  const counts = new Map<string, number>()
  const differences: Difference[] = []
  for (let index = 0; index < Math.max(real.length, ours.length); index++) {
    const [one, other] = [real[index], ours[index]]
    if (!one || !other) {
      const kind = kindOf((one ?? other) as Seen) // the loop ends with the longer one
      differences.push({ kind, allowed: undefined, path: 'event', real: one, ours: other })
      continue
    }
    const kind = kindOf(one)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    differences.push(...differencesOf(one, other))
  }
  return { counts, differences }
}

function text(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

/** The comparison as lines of a table: kind, how it was provoked, events compared, differences. */
export function table(compared: readonly Compared[], how: Readonly<Record<string, string>>): string[] {
  return Object.entries(how).map(([kind, provoked]) => {
    const count = compared.reduce((sum, { counts }) => sum + (counts.get(kind) ?? 0), 0)
    const found = compared.flatMap(({ differences }) => differences.filter((one) => one.kind === kind))
    const words = new Set(found.map(({ real, ours }) => `${text(real)} is ${text(ours)}`))
    return `${kind} | ${provoked} | ${count} | ${words.size === 0 ? 'none' : [...words].join(', ')}`
  })
}
