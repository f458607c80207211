import { once } from 'node:events'
import type { Socket } from 'node:net'
import { codeOf, messageOf } from '../../core/errors.ts'
import { type Logger, silentLogger } from '../../core/logger.ts'
import { SaltError } from '../errors.ts'
import { checkPayload, readTag, tagEnd } from './body.ts'
import { keepable } from './frame.ts'
import { PROBE_TAG } from './probe-tag.ts'
import { MessageSplitter } from './splitter.ts'
import { UnixServer } from './unix-server.ts'

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
export interface EventPullerOptions {
  /** Path of the socket; its folder has to exist. */
  readonly path: string
  /** Called for each event, in the order of each client. */
  readonly onEvent: (event: ReceivedEvent) => void
  /** Permissions of the socket; default `0o600`, as Salt's. */
  readonly mode?: number | undefined
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
  /** Clients connected. */
  clients: number
  /** Clients cut: garbage, a message too long, or silence in the middle of one. */
  clientsCut: number
  /** Connections closed because there were too many. */
  clientsRefused: number
}

/**
 * The socket that clients of a Salt bus fire into. It takes every dialect, told apart for each connection by its first byte.
 *
 * A message that is no event is left out, and its client stays; a client whose bytes are no messages is cut.
 */
export class EventPuller implements AsyncDisposable {
  readonly stats: PullerStats = { accepted: 0, refused: 0, clients: 0, clientsCut: 0, clientsRefused: 0 }
  readonly #options: EventPullerOptions
  readonly #server: UnixServer
  readonly #log: Logger
  readonly #clients = new Set<Socket>()

  constructor(options: EventPullerOptions) {
    this.#options = options
    this.#log = options.log ?? silentLogger
    this.#server = new UnixServer({
      path: options.path,
      mode: options.mode,
      connectionsMax: options.clientsMax ?? CLIENTS_MAX,
      onConnection: (socket) => this.#accept(socket),
      onRefused: () => {
        this.stats.clientsRefused++
        this.#log.warn({ path: options.path, clients: this.stats.clients }, 'client refused: too many')
      },
    })
  }

  /**
   * Opens the socket.
   *
   * @throws {SaltError} ERR_SALT_SOCKET_IN_USE when somebody serves the path; what a dead server left there is replaced.
   * @throws {SaltError} ERR_SALT_SOCKET_PATH when no socket can be made there.
   */
  async listen(): Promise<void> {
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
    const splitter = new MessageSplitter({
      onBody: (body) => this.#take(body, socket),
      messageBytesMax: this.#options.messageBytesMax,
    })
    const stallMs = this.#options.stallMs ?? STALL_MS
    let inMessage = false
    this.#clients.add(socket)
    this.stats.clients++
    socket.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk)
      } catch (error) {
        this.#cut(socket, error)
      }
      if (inMessage === splitter.pendingBytes > 0) return
      inMessage = !inMessage
      socket.setTimeout(inMessage ? stallMs : 0)
    })
    socket.on('timeout', () => {
      this.#cut(
        socket,
        new SaltError('ERR_SALT_FRAME', `no byte for ${stallMs} ms in the middle of a message`),
      )
    })
    socket.on('error', (error) =>
      this.#log.debug({ path: this.#options.path, code: codeOf(error) }, 'client lost'),
    )
    socket.on('close', () => {
      this.#clients.delete(socket)
      this.stats.clients--
    })
  }

  #take(view: Buffer, client: Socket): void {
    try {
      const end = tagEnd(view)
      const tag = readTag(view, end)
      if (tag === undefined) throw new SaltError('ERR_SALT_BODY', 'a message without a tag')
      if (tag.startsWith(PROBE_TAG)) {
        // One byte is enough; a client that asks and asks and never reads gets no more.
        if (client.writableLength === 0) client.write('\n')
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
      this.#log.warn(fields, 'event refused')
    }
  }

  #cut(socket: Socket, error: unknown): void {
    if (socket.destroyed) return
    this.stats.clientsCut++
    const fields = { path: this.#options.path, code: codeOf(error), reason: messageOf(error) }
    this.#log.warn(fields, 'client cut')
    socket.destroy()
  }
}
