import { messageOf } from '../../core/errors.ts'
import {
  encodePacket,
  enums,
  type LibvirtEvent,
  PACKET_BODY_OFFSET,
  type Packet,
  type Procedure,
  rpc,
} from '../../libvirt/index.ts'
import { XdrReader } from '../../xdr/index.ts'
import type { Authentication } from '../authentication.ts'
import { refusal } from '../errors.ts'
import type { Hypervisor } from '../hypervisor.ts'

/** What a call can do to the connection it came on. */
export interface Session {
  /** Opens the hypervisor. */
  open(options: { name: string | null; readOnly: boolean }): void
  /** Ends the connection after the reply. */
  close(): void
  enableKeepalive(): void
  readonly authentication: Authentication
  setCloseCallback(wanted: boolean): void
  /** Registers for events; returns the callback id. `key`: UUID or name of the one object that is wanted. */
  register(options: { object: LibvirtEvent['object']; eventId: number; key: string | undefined }): number
  deregister(object: LibvirtEvent['object'], callbackId: number): void
}

/** What every call is answered from. */
export interface CallContext {
  readonly hypervisor: Hypervisor
  readonly session: Session
  /** Name of the host, as `connect_get_hostname` gives it. */
  readonly hostname: string
  /** The release of libvirt that is played, as a number. */
  readonly libVersion: number
}

/** One procedure that the simulator has. */
export interface Handler {
  readonly number: number
  readonly name: string
  /** Not on a read-only connection. */
  readonly writes: boolean
  /** Allowed before the hypervisor is open. */
  readonly early: boolean
  /** Allowed before the client has logged in. */
  readonly beforeLogin: boolean
  /** The reply's packet, at once or later. @throws {SimulatorError} `ERR_SIMULATOR_REFUSED` when the call is refused. */
  answer(packet: Packet, context: CallContext): Buffer | Promise<Buffer>
}

interface HandlerOptions {
  readonly writes?: boolean
  readonly early?: boolean
  readonly beforeLogin?: boolean
}

/** Binds a procedure to the function that answers it. */
export function handles<Args, Result>(
  procedure: Procedure<Args, Result>,
  run: (args: Args, context: CallContext) => Result | Promise<Result>,
  options: HandlerOptions = {},
): Handler {
  return {
    number: procedure.number,
    name: procedure.name,
    writes: options.writes ?? false,
    early: options.early ?? false,
    beforeLogin: options.beforeLogin ?? false,
    answer(packet, context) {
      const result = run(decodeArgs(procedure, packet), context)
      const { program, version, procedure: number, serial } = packet
      const header = {
        program,
        version,
        procedure: number,
        serial,
        type: rpc.VIR_NET_REPLY,
        status: rpc.VIR_NET_OK,
      }
      if (result instanceof Promise)
        return result.then((later) => encodePacket(header, procedure.result, later))
      return encodePacket(header, procedure.result, result)
    },
  }
}

/** The same for a procedure that changes something. */
export function changes<Args, Result>(
  procedure: Procedure<Args, Result>,
  run: (args: Args, context: CallContext) => Result,
): Handler {
  return handles(procedure, run, { writes: true })
}

function decodeArgs<Args, Result>(procedure: Procedure<Args, Result>, packet: Packet): Args {
  try {
    const reader = new XdrReader(packet.bytes, PACKET_BODY_OFFSET)
    const args = procedure.args.decode(reader)
    reader.end()
    return args
  } catch (error) {
    const text = `unable to decode the arguments of ${procedure.name}: ${messageOf(error)}`
    throw refusal(enums.virErrorNumber.VIR_ERR_RPC, text, enums.virErrorDomain.VIR_FROM_RPC)
  }
}

/** A wire boolean. */
export function flag(value: boolean): number {
  return value ? 1 : 0
}

/** What the list calls answer: the items only where they are asked for, but always how many there are. */
export function listed<T>(items: readonly T[], needResults: number): { items: T[]; ret: number } {
  return { items: needResults === 0 ? [] : [...items], ret: items.length }
}

/**
 * Whether an object passes the flags of a list call. Flags come in groups (active and inactive, persistent and transient …):
 * an object must match one flag of each group of which any is set.
 */
export function passes(
  flags: number,
  groups: readonly (readonly (readonly [flag: number, matches: boolean])[])[],
): boolean {
  return groups.every((group) => {
    const asked = group.filter(([bit]) => (flags & bit) !== 0)
    return asked.length === 0 || asked.some(([, matches]) => matches)
  })
}
