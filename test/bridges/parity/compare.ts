import { isDeepStrictEqual } from 'node:util'
import type { MsgpackValue } from '../../../src/msgpack/index.ts'
import { typed } from '../../support/python.ts'
import { kindOf, type Seen } from './engines.ts'

/** A difference that is a fault of the real engine, and what is right instead. Paths have `.` between names. */
interface Allowed {
  readonly name: string
  readonly kind: string
  readonly path: RegExp
  readonly real: string
  readonly ours: RegExp
}

/** Every difference that may be: docs/engine.md says why each is there. */
export const ALLOWED: readonly Allowed[] = [
  {
    name: 'network defined',
    kind: 'network/lifecycle',
    path: /^event$/,
    real: 'id lifecycle',
    ours: /^defined$/,
  },
  {
    name: 'graphics address family',
    kind: 'domain/graphics',
    path: /^(local|remote)\.family$/,
    real: 'unknown',
    ours: /^(ipv4|ipv6|unix)$/,
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

function isSame(a: unknown, b: unknown): boolean {
  // Leaves are what both the bus and JSON can carry.
  return isDeepStrictEqual(typed(a as MsgpackValue), typed(b as MsgpackValue))
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
    const rule = ALLOWED.find(
      (one) => one.kind === kind && one.path.test(path) && value === one.real && one.ours.test(String(mine)),
    )
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

/** The comparison as lines of a table: kind, how it was provoked, events compared, differences. */
export function table(compared: readonly Compared[], how: Readonly<Record<string, string>>): string[] {
  return Object.entries(how).map(([kind, provoked]) => {
    const count = compared.reduce((sum, { counts }) => sum + (counts.get(kind) ?? 0), 0)
    const found = compared.flatMap(({ differences }) => differences.filter((one) => one.kind === kind))
    const words = new Set(found.map(({ real, ours }) => `${JSON.stringify(real)} is ${JSON.stringify(ours)}`))
    return `${kind} | ${provoked} | ${count} | ${words.size === 0 ? 'none' : [...words].join(', ')}`
  })
}
