/** What is known of one guest; numbers are libvirt's (virDomainState). */
export interface Guest {
  readonly uuid: string
  readonly name: string
  /** -1 when it does not run. */
  readonly id: number
  readonly state: number
  /** Whether its definition stays when it stops. */
  readonly persistent: boolean
}

/** One lifecycle event: numbers of virDomainEventType and of the detail enum of that event. */
export interface Happening {
  readonly guest: { readonly uuid: string; readonly name: string; readonly id: number }
  readonly event: number
  readonly detail: number
}

/** virDomainState of libvirt-domain.h, as far as guests can be found in it. */
export const STATE = {
  running: 1,
  blocked: 2,
  paused: 3,
  shutdown: 4,
  shutoff: 5,
  crashed: 6,
  pmsuspended: 7,
} as const

/** virDomainEventType of libvirt-domain.h. */
export const EVENT = {
  defined: 0,
  undefined: 1,
  started: 2,
  suspended: 3,
  resumed: 4,
  stopped: 5,
  shutdown: 6,
  pmsuspended: 7,
  crashed: 8,
} as const

/** Whether there is a process behind it; one that has crashed and was kept is active, too. */
export function isActive({ id }: Guest): boolean {
  return id >= 0
}
