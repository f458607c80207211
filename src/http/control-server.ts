import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { codeOf, messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { toJson } from './json.ts'

const HEADER_BYTES_MAX = 16_384
const REQUEST_MS = 10_000
const IDLE_MS = 5000

/** Answers a GET with a value for JSON. Errors with a code that begins with `ERR_` are the asker's (400), others ours (500). */
export type Route = (params: URLSearchParams) => unknown

/** What is asked of a running virbus, and whom it tells of trouble. */
export interface ControlOptions {
  /** By path: `/v1/guests`. */
  readonly routes: Readonly<Record<string, Route>>
  readonly log: Logger
}

/** HTTP/1.1 for commands of the same machine, on connections that somebody else accepts. GET only, JSON only. */
export class ControlServer implements AsyncDisposable {
  readonly #options: ControlOptions
  readonly #server: ReturnType<typeof createServer>
  readonly #sockets = new Set<Socket>()

  constructor(options: ControlOptions) {
    this.#options = options
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        requestTimeout: REQUEST_MS,
        headersTimeout: REQUEST_MS,
        keepAliveTimeout: IDLE_MS,
      },
      (request, response) => void this.#answer(request, response),
    )
  }

  /** Serves one connection. */
  take(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // A server that does not listen itself does not look for slow askers either.
    socket.setTimeout(REQUEST_MS, () => socket.destroy())
    this.#server.emit('connection', socket)
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume()
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const route = Object.hasOwn(this.#options.routes, pathname) ? this.#options.routes[pathname] : undefined
    if (!route) return send(response, 404, { error: `there is no ${pathname}` })
    if (request.method !== 'GET') return send(response, 405, { error: `${pathname} can only be got` })
    try {
      send(response, 200, await route(searchParams))
    } catch (error) {
      const isTheirs = codeOf(error)?.startsWith('ERR_') ?? false
      if (!isTheirs)
        this.#options.log.error({ path: pathname, error: messageOf(error) }, 'a question was not answered')
      send(response, isTheirs ? 400 : 500, { error: messageOf(error), code: codeOf(error) })
    }
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${toJson(value)}\n`)
}
