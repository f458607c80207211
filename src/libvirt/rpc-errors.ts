import { codeOf, messageOf } from '../core/errors.ts'
import { XdrReader, type XdrType } from '../xdr/index.ts'
import { LibvirtError } from './errors.ts'
import { PACKET_BODY_OFFSET, type Packet } from './packets.ts'

/**
 * Decodes the whole body of a packet.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_BODY` when it is not a value of `type`.
 */
export function decodeBody<T>(packet: Packet, type: XdrType<T>): T {
  try {
    const reader = new XdrReader(packet.bytes, PACKET_BODY_OFFSET)
    const value = type.decode(reader)
    reader.end()
    return value
  } catch (error) {
    const text = `procedure ${packet.procedure}: ${messageOf(error)}`
    throw new LibvirtError('ERR_LIBVIRT_BODY', text, { cause: error })
  }
}

/** A packet that has no place. */
export function protocolError(packet: Packet, what: string): LibvirtError {
  const program = `0x${packet.program.toString(16)}`
  return new LibvirtError(
    'ERR_LIBVIRT_PROTOCOL',
    `${what} (program ${program} version ${packet.version} procedure ${packet.procedure} serial ${packet.serial})`,
  )
}

/** The error of one call for the reason that ended its connection. */
export function unanswered(reason: LibvirtError, procedure: string, sent: boolean): LibvirtError {
  const fate = sent ? 'the daemon may have executed it' : 'it was not sent'
  return new LibvirtError(reason.code, `${procedure}: ${reason.message}; ${fate}`, {
    cause: reason,
    mayHaveExecuted: sent,
  })
}

/** Why a transport has ended. */
export function closedError(error: Error | undefined): LibvirtError {
  if (!error) return new LibvirtError('ERR_LIBVIRT_CLOSED', 'the daemon closed the connection')
  if (error instanceof LibvirtError) return error
  return new LibvirtError('ERR_LIBVIRT_CLOSED', `connection lost: ${codeOf(error) ?? error.message}`, {
    cause: error,
  })
}
