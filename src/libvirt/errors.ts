import { VirbusError } from '../core/errors.ts'

/**
 * What can go wrong between us and a daemon.
 *
 * - `ERR_LIBVIRT_FRAME`: the peer sent a packet whose length or header cannot be.
 * - `ERR_LIBVIRT_PROTOCOL`: a well-formed packet that has no place: a reply to no call, an unknown program, an event nobody registered.
 * - `ERR_LIBVIRT_BODY`: a body that is not the type its procedure has; the `cause` is an `XdrError`.
 * - `ERR_LIBVIRT_REMOTE`: the daemon refused the call; its own numbers are in `remoteCode`, `remoteDomain`, `remoteLevel`.
 * - `ERR_LIBVIRT_NO_SUPPORT`: the same, for a call or event that the daemon or its driver does not have.
 * - `ERR_LIBVIRT_AUTH`: the daemon wants an authentication that failed or that we cannot give.
 * - `ERR_LIBVIRT_CONNECT`: no daemon could be reached.
 * - `ERR_LIBVIRT_CLOSED`: the connection is closed, by us or by the daemon.
 * - `ERR_LIBVIRT_KEEPALIVE`: the daemon did not answer our keepalive.
 * - `ERR_LIBVIRT_URI`: the URI cannot be understood or names a transport that there is not.
 * - `ERR_LIBVIRT_CONFIG`: libvirt.conf cannot be read.
 * - `ERR_LIBVIRT_BUSY`: too many calls wait.
 */
export type LibvirtErrorCode =
  | 'ERR_LIBVIRT_FRAME'
  | 'ERR_LIBVIRT_PROTOCOL'
  | 'ERR_LIBVIRT_BODY'
  | 'ERR_LIBVIRT_REMOTE'
  | 'ERR_LIBVIRT_NO_SUPPORT'
  | 'ERR_LIBVIRT_AUTH'
  | 'ERR_LIBVIRT_CONNECT'
  | 'ERR_LIBVIRT_CLOSED'
  | 'ERR_LIBVIRT_KEEPALIVE'
  | 'ERR_LIBVIRT_URI'
  | 'ERR_LIBVIRT_CONFIG'
  | 'ERR_LIBVIRT_BUSY'

/** Thrown by everything in this room. */
export class LibvirtError extends VirbusError<LibvirtErrorCode> {
  /** The daemon's own number: `virErrorNumber` of virterror.h. */
  readonly remoteCode?: number
  /** Which part of the daemon refused: `virErrorDomain` of virterror.h. */
  readonly remoteDomain?: number
  /** `virErrorLevel` of virterror.h: 1 warning, 2 error. */
  readonly remoteLevel?: number

  constructor(
    code: LibvirtErrorCode,
    message: string,
    options?: ErrorOptions & { remote?: { code: number; domain: number; level: number } },
  ) {
    super(code, message, options)
    if (options?.remote) {
      this.remoteCode = options.remote.code
      this.remoteDomain = options.remote.domain
      this.remoteLevel = options.remote.level
    }
  }
}
