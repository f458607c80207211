import type { Socket } from 'node:net'
import { messageOf } from '../../core/errors.ts'
import { SaltError } from '../errors.ts'

/** Who connected, as the kernel noted it at that moment: `struct ucred`, unix(7). */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** Asks the kernel who is at the other end; `undefined` when the connection is closed already. */
export type PeerReader = (socket: Socket) => PeerCredentials | undefined

/** `SOL_SOCKET` and `SO_PEERCRED` of asm-generic/socket.h, which the processors of {@link PROCESSORS} use. */
const SOL_SOCKET = 1
const SO_PEERCRED = 17
const PROCESSORS = ['x64', 'arm64', 'arm', 'ia32', 'riscv64', 'loong64']
const UCRED_BYTES = 12

type GetSockOpt = (fd: number, level: number, name: number, value: Int32Array, length: Uint32Array) => number

/**
 * Loads what asks for `SO_PEERCRED`, which Node does not: docs/decisions/0006-peer-credentials.md.
 *
 * @throws {SaltError} ERR_SALT_CREDENTIALS where the platform does not tell, or the optional package `koffi` is not installed.
 */
export async function loadPeerReader(): Promise<PeerReader> {
  const getsockopt = await loadGetSockOpt()
  const ucred = new Int32Array(UCRED_BYTES / 4)
  const length = new Uint32Array(1)
  return (socket) => {
    const fd = descriptorOf(socket)
    length[0] = UCRED_BYTES
    if (fd === undefined || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0) return undefined
    const [pid, uid, gid] = ucred
    if (length[0] !== UCRED_BYTES || pid === undefined || uid === undefined || gid === undefined)
      return undefined
    // The kernel's numbers of users and groups have no sign.
    return { pid, uid: uid >>> 0, gid: gid >>> 0 }
  }
}

async function loadGetSockOpt(): Promise<GetSockOpt> {
  const { platform, arch } = process
  if (platform !== 'linux' || !PROCESSORS.includes(arch))
    throw new SaltError('ERR_SALT_CREDENTIALS', `${platform} on ${arch} does not tell who connects`)
  try {
    const { default: koffi } = await import('koffi')
    // The C library that Node itself runs on, whichever it is.
    return koffi
      .load(null)
      .func('int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)')
  } catch (cause) {
    const reason = messageOf(cause).split('\n')[0]
    throw new SaltError(
      'ERR_SALT_CREDENTIALS',
      `who connects cannot be asked without the optional package koffi: ${reason}`,
      { cause },
    )
  }
}

/** The descriptor of a connection, which Node keeps in an undocumented place. */
function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Object(socket)._handle
  const fd: unknown = Object(handle).fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
