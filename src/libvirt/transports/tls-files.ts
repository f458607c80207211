import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../../core/errors.ts'
import type { ClientEnvironment } from '../client-config.ts'
import { LibvirtError } from '../errors.ts'

/** PEM texts for one TLS connection. */
export interface TlsFiles {
  readonly ca: Buffer
  readonly crl: Buffer | undefined
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
}

interface Paths {
  readonly ca: string
  readonly crl: string
  readonly cert: string
  readonly key: string
}

/** libvirt's places (virnettlsconfig.h). */
const SYSTEM: Paths = {
  ca: '/etc/pki/CA/cacert.pem',
  crl: '/etc/pki/CA/cacrl.pem',
  cert: '/etc/pki/libvirt/clientcert.pem',
  key: '/etc/pki/libvirt/private/clientkey.pem',
}

/** A certificate chain is some kilobytes; a file over this is something else. */
const PEM_BYTES_MAX = 1024 * 1024

/**
 * Reads the certificates for a connection, from the places where libvirt looks (virNetTLSContextLocateCredentials):
 * `pkipath`, or for users `~/.pki/libvirt` and what is missing there from the system's folders.
 * Client certificate and key may be absent, both.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_TLS` when the authority's certificate is missing or a file cannot be read.
 */
export async function readTlsFiles(
  pkipath: string | undefined,
  environment: ClientEnvironment,
): Promise<TlsFiles> {
  const paths = pkipath === undefined ? defaultPaths(environment) : pathsIn(pkipath)
  const [ca, crl, cert, key] = await Promise.all([
    readPem(paths.ca),
    readPem(paths.crl),
    readPem(paths.cert),
    readPem(paths.key),
  ])
  if (!ca)
    throw new LibvirtError(
      'ERR_LIBVIRT_TLS',
      `no certificate of the authority at ${paths.ca}: put it there, or name its folder with pkipath=DIR`,
    )
  if ((cert === undefined) !== (key === undefined))
    throw new LibvirtError('ERR_LIBVIRT_TLS', `only one of ${paths.cert} and ${paths.key} is there`)
  return { ca, crl, cert, key }
}

function pathsIn(folder: string): Paths {
  return {
    ca: join(folder, 'cacert.pem'),
    crl: join(folder, 'cacrl.pem'),
    cert: join(folder, 'clientcert.pem'),
    key: join(folder, 'clientkey.pem'),
  }
}

function defaultPaths({ env, uid }: ClientEnvironment): Paths {
  if (uid === 0) return SYSTEM
  const user = pathsIn(join(env['HOME'] ?? '/', '.pki/libvirt'))
  const pair = existsSync(user.cert) && existsSync(user.key) ? user : SYSTEM
  return {
    ca: existsSync(user.ca) ? user.ca : SYSTEM.ca,
    crl: existsSync(user.crl) ? user.crl : SYSTEM.crl,
    cert: pair.cert,
    key: pair.key,
  }
}

async function readPem(path: string): Promise<Buffer | undefined> {
  try {
    const bytes = await readFile(path)
    if (bytes.length > PEM_BYTES_MAX)
      throw new LibvirtError('ERR_LIBVIRT_TLS', `${path} is over ${PEM_BYTES_MAX} bytes`)
    return bytes
  } catch (error) {
    if (error instanceof LibvirtError) throw error
    if (codeOf(error) === 'ENOENT') return undefined
    throw new LibvirtError('ERR_LIBVIRT_TLS', `cannot read ${path}: ${codeOf(error)}`, { cause: error })
  }
}
