import { messageOf } from '../core/errors.ts'
import { encodePacket, enums, type PacketHeader, rpc } from '../libvirt/index.ts'
import { refusal, SimulatorError } from './errors.ts'

const { virErrorNumber, virErrorDomain } = enums

/** A refusal by the daemon itself, not by its driver. */
export function rpcRefusal(code: number, message: string): SimulatorError {
  return refusal(code, message, virErrorDomain.VIR_FROM_RPC)
}

/** The packet that refuses a call. */
export function encodeRefusal(packet: PacketHeader, error: unknown): Buffer {
  // What is no refusal is an answer too long for its type (XdrError): the client asked for more than a reply holds.
  const known =
    error instanceof SimulatorError ? error : rpcRefusal(virErrorNumber.VIR_ERR_RPC, messageOf(error))
  const body: rpc.VirNetMessageError = {
    code: known.remoteCode,
    domain: known.remoteDomain,
    message: known.message,
    level: enums.virErrorLevel.VIR_ERR_ERROR,
    dom: null,
    str1: known.message,
    str2: null,
    str3: null,
    int1: -1,
    int2: -1,
    net: null,
  }
  const { program, version, procedure, serial } = packet
  const header = { program, version, procedure, serial, type: rpc.VIR_NET_REPLY, status: rpc.VIR_NET_ERROR }
  return encodePacket(header, rpc.VirNetMessageError, body)
}
