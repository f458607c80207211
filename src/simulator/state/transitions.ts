import { enums } from '../../libvirt/index.ts'
import { refusal, type SimulatorError } from '../errors.ts'
import { type Domain, isActive } from './domain.ts'

const {
  virErrorNumber,
  virDomainState: STATE,
  virDomainEventStartedDetailType: STARTED,
  virDomainEventSuspendedDetailType: SUSPENDED,
  virDomainEventStoppedDetailType: STOPPED,
  virDomainRunningReason: RUNNING,
  virDomainPausedReason: PAUSED,
  virDomainShutoffReason: SHUTOFF,
} = enums

/** How a domain comes to run. */
export type DomainStart = 'booted' | 'migrated' | 'restored'
/** How a domain comes to be paused. */
export type DomainPause = 'user' | 'migration' | 'ioError' | 'watchdog'
/** How a domain ends. */
export type DomainStop = 'shutdown' | 'destroyed' | 'crashed' | 'migrated' | 'saved'

/** The detail of the event and the reason of the state. */
export interface Change {
  readonly detail: number
  readonly reason: number
}

/** What each start means. */
export const STARTS: Readonly<Record<DomainStart, Change>> = {
  booted: { detail: STARTED.VIR_DOMAIN_EVENT_STARTED_BOOTED, reason: RUNNING.VIR_DOMAIN_RUNNING_BOOTED },
  migrated: {
    detail: STARTED.VIR_DOMAIN_EVENT_STARTED_MIGRATED,
    reason: RUNNING.VIR_DOMAIN_RUNNING_MIGRATED,
  },
  restored: {
    detail: STARTED.VIR_DOMAIN_EVENT_STARTED_RESTORED,
    reason: RUNNING.VIR_DOMAIN_RUNNING_RESTORED,
  },
}

/** What each pause means. */
export const PAUSES: Readonly<Record<DomainPause, Change>> = {
  user: { detail: SUSPENDED.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED, reason: PAUSED.VIR_DOMAIN_PAUSED_USER },
  migration: {
    detail: SUSPENDED.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED,
    reason: PAUSED.VIR_DOMAIN_PAUSED_MIGRATION,
  },
  ioError: { detail: SUSPENDED.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR, reason: PAUSED.VIR_DOMAIN_PAUSED_IOERROR },
  watchdog: {
    detail: SUSPENDED.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG,
    reason: PAUSED.VIR_DOMAIN_PAUSED_WATCHDOG,
  },
}

/** What each end means. */
export const STOPS: Readonly<Record<DomainStop, Change>> = {
  shutdown: {
    detail: STOPPED.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN,
    reason: SHUTOFF.VIR_DOMAIN_SHUTOFF_SHUTDOWN,
  },
  destroyed: {
    detail: STOPPED.VIR_DOMAIN_EVENT_STOPPED_DESTROYED,
    reason: SHUTOFF.VIR_DOMAIN_SHUTOFF_DESTROYED,
  },
  crashed: { detail: STOPPED.VIR_DOMAIN_EVENT_STOPPED_CRASHED, reason: SHUTOFF.VIR_DOMAIN_SHUTOFF_CRASHED },
  migrated: {
    detail: STOPPED.VIR_DOMAIN_EVENT_STOPPED_MIGRATED,
    reason: SHUTOFF.VIR_DOMAIN_SHUTOFF_MIGRATED,
  },
  saved: { detail: STOPPED.VIR_DOMAIN_EVENT_STOPPED_SAVED, reason: SHUTOFF.VIR_DOMAIN_SHUTOFF_SAVED },
}

const STATE_NAMES: Readonly<Record<number, string>> = {
  [STATE.VIR_DOMAIN_RUNNING]: 'running',
  [STATE.VIR_DOMAIN_PAUSED]: 'paused',
  [STATE.VIR_DOMAIN_SHUTOFF]: 'shut off',
  [STATE.VIR_DOMAIN_CRASHED]: 'crashed',
  [STATE.VIR_DOMAIN_PMSUSPENDED]: 'pmsuspended',
}

/** @throws {SimulatorError} `VIR_ERR_OPERATION_INVALID` unless the domain is in that `virDomainState`. */
export function requireState(domain: Domain, state: number): void {
  if (domain.state === state) return
  const wanted = STATE_NAMES[state] ?? `in state ${state}`
  const found = STATE_NAMES[domain.state] ?? `in state ${domain.state}`
  throw invalid(`domain '${domain.name}' is not ${wanted}: it is ${found}`)
}

/** @throws {SimulatorError} `VIR_ERR_OPERATION_INVALID` when the domain has no id. */
export function requireActive(domain: Domain): void {
  if (!isActive(domain)) throw invalid(`domain '${domain.name}' is not running`)
}

/** @throws {SimulatorError} `VIR_ERR_NO_DOMAIN`, always. */
export function missing(what: string): never {
  throw refusal(virErrorNumber.VIR_ERR_NO_DOMAIN, `Domain not found: ${what}`)
}

/** A refusal for the wrong state. */
export function invalid(message: string): SimulatorError {
  return refusal(virErrorNumber.VIR_ERR_OPERATION_INVALID, `Requested operation is not valid: ${message}`)
}

/** A refusal for what is in the way: a name that is taken, a limit. */
export function failed(message: string): SimulatorError {
  return refusal(virErrorNumber.VIR_ERR_OPERATION_FAILED, `operation failed: ${message}`)
}
