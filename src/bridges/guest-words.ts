import { enums } from '../libvirt/index.ts'
import { words } from './words.ts'

const STATES = words(enums.virDomainState, 'VIR_DOMAIN_')
const REASONS: ReadonlyMap<number, ReadonlyMap<number, string>> = new Map([
  [enums.virDomainState.VIR_DOMAIN_RUNNING, words(enums.virDomainRunningReason, 'VIR_DOMAIN_RUNNING_')],
  [enums.virDomainState.VIR_DOMAIN_BLOCKED, words(enums.virDomainBlockedReason, 'VIR_DOMAIN_BLOCKED_')],
  [enums.virDomainState.VIR_DOMAIN_PAUSED, words(enums.virDomainPausedReason, 'VIR_DOMAIN_PAUSED_')],
  [enums.virDomainState.VIR_DOMAIN_SHUTDOWN, words(enums.virDomainShutdownReason, 'VIR_DOMAIN_SHUTDOWN_')],
  [enums.virDomainState.VIR_DOMAIN_SHUTOFF, words(enums.virDomainShutoffReason, 'VIR_DOMAIN_SHUTOFF_')],
  [enums.virDomainState.VIR_DOMAIN_CRASHED, words(enums.virDomainCrashedReason, 'VIR_DOMAIN_CRASHED_')],
  [
    enums.virDomainState.VIR_DOMAIN_PMSUSPENDED,
    words(enums.virDomainPMSuspendedReason, 'VIR_DOMAIN_PMSUSPENDED_'),
  ],
])
/** virsh's words for states where these are others than libvirt's names. */
const VIRSH_WORDS: Readonly<Record<string, string>> = {
  nostate: 'no state',
  blocked: 'idle',
  shutdown: 'in shutdown',
  shutoff: 'shut off',
}

/** The name of a virDomainState: `running`, `shutoff`; `unknown` for a number that has none. */
export function stateName(state: number): string {
  return STATES.get(state) ?? 'unknown'
}

/** The state in the words of `virsh list`: `shut off`. */
export function stateText(state: number): string {
  const name = stateName(state)
  return VIRSH_WORDS[name] ?? name
}

/** The name of the reason of a state: `booted`, `ioerror`; undefined when it is not known. */
export function reasonName(state: number, reason: number | undefined): string | undefined {
  return reason === undefined ? undefined : REASONS.get(state)?.get(reason)
}

/** States by libvirt's names and by virsh's words. */
export const STATE_NUMBERS: ReadonlyMap<string, number> = new Map(
  [...STATES].flatMap(([number, name]) => [
    [name, number],
    [VIRSH_WORDS[name] ?? name, number],
  ]),
)
