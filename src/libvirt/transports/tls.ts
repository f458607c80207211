import { isIP } from 'node:net'
import { connect, type SecureVersion, type TLSSocket } from 'node:tls'
import { codeOf, messageOf } from '../../core/errors.ts'
import type { ClientEnvironment } from '../client-config.ts'
import { LibvirtError, type LibvirtErrorCode } from '../errors.ts'
import { opened, startSocket } from './socket.ts'
import { networkError } from './tcp.ts'
import { readTlsFiles } from './tls-files.ts'
import type { Transport, TransportHandlers } from './transport.ts'

/** How to reach a daemon by TLS. */
export interface TlsOptions {
  readonly host: string
  readonly port: number
  readonly pkipath: string | undefined
  readonly verify: boolean
  readonly priority: string | undefined
}

/** What the daemon sends when it has accepted our certificate, before the first packet (virNetServerClientDispatchHandshake). */
const ACCEPTED = 1

class TlsTransport implements Transport {
  readonly #socket: TLSSocket

  constructor(socket: TLSSocket) {
    this.#socket = socket
  }

  start(handlers: TransportHandlers): void {
    this.#socket.on('data', (chunk: Buffer) => handlers.data(chunk))
    startSocket(this.#socket, handlers)
  }

  write(bytes: Buffer): number {
    this.#socket.write(bytes)
    return this.#socket.writableLength
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/**
 * Connects to a daemon by TLS with the client certificate of this user, checks the daemon's certificate and its host
 * name, and waits until the daemon has accepted ours.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONNECT` when nobody listens, `ERR_LIBVIRT_TLS_UNTRUSTED`, `_EXPIRED` and `_HOSTNAME`
 *   for what is wrong with the daemon's certificate, `ERR_LIBVIRT_TLS_REJECTED` when it refuses ours, `ERR_LIBVIRT_TLS` else.
 */
export async function connectTls(
  options: TlsOptions,
  environment: ClientEnvironment,
  signal?: AbortSignal,
): Promise<Transport> {
  signal?.throwIfAborted()
  const { host, port, verify } = options
  const files = await readTlsFiles(options.pkipath, environment)
  let socket: TLSSocket
  try {
    socket = connect({
      host,
      port,
      ca: files.ca,
      ...(files.crl && { crl: files.crl }),
      ...(files.cert && files.key && { cert: files.cert, key: files.key }),
      ...versionsOf(options.priority),
      rejectUnauthorized: verify,
      // A name for SNI; an address must not be sent as one (RFC 6066 §3).
      ...(isIP(host) === 0 && { servername: host }),
    })
  } catch (error) {
    throw new LibvirtError('ERR_LIBVIRT_TLS', `the certificate files cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  }
  socket.setNoDelay(true)
  let handshaken = false
  try {
    await opened(socket, 'secureConnect', signal)
    handshaken = true
    await accepted(socket, signal)
    return new TlsTransport(socket)
  } catch (error) {
    socket.on('error', () => {}) // It is given up; what else goes wrong with it is nobody's.
    socket.destroy()
    if (signal?.aborted || error instanceof LibvirtError) throw error
    throw tlsError(options, error, handshaken)
  }
}

/** Reads the byte by which the daemon accepts us. In TLS 1.3 the refusal of our certificate comes only here. */
async function accepted(socket: TLSSocket, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = (): void => reject(signal?.reason)
  const read = (): void => {
    const byte: Buffer | null = socket.read(1) // a TLS socket without encoding gives buffers
    if (byte === null) return
    if (byte[0] === ACCEPTED) resolve()
    else reject(new Error(`it answered ${byte[0]}`))
  }
  const closed = (): void => reject(new Error('it closed the connection after the handshake'))
  signal?.addEventListener('abort', abort, { once: true })
  socket.on('readable', read).once('end', closed).once('close', closed).once('error', reject)
  try {
    read()
    await promise
  } finally {
    signal?.removeEventListener('abort', abort)
    socket.removeListener('readable', read).removeListener('end', closed)
    socket.removeListener('close', closed).removeListener('error', reject)
    socket.pause()
  }
}

/** OpenSSL's verdicts on a certificate (X509_V_ERR_*), as Node names them. */
const CERTIFICATE_ERRORS: Readonly<Record<string, LibvirtErrorCode>> = {
  CERT_HAS_EXPIRED: 'ERR_LIBVIRT_TLS_EXPIRED',
  CERT_NOT_YET_VALID: 'ERR_LIBVIRT_TLS_EXPIRED',
  ERR_TLS_CERT_ALTNAME_INVALID: 'ERR_LIBVIRT_TLS_HOSTNAME',
  CERT_REVOKED: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  CERT_UNTRUSTED: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  CERT_SIGNATURE_FAILURE: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  SELF_SIGNED_CERT_IN_CHAIN: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  INVALID_CA: 'ERR_LIBVIRT_TLS_UNTRUSTED',
  INVALID_PURPOSE: 'ERR_LIBVIRT_TLS_UNTRUSTED',
}

function tlsError({ host, port }: TlsOptions, error: unknown, handshaken: boolean): LibvirtError {
  const code = codeOf(error) ?? ''
  const at = `${host} port ${port}`
  const verdict = CERTIFICATE_ERRORS[code]
  if (verdict) {
    const advice = {
      ERR_LIBVIRT_TLS_EXPIRED: "renew the daemon's certificate, or set the clocks right",
      ERR_LIBVIRT_TLS_HOSTNAME: 'connect by a name that is in the certificate, or issue one for this name',
      ERR_LIBVIRT_TLS_UNTRUSTED: 'cacert.pem must be that of the authority that signed it (pkipath=DIR)',
    }
    // Only these three are in the table above.
    const what = advice[verdict as keyof typeof advice]
    return new LibvirtError(verdict, `${at}: ${messageOf(error)}; ${what}`, { cause: error })
  }
  if (handshaken || /ALERT/.test(code))
    return new LibvirtError(
      'ERR_LIBVIRT_TLS_REJECTED',
      `${at} does not accept our certificate: ${messageOf(error)}; it must be signed by the daemon's authority, valid, and allowed by tls_allowed_dn_list of libvirtd.conf`,
      { cause: error },
    )
  if (code.startsWith('ERR_SSL') || code === 'EPROTO' || code === 'ECONNRESET')
    return new LibvirtError('ERR_LIBVIRT_TLS', `${at}: no TLS connection: ${messageOf(error)}`, {
      cause: error,
    })
  return networkError(
    host,
    port,
    error,
    'certificates, listen_tls = 1 in libvirtd.conf and libvirtd --listen',
  )
}

const VERSIONS: Readonly<Record<string, SecureVersion>> = {
  'TLS1.0': 'TLSv1',
  'TLS1.1': 'TLSv1.1',
  'TLS1.2': 'TLSv1.2',
  'TLS1.3': 'TLSv1.3',
}

/**
 * The versions that a priority string of GnuTLS allows ("NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2"), which
 * is what of it Node can be told; sets of ciphers by name (NORMAL, SECURE128 …) are Node's own.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_URI` for what cannot be done.
 */
function versionsOf(priority: string | undefined): {
  minVersion?: SecureVersion
  maxVersion?: SecureVersion
} {
  if (priority === undefined) return {}
  const allowed = new Set(['TLS1.2', 'TLS1.3'])
  for (const token of priority.split(':')) applyToken(token, allowed)
  return rangeOf(allowed, priority)
}

function applyToken(token: string, allowed: Set<string>): void {
  const [, sign, name = ''] = /^([-+!])VERS-(?:TLS-)?(ALL|TLS1\.[0-3])$/.exec(token) ?? []
  if (sign === undefined) {
    if (/^(@?[A-Z0-9_]+|%[A-Z0-9_]+|)$/.test(token)) return
    throw new LibvirtError(
      'ERR_LIBVIRT_URI',
      `tls_priority: '${token}' cannot be done here; only versions can be chosen, as in NORMAL:-VERS-ALL:+VERS-TLS1.2`,
    )
  }
  for (const version of name === 'ALL' ? Object.keys(VERSIONS) : [name]) {
    if (sign === '+') allowed.add(version)
    else allowed.delete(version)
  }
}

function rangeOf(
  allowed: ReadonlySet<string>,
  priority: string,
): { minVersion: SecureVersion; maxVersion: SecureVersion } {
  const names = Object.keys(VERSIONS).filter((name) => allowed.has(name))
  const [minVersion, maxVersion] = [VERSIONS[names[0] ?? ''], VERSIONS[names.at(-1) ?? '']]
  if (!minVersion || !maxVersion)
    throw new LibvirtError('ERR_LIBVIRT_URI', `tls_priority: '${priority}' leaves no version of TLS`)
  return { minVersion, maxVersion }
}
