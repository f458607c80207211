import { once } from 'node:events'
import type { Socket } from 'node:net'
import { codeOf, messageOf } from '../../core/errors.ts'
import { LogLimit } from '../../core/log-limit.ts'
import { type Logger, silentLogger } from '../../core/logger.ts'
import { SaltError } from '../errors.ts'
import { checkPayload, readTag, tagEnd } from './body.ts'
import { FiringClient, type FiringLimits } from './firing-client.ts'
import { keepable } from './frame.ts'
import { loadPeerReader, type PeerCredentials, type PeerReader } from './peer-credentials.ts'
import { PROBE_TAG } from './probe-tag.ts'
import { isReserved, RESERVED_TAGS, type ReservedTags } from './reserved-tags.ts'
import { type SocketAccess, UnixServer } from './unix-server.ts'

/** Firing clients at once, at most. */
export const CLIENTS_MAX = 1024

/** How long a client may be silent in the middle of a message. */
export const STALL_MS = 30_000

/** An event that a client fired. All bytes may be kept. */
export interface ReceivedEvent {
  readonly tag: string
  /** The data: one well-formed MessagePack map, not decoded. */
  readonly payload: Buffer
  /** Tag, empty line and data, as `publishBody` takes it. */
  readonly body: Buffer
}

/** Settings of {@link EventPuller}. */
export interface EventPullerOptions extends SocketAccess {
  /** Path of the socket; its folder has to exist. */
  readonly path: string
  /** Called for each event, in the order of each client. */
  readonly onEvent: (event: ReceivedEvent) => void
  /** Tags that only some users may fire; by default every client may fire all. Linux only. */
  readonly reserved?: ReservedTags | undefined
  /** What each client may send; default: without end. */
  readonly limits?: FiringLimits | undefined
  /** Default and at most `MESSAGE_BYTES_MAX`. */
  readonly messageBytesMax?: number | undefined
  /** Default {@link STALL_MS}. */
  readonly stallMs?: number | undefined
  /** Default {@link CLIENTS_MAX}. */
  readonly clientsMax?: number | undefined
  readonly log?: Logger | undefined
}

/** What a puller has seen since it began. */
export interface PullerStats {
  /** Events handed on. */
  accepted: number
  /** Messages that were no event and were left out. */
  refused: number
  /** Events under a reserved tag from clients that may not fire it; they were left out. */
  forged: number
  /** How often a client was not read for a while because it sent more than it may. */
  throttled: number
  /** Clients connected. */
  clients: number
  /** Clients cut: garbage, a message too long, or silence in the middle of one. */
  clientsCut: number
  /** Connections closed because there were too many. */
  clientsRefused: number
}

/** A client as its events are judged. */
interface Sender {
  readonly socket: Socket
  readonly peer: PeerCredentials | undefined
  /** Tags that it may not fire. */
  readonly reserved: readonly string[] | undefined
}

/**
 * The socket that clients of a Salt bus fire into. It takes every dialect, told apart for each connection by its first byte.
 *
 * A message that is no event is left out, and its client stays; a client whose bytes are no messages is cut.
 */
export class EventPuller implements AsyncDisposable {
  readonly stats: PullerStats = {
    accepted: 0,
    refused: 0,
    forged: 0,
    throttled: 0,
    clients: 0,
    clientsCut: 0,
    clientsRefused: 0,
  }
  readonly #options: EventPullerOptions
  readonly #server: UnixServer
  readonly #log: Logger
  readonly #limited: LogLimit
  readonly #clients = new Set<Socket>()
  #readPeer: PeerReader | undefined

  constructor(options: EventPullerOptions) {
    this.#options = options
    this.#log = options.log ?? silentLogger
    this.#limited = new LogLimit(this.#log)
    const { path, mode, owner, group } = options
    this.#server = new UnixServer({
      ...{ path, mode, owner, group },
      connectionsMax: options.clientsMax ?? CLIENTS_MAX,
      onConnection: (socket) => this.#accept(socket),
      onRefused: () => {
        this.stats.clientsRefused++
        this.#limited.warn({ path, clients: this.stats.clients }, 'client refused: too many')
      },
    })
  }

  /**
   * Opens the socket.
   *
   * @throws {SaltError} ERR_SALT_SOCKET_IN_USE when somebody serves the path; what a dead server left there is replaced.
   * @throws {SaltError} ERR_SALT_SOCKET_PATH when no socket can be made there, ERR_SALT_SOCKET_OWNER when it cannot be given away.
   * @throws {SaltError} ERR_SALT_CREDENTIALS when tags are reserved and it cannot be known who connects.
   */
  async listen(): Promise<void> {
    if (this.#options.reserved) this.#readPeer = await loadPeerReader()
    await this.#server.listen()
  }

  /** Closes every connection and removes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    const serverClosed = this.#server[Symbol.asyncDispose]()
    const gone = [...this.#clients].map((client) => once(client, 'close'))
    for (const client of this.#clients) client.destroy()
    await Promise.all([serverClosed, ...gone])
  }

  #accept(socket: Socket): void {
    const { path, messageBytesMax, limits } = this.#options
    const sender = this.#senderOf(socket)
    new FiringClient(socket, {
      onBody: (body) => this.#take(body, sender),
      onFault: (error) => this.#cut(socket, error),
      onThrottled: () => this.#throttled(sender),
      stallMs: this.#options.stallMs ?? STALL_MS,
      messageBytesMax,
      limits,
    })
    this.#clients.add(socket)
    this.stats.clients++
    socket.on('error', (error) => this.#log.debug({ path, code: codeOf(error) }, 'client lost'))
    socket.on('close', () => {
      this.#clients.delete(socket)
      this.stats.clients--
    })
  }

  /** Whoever cannot be known may not fire what is reserved. */
  #senderOf(socket: Socket): Sender {
    const { reserved } = this.#options
    const peer = this.#readPeer?.(socket)
    const mayFireAll = !reserved || (peer !== undefined && reserved.uids.includes(peer.uid))
    return { socket, peer, reserved: mayFireAll ? undefined : (reserved.tags ?? RESERVED_TAGS) }
  }

  #throttled({ peer }: Sender): void {
    this.stats.throttled++
    this.#limited.warn({ path: this.#options.path, ...peer }, 'client throttled: it sends too much')
  }

  #take(view: Buffer, { socket, peer, reserved }: Sender): void {
    try {
      const end = tagEnd(view)
      const tag = readTag(view, end)
      if (tag === undefined) throw new SaltError('ERR_SALT_BODY', 'a message without a tag')
      if (tag.startsWith(PROBE_TAG)) {
        // One byte is enough; a client that asks and asks and never reads gets no more.
        if (socket.writableLength === 0) socket.write('\n')
        return
      }
      if (reserved && isReserved(tag, reserved)) {
        this.stats.forged++
        this.#limited.warn({ path: this.#options.path, tag, ...peer }, 'event refused: its tag is reserved')
        return
      }
      const body = keepable(view)
      const payload = body.subarray(end + 2)
      checkPayload(payload)
      this.#options.onEvent({ tag, payload, body })
      this.stats.accepted++
    } catch (error) {
      this.stats.refused++
      const fields = { path: this.#options.path, code: codeOf(error), reason: messageOf(error) }
      this.#limited.warn(fields, 'event refused')
    }
  }

  #cut(socket: Socket, error: unknown): void {
    if (socket.destroyed) return
    this.stats.clientsCut++
    const fields = { path: this.#options.path, code: codeOf(error), reason: messageOf(error) }
    this.#limited.warn(fields, 'client cut')
    socket.destroy()
  }
}
