import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  renameSync,
  rmSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { codeOf, messageOf } from '../../core/errors.ts'
import { SaltError } from '../errors.ts'

/** Bytes of a socket path: `sun_path` of unix(7) less its final zero. */
const SOCKET_PATH_BYTES_MAX = 107

/** Salt 3006 makes both sockets for their owner alone (`set_umask(0o177)` in salt/utils/event.py). */
const SOCKET_MODE = 0o600

/** Who may connect to a socket: on Linux whoever may write to it. */
export interface SocketAccess {
  /** Permissions of the socket; default `0o600`. */
  readonly mode?: number | undefined
  /** Number of the user that the socket is given to; default: the user of this process. */
  readonly owner?: number | undefined
  /** Number of the group that the socket is given to; default: the group of this process. */
  readonly group?: number | undefined
}

/** What every kind of socket needs. */
export interface UnixServerOptions extends SocketAccess {
  /** At most 107 bytes, in a folder that exists. */
  readonly path: string
  readonly connectionsMax: number
  readonly onConnection: (socket: Socket) => void
  /** A connection above `connectionsMax` was closed at once. */
  readonly onRefused: () => void
}

/**
 * A listening UNIX socket that appears at its path complete, with its mode, and only where nobody listens.
 *
 * It is bound under a name of its own in a private folder and then linked to the path, which fails where something exists:
 * two servers that start at once cannot both win. What a dead server left behind is moved away first.
 */
export class UnixServer implements AsyncDisposable {
  readonly #options: UnixServerOptions
  readonly #server: Server
  #inode: number | undefined

  constructor(options: UnixServerOptions) {
    this.#options = options
    this.#server = createServer(options.onConnection)
    this.#server.maxConnections = options.connectionsMax
    this.#server.on('drop', options.onRefused)
  }

  /**
   * Starts to listen.
   *
   * @throws {SaltError} ERR_SALT_SOCKET_IN_USE when somebody listens at the path.
   * @throws {SaltError} ERR_SALT_SOCKET_PATH when no socket can be made there.
   * @throws {SaltError} ERR_SALT_SOCKET_OWNER when it cannot be given to the owner or group.
   */
  async listen(): Promise<void> {
    const { path } = this.#options
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      throw new SaltError(
        'ERR_SALT_SOCKET_PATH',
        `socket path ${path} is over ${SOCKET_PATH_BYTES_MAX} bytes`,
      )
    }
    await removeStale(path)
    const folder = tempFolder(path)
    try {
      const temporary = join(folder, 's')
      this.#server.listen({ path: temporary, backlog: 511 })
      await once(this.#server, 'listening')
      giveAway(temporary, this.#options)
      chmodSync(temporary, this.#options.mode ?? SOCKET_MODE)
      linkSync(temporary, path)
      this.#inode = lstatSync(path).ino
    } catch (error) {
      this.#server.close()
      if (codeOf(error) === 'EEXIST') throw inUse(path)
      throw error instanceof SaltError ? error : noSocket(path, error)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  /** Stops to listen and removes the socket, unless another server has taken its place. Connections are the owner's. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { path } = this.#options
    if (this.#inode !== undefined && statOf(path)?.ino === this.#inode) unlinkSync(path)
    this.#inode = undefined
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }
}

function tempFolder(path: string): string {
  try {
    // The longest name below it is 4 bytes shorter than Salt's shortest socket name.
    return mkdtempSync(join(dirname(path), '.vb-'))
  } catch (error) {
    throw noSocket(path, error)
  }
}

/** −1 leaves what is: chown(2). */
function giveAway(temporary: string, { path, owner = -1, group = -1 }: UnixServerOptions): void {
  if (owner === -1 && group === -1) return
  try {
    chownSync(temporary, owner, group)
  } catch (cause) {
    const to = [owner === -1 ? [] : `user ${owner}`, group === -1 ? [] : `group ${group}`].flat().join(', ')
    throw new SaltError(
      'ERR_SALT_SOCKET_OWNER',
      `the socket ${path} cannot be given to ${to}: ${codeOf(cause)}`,
      { cause },
    )
  }
}

async function removeStale(path: string): Promise<void> {
  const found = statOf(path)
  if (!found) return
  if (!found.isSocket()) {
    throw new SaltError('ERR_SALT_SOCKET_PATH', `${path} exists and is no socket; it is left as it is`)
  }
  if (await answers(path)) throw inUse(path)
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
    if (lstatSync(aside).ino !== found.ino) {
      // Another server put its socket there between the two looks.
      linkSync(aside, path)
      throw inUse(path)
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error instanceof SaltError ? error : noSocket(path, error)
  } finally {
    rmSync(aside, { force: true })
  }
}

/** Whether anybody listens. Only a refusal says no: a full backlog or a lack of permission is somebody too. */
async function answers(path: string): Promise<boolean> {
  const probe = createConnection(path)
  try {
    await once(probe, 'connect')
    return true
  } catch (error) {
    return codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'
  } finally {
    probe.destroy()
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw noSocket(path, error)
  }
}

function inUse(path: string): SaltError {
  return new SaltError(
    'ERR_SALT_SOCKET_IN_USE',
    `somebody listens at ${path} already: a Salt daemon or another virbus`,
  )
}

function noSocket(path: string, cause: unknown): SaltError {
  return new SaltError('ERR_SALT_SOCKET_PATH', `no socket can be made at ${path}: ${messageOf(cause)}`, {
    cause,
  })
}
