import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf, messageOf } from '../../core/errors.ts'
import { LibvirtError } from '../errors.ts'
import { opened, SocketTransport } from './socket.ts'
import type { Transport } from './transport.ts'

/** `sun_path` of sockaddr_un holds 108 bytes with its NUL (unix(7)); Node cuts longer paths without a word. */
const SOCKET_PATH_BYTES_MAX = 107

/** How long a daemon that was started on demand may take to listen, and how often that is tried (virNetSocketNewConnectUNIX). */
const DAEMON_START = { totalMs: 5000, everyMs: 10 }

/**
 * Connects to the UNIX socket of a daemon; starts `daemon`, where one is named, when nobody listens.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONNECT` when nobody listens there or we may not; the message says what to do.
 */
export async function connectUnix(
  { socketPath, daemon }: { readonly socketPath: string; readonly daemon?: string | undefined },
  signal?: AbortSignal,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Transport> {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX)
    throw new LibvirtError(
      'ERR_LIBVIRT_CONNECT',
      `socket path of over ${SOCKET_PATH_BYTES_MAX} bytes: ${socketPath}`,
    )
  signal?.throwIfAborted()
  try {
    return await tryUnix(socketPath, signal)
  } catch (error) {
    if (signal?.aborted) throw error
    if (!daemon || !isNobody(error)) throw connectError(socketPath, error)
  }
  await startDaemon(daemon, socketPath, env)
  return await waitUnix(socketPath, signal)
}

/** Tries until a daemon that was just started listens. */
async function waitUnix(socketPath: string, signal: AbortSignal | undefined): Promise<Transport> {
  const deadline = performance.now() + DAEMON_START.totalMs
  for (;;) {
    await delay(DAEMON_START.everyMs, undefined, { signal })
    try {
      return await tryUnix(socketPath, signal)
    } catch (error) {
      if (signal?.aborted) throw error
      if (!isNobody(error) || performance.now() > deadline) throw connectError(socketPath, error)
    }
  }
}

async function tryUnix(path: string, signal: AbortSignal | undefined): Promise<Transport> {
  const transport = new SocketTransport({ path })
  await opened(transport.socket, 'connect', signal)
  return transport
}

function isNobody(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ECONNREFUSED'
}

/** A user's own daemon lives on after us and ends by itself, 120 s after its last client (virNetSocketForkDaemon). */
async function startDaemon(
  program: string,
  socketPath: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  try {
    mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 })
    const child = spawn(program, ['--timeout=120'], { detached: true, stdio: 'ignore', cwd: '/', env })
    child.once('spawn', resolve).once('error', reject)
    await promise
    child.unref()
  } catch (error) {
    const text = `nobody listens on ${socketPath}, and ${program} cannot be started: ${messageOf(error)}`
    throw new LibvirtError('ERR_LIBVIRT_CONNECT', text, { cause: error })
  }
}

function connectError(path: string, error: unknown): LibvirtError {
  const advice: Record<string, string> = {
    ENOENT:
      'no such socket: is the daemon running? (systemctl start libvirtd, or virtqemud for modular daemons)',
    ECONNREFUSED: 'nobody listens on this socket: the daemon that made it is gone; start it again',
    EACCES:
      "permission denied: add this user to the group that owns the socket (usually 'libvirt'), then log in again, or connect as root",
  }
  const text = advice[codeOf(error) ?? ''] ?? messageOf(error)
  return new LibvirtError('ERR_LIBVIRT_CONNECT', `cannot connect to ${path}: ${text}`, { cause: error })
}
