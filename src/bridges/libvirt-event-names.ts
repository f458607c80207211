import { EVENT_KINDS, type EventKind } from '../libvirt/index.ts'
import { BridgeError } from './errors.ts'

/** An event kind under the name that it has in filters and tags: `domain/io_error`. */
export interface NamedKind {
  readonly object: EventKind['object']
  readonly name: string
  readonly kind: EventKind
}

/**
 * Kinds whose name differs from libvirt's: the Salt engine relays the fuller of two events under the plain name,
 * and never the poorer one (CALLBACK_DEFS of salt/engines/libvirt_events.py).
 */
const RENAMED: Readonly<Record<string, string>> = { io_error_reason: 'io_error', block_job_2: 'block_job' }
const LEFT_OUT: ReadonlySet<string> = new Set(['io_error', 'block_job'])

/** Every kind that can be relayed. The names of those that the Salt engine has are its names. */
const NAMED_KINDS: readonly NamedKind[] = EVENT_KINDS.filter(
  ({ object, kind }) => object !== 'domain' || !LEFT_OUT.has(kind),
).map((kind) => ({
  object: kind.object,
  name: kind.object === 'domain' ? (RENAMED[kind.kind] ?? kind.kind) : kind.kind,
  kind,
}))

/** Valid filters: `all`, the objects, and `object/name`. */
export function validFilters(): string[] {
  const objects = [...new Set(NAMED_KINDS.map(({ object }) => object))]
  return ['all', ...objects, ...NAMED_KINDS.map(({ object, name }) => `${object}/${name}`)]
}

/**
 * The kinds that a list of filters selects; `all` and the empty choice of the default select every one.
 *
 * @throws {BridgeError} `ERR_BRIDGE_FILTER` when a filter names nothing; the message lists the valid ones.
 */
export function selectKinds(filters: readonly string[] = ['all']): NamedKind[] {
  const valid = new Set(validFilters())
  const wrong = filters.filter((filter) => !valid.has(filter))
  if (wrong.length > 0)
    throw new BridgeError(
      'ERR_BRIDGE_FILTER',
      `unknown filter ${wrong.map((f) => `'${f}'`).join(', ')}; valid are ${[...valid].join(', ')}`,
    )
  const wanted = new Set(filters)
  return NAMED_KINDS.filter(
    ({ object, name }) => wanted.has('all') || wanted.has(object) || wanted.has(`${object}/${name}`),
  )
}
