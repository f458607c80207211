import { LibvirtError } from './errors.ts'
import { virErrorNumber } from './protocol/enums.gen.ts'
import type { VirNetMessageError } from './protocol/rpc.gen.ts'

const POLKIT_ADVICE =
  "allow it by a polkit rule for the actions 'org.libvirt.unix.monitor' (read-only) and 'org.libvirt.unix.manage', " +
  "or add this user to the group that has one (usually 'libvirt') and log in again, or connect as root"

/** libvirtd's words for a procedure that it does not know (virnetserverprogram.c); the real client tells by them, too. */
const UNKNOWN_PROCEDURE = 'unknown procedure'

/** The error that a daemon's `virNetMessageError` (virnetprotocol.x) stands for. */
export function remoteError(procedure: string, body: VirNetMessageError): LibvirtError {
  const text = body.message ?? `error ${body.code} without a message`
  const remote = { code: body.code, domain: body.domain, level: body.level }
  const isUnknown = body.code === virErrorNumber.VIR_ERR_RPC && text.startsWith(UNKNOWN_PROCEDURE)
  if (body.code === virErrorNumber.VIR_ERR_NO_SUPPORT || isUnknown)
    return new LibvirtError('ERR_LIBVIRT_NO_SUPPORT', `${procedure}: ${text}`, { remote })
  if (procedure === 'auth_polkit' || body.code === virErrorNumber.VIR_ERR_AUTH_UNAVAILABLE)
    return new LibvirtError('ERR_LIBVIRT_AUTH_DENIED', `${text}; ${POLKIT_ADVICE}`, { remote })
  if (body.code === virErrorNumber.VIR_ERR_AUTH_FAILED || body.code === virErrorNumber.VIR_ERR_AUTH_CANCELLED)
    return new LibvirtError('ERR_LIBVIRT_AUTH_FAILED', `${procedure}: ${text}`, { remote })
  return new LibvirtError('ERR_LIBVIRT_REMOTE', `${procedure}: ${text}`, { remote })
}
