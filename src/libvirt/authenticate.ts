import { messageOf, VirbusError } from '../core/errors.ts'
import type { SaslClient, SaslCredentials } from '../sasl/index.ts'
import { storedCredentials } from './auth-file.ts'
import type { ClientEnvironment } from './client-config.ts'
import { LibvirtError } from './errors.ts'
import * as remote from './protocol/remote.gen.ts'
import type { RpcClient } from './rpc-client.ts'
import type { Target } from './uri.ts'

/** Who asks for credentials. */
export interface CredentialsRequest {
  readonly host: string
  readonly mechanism: string
  /** The name in the URI, if there is one. */
  readonly username: string | undefined
}

/** User name and password for SASL. */
export interface Credentials {
  readonly username: string
  readonly password: string
  /** The realm, where a mechanism knows such a thing (DIGEST-MD5); the daemon's by default. */
  readonly realm?: string
}

/** Credentials as they are, or something that gets them when a daemon asks. */
export type CredentialsSource =
  | Credentials
  | ((request: CredentialsRequest) => Credentials | Promise<Credentials>)

/** What authentication needs to know. */
export interface AuthenticateOptions {
  readonly target: Target
  readonly credentials: CredentialsSource | undefined
  readonly environment: ClientEnvironment
}

/** Steps of one SASL conversation; the longest mechanism has three. */
const STEPS_MAX = 8

/**
 * Does what the daemon wants before it lets us in (remoteAuthenticate in remote_driver.c): nothing, polkit, or SASL.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_AUTH` when we cannot, `ERR_LIBVIRT_AUTH_FAILED` or `ERR_LIBVIRT_AUTH_DENIED` when it refuses.
 */
export async function authenticate(client: RpcClient, options: AuthenticateOptions): Promise<void> {
  const { types } = await client.call(remote.REMOTE_PROC_AUTH_LIST, undefined)
  const { auth } = options.target
  const wanted = auth === undefined ? undefined : (auth.split('.')[0] ?? '')
  const type = wanted === undefined ? types[0] : types.find((each) => NAMES[each] === wanted)
  if (type === undefined && wanted !== undefined)
    throw new LibvirtError(
      'ERR_LIBVIRT_AUTH',
      `the daemon does not offer '${wanted}' but ${types.map((each) => NAMES[each] ?? each).join(', ')}`,
    )
  if (type === undefined || type === remote.REMOTE_AUTH_NONE) return
  if (type === remote.REMOTE_AUTH_POLKIT) await client.call(remote.REMOTE_PROC_AUTH_POLKIT, undefined)
  else if (type === remote.REMOTE_AUTH_SASL) await sasl(client, options)
  else throw new LibvirtError('ERR_LIBVIRT_AUTH', `the daemon asks for the unknown authentication ${type}`)
}

const NAMES: Readonly<Record<number, string>> = {
  [remote.REMOTE_AUTH_NONE]: 'none',
  [remote.REMOTE_AUTH_SASL]: 'sasl',
  [remote.REMOTE_AUTH_POLKIT]: 'polkit',
}

/** A socket of this machine, TLS and ssh are secret already; over others libvirt wants SASL to encrypt (remoteAuthSASL). */
function layerOf({ route: { transport } }: Target): 'required' | 'none' {
  return transport === 'tcp' || transport === 'ext' ? 'required' : 'none'
}

async function sasl(
  client: RpcClient,
  { target, credentials, environment }: AuthenticateOptions,
): Promise<void> {
  // Loaded when a daemon asks for it: most do not.
  const { chooseMechanism, createSaslClient } = await import('../sasl/index.ts')
  const { mechlist } = await client.call(remote.REMOTE_PROC_AUTH_SASL_INIT, undefined)
  const layer = layerOf(target)
  const wanted = target.auth?.split('.')[1]?.toUpperCase()
  const mechanism = offered(
    () => chooseMechanism(mechlist, { layer, ...(wanted !== undefined && { wanted }) }),
    layer,
  )
  const request = { host: target.host, mechanism, username: target.username }
  const known = await credentialsFor(request, { target, credentials, environment })
  const conversation = createSaslClient(mechanism, {
    credentials: known,
    service: 'libvirt',
    host: target.host,
    layer,
  })
  try {
    await converse(client, conversation)
  } catch (error) {
    throw authError(error, target, mechanism, known.username)
  }
  if (conversation.layer) client.secure(conversation.layer)
}

