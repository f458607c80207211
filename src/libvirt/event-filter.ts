import { LibvirtError } from './errors.ts'
import { EVENT_KINDS, type EventKind, type LibvirtEvent } from './protocol/events.gen.ts'

/** What events can be about. */
export type EventObject = LibvirtEvent['object']

/** Kinds that an object's events can have. */
export type EventKindName<Object extends EventObject = EventObject> = Extract<
  LibvirtEvent,
  { object: Object }
>['kind']

/** Which events are wanted: kinds by object, `'all'` for all kinds of an object. */
export type EventFilter = { readonly [Object in EventObject]?: readonly EventKindName<Object>[] | 'all' }

/** The events that a filter lets through. */
export type FilteredEvent<Filter extends EventFilter> = {
  [Object in keyof Filter & EventObject]: Filter[Object] extends readonly (infer Kind)[]
    ? Extract<LibvirtEvent, { object: Object; kind: Kind }>
    : Extract<LibvirtEvent, { object: Object }>
}[keyof Filter & EventObject]

/**
 * The kinds that a filter names; all without one.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_ARGUMENT` when it names one that there is not.
 */
export function kindsOf(filter: EventFilter | undefined): EventKind[] {
  if (!filter) return [...EVENT_KINDS]
  const kinds = Object.entries(filter).flatMap(([object, names]) => kindsOfObject(object, names))
  return [...new Set(kinds)]
}

function kindsOfObject(object: string, names: readonly string[] | 'all'): EventKind[] {
  const all = EVENT_KINDS.filter((kind) => kind.object === object)
  if (all.length === 0) throw new LibvirtError('ERR_LIBVIRT_ARGUMENT', `there are no events of '${object}'`)
  if (names === 'all') return all
  return names.map((name) => {
    const found = all.find(({ kind }) => kind === name)
    if (found) return found
    const known = all.map(({ kind }) => kind).join(', ')
    throw new LibvirtError(
      'ERR_LIBVIRT_ARGUMENT',
      `there is no ${object} event '${name}'; there are ${known}`,
    )
  })
}
