import { VirbusError } from '../core/errors.ts'
import { enums } from '../libvirt/index.ts'

const { virErrorDomain } = enums

/**
 * What the simulator refuses.
 *
 * - `ERR_SIMULATOR_REFUSED`: a call or operation that the simulated hypervisor does not do; `remoteCode` and `remoteDomain`
 *   are the numbers that a client gets (`virErrorNumber` and `virErrorDomain` of virterror.h).
 * - `ERR_SIMULATOR_LISTEN`: the socket cannot be made.
 */
export type SimulatorErrorCode = 'ERR_SIMULATOR_REFUSED' | 'ERR_SIMULATOR_LISTEN'

/** Thrown by everything in this room. */
export class SimulatorError extends VirbusError<SimulatorErrorCode> {
  /** `virErrorNumber` for the client. */
  readonly remoteCode: number
  /** `virErrorDomain` for the client. */
  readonly remoteDomain: number

  constructor(
    code: SimulatorErrorCode,
    message: string,
    options?: ErrorOptions & { remote?: { code: number; domain: number } },
  ) {
    super(code, message, options)
    this.remoteCode = options?.remote?.code ?? enums.virErrorNumber.VIR_ERR_INTERNAL_ERROR
    this.remoteDomain = options?.remote?.domain ?? virErrorDomain.VIR_FROM_TEST
  }
}

/** A refusal with the number of virterror.h that the client shall see; from the driver, unless `domain` says otherwise. */
export function refusal(
  code: number,
  message: string,
  domain: number = virErrorDomain.VIR_FROM_TEST,
): SimulatorError {
  return new SimulatorError('ERR_SIMULATOR_REFUSED', message, { remote: { code, domain } })
}
