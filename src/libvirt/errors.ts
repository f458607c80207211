import { VirbusError } from '../core/errors.ts'

/**
 * What can go wrong between us and a daemon.
 *
 * - `ERR_LIBVIRT_FRAME`: the peer sent a packet whose length or header cannot be.
 * - `ERR_LIBVIRT_PROTOCOL`: a well-formed packet that has no place: a reply to no call, an unknown program, an event nobody registered.
 * - `ERR_LIBVIRT_BODY`: a body that is not the type its procedure has; the `cause` is an `XdrError`.
 * - `ERR_LIBVIRT_REMOTE`: the daemon refused the call; its own numbers are in `remoteCode`, `remoteDomain`, `remoteLevel`.
 * - `ERR_LIBVIRT_NO_SUPPORT`: the same, for a call or event that the daemon or its driver does not have.
 * - `ERR_LIBVIRT_AUTH`: the daemon wants an authentication that we cannot give: no credentials, or no mechanism in common.
 * - `ERR_LIBVIRT_AUTH_DENIED`: polkit does not allow this user what was asked for.
 * - `ERR_LIBVIRT_AUTH_FAILED`: the daemon did not accept the user name and password, or could not prove that it knows them.
 * - `ERR_LIBVIRT_TLS`: the TLS handshake failed, or our certificate files cannot be read.
 * - `ERR_LIBVIRT_TLS_UNTRUSTED`: the daemon's certificate is not signed by an authority that we trust.
 * - `ERR_LIBVIRT_TLS_EXPIRED`: the daemon's certificate is not valid any more, or not yet.
 * - `ERR_LIBVIRT_TLS_HOSTNAME`: the daemon's certificate is for another host.
 * - `ERR_LIBVIRT_TLS_REJECTED`: the daemon does not accept our certificate, or wants one.
 * - `ERR_LIBVIRT_COMMAND`: the command that carries the connection (ssh, or that of `ext`) could not be run or ended.
 * - `ERR_LIBVIRT_CONNECT`: no daemon could be reached.
 * - `ERR_LIBVIRT_CLOSED`: the connection is closed, by us or by the daemon.
 * - `ERR_LIBVIRT_DISCONNECTED`: the connection is lost and not back yet; the call was not sent.
 * - `ERR_LIBVIRT_KEEPALIVE`: the daemon did not answer our keepalive.
 * - `ERR_LIBVIRT_TIMEOUT`: the daemon did not answer within the deadline of the call.
 * - `ERR_LIBVIRT_URI`: the URI cannot be understood or names a transport that there is not.
 * - `ERR_LIBVIRT_CONFIG`: libvirt.conf or the authentication file cannot be read.
 * - `ERR_LIBVIRT_ARGUMENT`: an argument that no daemon could understand, such as a text that is no UUID.
 * - `ERR_LIBVIRT_BUSY`: too many calls wait.
 */
export type LibvirtErrorCode =
  | 'ERR_LIBVIRT_FRAME'
  | 'ERR_LIBVIRT_PROTOCOL'
  | 'ERR_LIBVIRT_BODY'
  | 'ERR_LIBVIRT_REMOTE'
  | 'ERR_LIBVIRT_NO_SUPPORT'
  | 'ERR_LIBVIRT_AUTH'
  | 'ERR_LIBVIRT_AUTH_DENIED'
  | 'ERR_LIBVIRT_AUTH_FAILED'
  | 'ERR_LIBVIRT_TLS'
  | 'ERR_LIBVIRT_TLS_UNTRUSTED'
  | 'ERR_LIBVIRT_TLS_EXPIRED'
  | 'ERR_LIBVIRT_TLS_HOSTNAME'
  | 'ERR_LIBVIRT_TLS_REJECTED'
  | 'ERR_LIBVIRT_COMMAND'
  | 'ERR_LIBVIRT_CONNECT'
  | 'ERR_LIBVIRT_CLOSED'
  | 'ERR_LIBVIRT_DISCONNECTED'
  | 'ERR_LIBVIRT_KEEPALIVE'
  | 'ERR_LIBVIRT_TIMEOUT'
  | 'ERR_LIBVIRT_URI'
  | 'ERR_LIBVIRT_CONFIG'
  | 'ERR_LIBVIRT_ARGUMENT'
  | 'ERR_LIBVIRT_BUSY'

/** Thrown by everything in this room. */
export class LibvirtError extends VirbusError<LibvirtErrorCode> {
  /** The daemon's own number: `virErrorNumber` of virterror.h. */
  readonly remoteCode?: number
  /** Which part of the daemon refused: `virErrorDomain` of virterror.h. */
  readonly remoteDomain?: number
  /** `virErrorLevel` of virterror.h: 1 warning, 2 error. */
  readonly remoteLevel?: number
  /**
   * For a call that got no answer: whether the daemon may have executed it all the same. False: it was never sent.
   * Undefined for errors that are answers, or that belong to no call.
   */
  readonly mayHaveExecuted?: boolean

  constructor(
    code: LibvirtErrorCode,
    message: string,
    options?: ErrorOptions & {
      remote?: { code: number; domain: number; level: number }
      mayHaveExecuted?: boolean
    },
  ) {
    super(code, message, options)
    if (options?.mayHaveExecuted !== undefined) this.mayHaveExecuted = options.mayHaveExecuted
    if (options?.remote) {
      this.remoteCode = options.remote.code
      this.remoteDomain = options.remote.domain
      this.remoteLevel = options.remote.level
    }
  }
}
