import { decode } from '../../src/msgpack/index.ts'
import {
  type GetEventOptions,
  getEvent,
  type MatchType,
  SaltError,
  type SaltEvent,
  tagify,
  type WireEvent,
} from '../../src/salt/index.ts'
import { sorted, typed, untyped } from '../support/python.ts'

/** How long `poll`, `raw` and `revive` try. */
const LIMIT_MS = 30_000

/**
 * One step of a scenario, in the words of `salt.utils.event`, which salt_twin.py carries out with the real library. `as` names the
 * client. `data` has the form of typed_json.py.
 */
export interface Step {
  readonly do: keyof typeof STEPS
  readonly as?: string
  readonly tag?: string
  readonly data?: unknown
  readonly match_type?: MatchType
  readonly wait?: number
  readonly full?: boolean
  readonly no_block?: boolean
  readonly auto_reconnect?: boolean
  readonly listen?: boolean
  /** `iterate`: how many events. */
  readonly n?: number
  /** `revive`: the client that fires until the event comes. */
  readonly by?: string
  /** `tagify`: its arguments. */
  readonly args?: readonly (string | string[])[]
}

/** What a step gave, or the name of the Python exception that it raised. */
export type Answer = { readonly result: unknown } | { readonly error: string }

/** Python's names of what is wrong. */
const PYTHON_ERRORS: Readonly<Record<string, string>> = {
  ERR_SALT_TAG_EMPTY: 'ValueError',
  ERR_SALT_DATA_NOT_MAP: 'ValueError',
  ERR_SALT_MATCH: 'error',
}

interface Stage {
  readonly sockDir: string
  readonly clients: Map<string, SaltEvent>
  readonly restart: () => Promise<void>
}

const STEPS = {
  /** Connects; whether events are being received. */
  connect: async (step: Step, { clients, sockDir }: Stage): Promise<boolean> => {
    const client = await getEvent('master', { sockDir, listen: step.listen ?? true })
    clients.set(step.as ?? '', client)
    return client.connected
  },
  fire: (step: Step, stage: Stage): Promise<boolean> =>
    // A caller without types can pass what is no map.
    client(step, stage).fireEvent(untyped(step.data) as Map<unknown, unknown>, step.tag ?? '', 10_000),
  subscribe: (step: Step, stage: Stage): null => {
    client(step, stage).subscribe(step.tag, step.match_type)
    return null
  },
  unsubscribe: (step: Step, stage: Stage): null => {
    client(step, stage).unsubscribe(step.tag, step.match_type)
    return null
  },
  get: (step: Step, stage: Stage): Promise<unknown> => get(step, stage),
  /** Asks without waiting, until there is something. */
  poll: (step: Step, stage: Stage): Promise<unknown> =>
    untilSome(() => get({ ...step, no_block: true }, stage)),
  raw: (step: Step, stage: Stage): Promise<unknown> =>
    untilSome(async () => form(await client(step, stage).getEventNoblock(), true)),
  block: async (step: Step, stage: Stage): Promise<unknown> =>
    form(await client(step, stage).getEventBlock(), true),
  iterate: async (step: Step, stage: Stage): Promise<unknown[]> => {
    const events = client(step, stage).iterEvents({ ...options(step), full: true })
    const forms: unknown[] = []
    for await (const event of events) {
      forms.push(form(event, step.full))
      if (forms.length === step.n) break
    }
    return forms
  },
  pending: (step: Step, stage: Stage): string[] => client(step, stage).pendingEvents.map(({ tag }) => tag),
  close: async (step: Step, stage: Stage): Promise<null> => {
    await client(step, stage).closePub()
    return null
  },
  /** Ends the bus and starts it anew. */
  restart: async (_: Step, { restart }: Stage): Promise<null> => {
    await restart()
    return null
  },
  /** Fires by one client and gets by the other until it comes, reconnecting. */
  revive: (step: Step, stage: Stage): Promise<unknown> =>
    untilSome(async () => {
      await STEPS.fire({ ...step, as: step.by ?? '' }, stage).catch(() => false) // the bus may not be back
      return get({ ...step, wait: 1, auto_reconnect: true }, stage)
    }),
  tagify: ({ args = [] }: Step): string => tagify(args[0], String(args[1] ?? ''), String(args[2] ?? 'salt')),
  destroy: async (step: Step, stage: Stage): Promise<null> => {
    await client(step, stage).destroy()
    return null
  },
} as const

/** Carries out a scenario with this project on the bus in a folder. */
export async function perform(
  steps: readonly Step[],
  sockDir: string,
  restart: () => Promise<void>,
): Promise<Answer[]> {
  const stage: Stage = { sockDir, clients: new Map(), restart }
  const answers: Answer[] = []
  try {
    for (const step of steps)
      try {
        answers.push({ result: await STEPS[step.do](step, stage) })
      } catch (error) {
        if (!(error instanceof SaltError)) throw error
        answers.push({ error: PYTHON_ERRORS[error.code] ?? error.code })
      }
  } finally {
    for (const one of stage.clients.values()) await one.destroy()
  }
  return answers
}

function client({ as = '' }: Step, { clients }: Stage): SaltEvent {
  const found = clients.get(as)
  if (!found) throw new Error(`no client ${as}`)
  return found
}

function options(step: Step): GetEventOptions {
  return {
    wait: step.wait,
    tag: step.tag,
    matchType: step.match_type,
    noBlock: step.no_block,
    autoReconnect: step.auto_reconnect,
  }
}

async function get(step: Step, stage: Stage): Promise<unknown> {
  return form(await client(step, stage).getEvent({ ...options(step), full: true }), step.full)
}

/** The event as salt_twin.py prints it, the entries of maps in one order. */
function form(event: WireEvent | null, full = false): unknown {
  if (event === null) return null
  const data = sorted(typed(decode(event.payload, { floats: 'exact' })))
  const stampless = JSON.parse(JSON.stringify(data), (_key, value: unknown) => {
    const isStamp = Array.isArray(value) && JSON.stringify(value[0]) === JSON.stringify(typed('_stamp'))
    return isStamp ? [typed('_stamp'), value[1]?.[0] === 'str'] : value
  })
  return full ? [event.tag, stampless] : stampless
}

async function untilSome(act: () => Promise<unknown>): Promise<unknown> {
  const deadline = performance.now() + LIMIT_MS
  for (;;) {
    const result = await act()
    if (result !== null) return result
    if (performance.now() > deadline) throw new Error(`nothing within ${LIMIT_MS} ms`)
  }
}
