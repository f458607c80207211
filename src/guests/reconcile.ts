import { EVENT, type Guest, type Happening, isActive, STATE } from './guest.ts'

/**
 * The state of a guest after a lifecycle event; undefined when it is no more. `before` is what was known, if anything.
 */
export function after(before: Guest | undefined, { guest, event }: Happening): Guest | undefined {
  const base: Guest = {
    state: STATE.shutoff,
    persistent: false,
    ...before,
    uuid: guest.uuid,
    name: guest.name,
    id: guest.id,
  }
  switch (event) {
    case EVENT.defined:
      return { ...base, persistent: true, id: before && isActive(before) ? before.id : -1 }
    case EVENT.undefined:
      return before && isActive(before) ? { ...base, persistent: false, id: before.id } : undefined
    case EVENT.started:
    case EVENT.resumed:
      return { ...base, state: STATE.running }
    case EVENT.suspended:
      return { ...base, state: STATE.paused }
    case EVENT.pmsuspended:
      return { ...base, state: STATE.pmsuspended }
    case EVENT.shutdown:
      return { ...base, state: STATE.shutdown }
    case EVENT.crashed:
      return { ...base, state: STATE.crashed }
    case EVENT.stopped:
      return base.persistent ? { ...base, state: STATE.shutoff, id: -1 } : undefined
    default:
      return before
  }
}

/** Events that leave a guest in a state, the most usual first. */
const LEADING_TO: Readonly<Record<number, readonly number[]>> = {
  [STATE.running]: [EVENT.resumed, EVENT.started],
  [STATE.paused]: [EVENT.suspended],
  [STATE.shutdown]: [EVENT.shutdown],
  [STATE.shutoff]: [EVENT.stopped, EVENT.defined],
  [STATE.crashed]: [EVENT.crashed],
  [STATE.pmsuspended]: [EVENT.pmsuspended],
}

/** The last event of a guest, for those who may not have heard it; when it does not lead to its state, one that does. */
export function again({ uuid, name, id, state }: Guest, event: number): Happening {
  const leading = LEADING_TO[state] ?? []
  return {
    guest: { uuid, name, id },
    event: leading.includes(event) ? event : (leading[0] ?? event),
    detail: 0,
  }
}

/** Lifecycle events that lead from one state of a guest to another, in an order that could have happened. */
export function between(before: Guest | undefined, now: Guest | undefined): Happening[] {
  const story = new Story(before)
  if (story.guest && isActive(story.guest) && !isSameRun(story.guest, now))
    story.tell(EVENT.stopped, { id: -1 })
  const left = story.guest
  // A guest gets another name only while it does not run: the old definition goes, the new one comes.
  const isRenamed = left !== undefined && now !== undefined && left.name !== now.name
  if (left && (!now || isRenamed)) story.tell(EVENT.undefined, { detail: isRenamed ? UNDEFINED_RENAMED : 0 })
  if (now) arrive(story, now, isRenamed)
  return story.happenings
}

/** `VIR_DOMAIN_EVENT_UNDEFINED_RENAMED` and `VIR_DOMAIN_EVENT_DEFINED_RENAMED`. */
const UNDEFINED_RENAMED = 1
const DEFINED_RENAMED = 2

function arrive(story: Story, now: Guest, isRenamed: boolean): void {
  const { uuid, name, id } = now
  if (now.persistent && !story.guest?.persistent)
    story.tell(EVENT.defined, { uuid, name, detail: isRenamed ? DEFINED_RENAMED : 0 })
  if (isActive(now) && !(story.guest && isActive(story.guest))) story.tell(EVENT.started, { uuid, name, id })
  const event = story.guest && stepTo(story.guest, now)
  if (event !== undefined) story.tell(event, { id })
  if (!now.persistent && story.guest?.persistent) story.tell(EVENT.undefined, { id })
}

/** Whether a running guest is one that ran already, under the same name. */
function isSameRun(before: Guest, now: Guest | undefined): boolean {
  return now !== undefined && now.id === before.id && now.name === before.name
}

/** The event that leads from one active state to another, if any. */
function stepTo(guest: Guest, now: Guest): number | undefined {
  if (
    !isActive(now) ||
    (isRunning(guest) === isRunning(now) && (isRunning(now) || guest.state === now.state))
  )
    return undefined
  if (isRunning(now)) return EVENT.resumed
  const events: Record<number, number> = {
    [STATE.paused]: EVENT.suspended,
    [STATE.pmsuspended]: EVENT.pmsuspended,
    [STATE.shutdown]: EVENT.shutdown,
    [STATE.crashed]: EVENT.crashed,
  }
  return events[now.state]
}

function isRunning({ state }: Guest): boolean {
  return state === STATE.running || state === STATE.blocked
}

/** Events of one guest, told one after the other, and what is known after them. */
class Story {
  readonly happenings: Happening[] = []
  guest: Guest | undefined

  constructor(before: Guest | undefined) {
    this.guest = before
  }

  tell(event: number, change: { uuid?: string; name?: string; id?: number; detail?: number }): void {
    const { uuid = this.guest?.uuid ?? '', name = this.guest?.name ?? '', id = this.guest?.id ?? -1 } = change
    const happening = { guest: { uuid, name, id }, event, detail: change.detail ?? 0 }
    this.happenings.push(happening)
    this.guest = after(this.guest, happening)
  }
}