function offered(choose: () => string, layer: 'required' | 'none'): string {
  try {
    return choose()
  } catch (error) {
    const advice =
      layer === 'required'
        ? '; without TLS a mechanism that encrypts is needed (DIGEST-MD5): use the transport tls or ssh'
        : ''
    throw new LibvirtError('ERR_LIBVIRT_AUTH', `SASL: ${messageOf(error)}${advice}`, { cause: error })
  }
}

/** SASL_START, then SASL_STEP until both sides are content; we always check what the daemon says last. */
async function converse(client: RpcClient, conversation: SaslClient): Promise<void> {
  const first = await conversation.start()
  let reply = await client.call(remote.REMOTE_PROC_AUTH_SASL_START, {
    mech: conversation.mechanism,
    ...token(first),
  })
  for (let step = 0; step < STEPS_MAX; step++) {
    if (reply.complete !== 0 && conversation.isComplete) return
    const answer = await conversation.step(reply.nil === 0 ? reply.data : Buffer.alloc(0))
    if (reply.complete !== 0 && conversation.isComplete) return
    if (reply.complete !== 0)
      throw new LibvirtError(
        'ERR_LIBVIRT_AUTH_FAILED',
        'the daemon ended the exchange before it had proved itself',
      )
    reply = await client.call(remote.REMOTE_PROC_AUTH_SASL_STEP, token(answer))
  }
  throw new LibvirtError('ERR_LIBVIRT_AUTH_FAILED', `no end after ${STEPS_MAX} steps`)
}

/** NULL and an empty token are not the same to SASL. */
function token(data: Buffer | undefined): { nil: number; data: Buffer } {
  return { nil: data === undefined ? 1 : 0, data: data ?? Buffer.alloc(0) }
}

/** What was given, else libvirt's authentication file, else the environment, else the callback. */
async function credentialsFor(
  request: CredentialsRequest,
  { target, credentials, environment }: AuthenticateOptions,
): Promise<SaslCredentials> {
  if (typeof credentials === 'object') return credentials
  const stored = await storedCredentials({ host: target.host, file: target.authFile, environment })
  const { env } = environment
  const username =
    stored?.get('authname') ?? stored?.get('username') ?? request.username ?? env['VIRBUS_LIBVIRT_USERNAME']
  const password = stored?.get('password') ?? env['VIRBUS_LIBVIRT_PASSWORD']
  const realm = stored?.get('realm')
  if (username !== undefined && password !== undefined)
    return { username, password, ...(realm !== undefined && { realm }) }
  if (credentials) return await credentials({ ...request, username })
  const missing = username === undefined ? 'user name and password' : `password for ${username}`
  throw new LibvirtError(
    'ERR_LIBVIRT_AUTH',
    `the daemon of ${target.host} asks for SASL, and there is no ${missing}: give credentials, write them into ` +
      "libvirt's authentication file (https://libvirt.org/auth.html), or set VIRBUS_LIBVIRT_USERNAME and VIRBUS_LIBVIRT_PASSWORD",
  )
}

function authError(error: unknown, target: Target, mechanism: string, username: string): unknown {
  const at = `${mechanism} as ${username} at ${target.host}`
  if (error instanceof VirbusError && error.code.startsWith('ERR_SASL_'))
    return new LibvirtError('ERR_LIBVIRT_AUTH_FAILED', `${at}: ${error.message}`, { cause: error })
  if (!(error instanceof LibvirtError) || error.remoteCode === undefined) return error
  const { remoteCode: code, remoteDomain: domain = 0, remoteLevel: level = 0 } = error
  return new LibvirtError(
    'ERR_LIBVIRT_AUTH_FAILED',
    `${at}: ${error.message}; the name or the password is wrong, or the daemon's SASL database does not have it (saslpasswd2 -a libvirt)`,
    { cause: error, remote: { code, domain, level } },
  )
}
