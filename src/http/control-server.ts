import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf, messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { toJson } from './json.ts'

const HEADER_BYTES_MAX = 16_384
const REQUEST_MS = 10_000

/**
 * Answers a GET with a value for JSON, or with values that come one after the other, each a line of JSON. Errors with a code that begins
 * with `ERR_` are the asker's (400), others ours (500). `signal` aborts when the asker has gone.
 */
export type Route = (params: URLSearchParams, signal: AbortSignal) => unknown

/** What is asked of a running virbus, and whom it tells of trouble. */
export interface ControlOptions {
  /** By path: `/v1/guests`. */
  readonly routes: Readonly<Record<string, Route>>
  /** How long a question may take to come, and an answer of one piece to be taken; default 10 s. */
  readonly requestMs?: number | undefined
  readonly log: Logger
}

/**
 * HTTP/1.1 for commands of the same machine, on connections that somebody else accepts. GET only, JSON only, one question a connection: who
 * asks for many things at once would have all answers wait in memory.
 */
export class ControlServer implements AsyncDisposable {
  readonly #options: ControlOptions
  readonly #server: ReturnType<typeof createServer>
  /** Connections, with what ends those whose question has not come. */
  readonly #sockets = new Map<Socket, NodeJS.Timeout>()
  #closed = false

  constructor(options: ControlOptions) {
    this.#options = options
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
      clearTimeout(this.#sockets.get(request.socket))
      void this.#answer(request, response)
    })
    this.#server.maxRequestsPerSocket = 1
  }

  /** Serves one connection. */
  take(socket: Socket): void {
    if (this.#closed) {
      socket.destroy()
      return
    }
    const requestMs = this.#options.requestMs ?? REQUEST_MS
    // A server that does not listen itself does not look for slow askers either, who may send a byte now and then.
    const deadline = setTimeout(() => socket.destroy(), requestMs)
    this.#sockets.set(socket, deadline)
    socket.once('close', () => {
      clearTimeout(deadline)
      this.#sockets.delete(socket)
    })
    socket.setTimeout(requestMs, () => socket.destroy())
    this.#server.emit('connection', socket)
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const socket of this.#sockets.keys()) socket.destroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume()
    const url = URL.parse(request.url ?? '/', 'http://localhost')
    if (!url) return send(response, 400, { error: 'the question has no path' })
    const { pathname, searchParams } = url
    const route = Object.hasOwn(this.#options.routes, pathname) ? this.#options.routes[pathname] : undefined
    if (!route) return send(response, 404, { error: `there is no ${pathname}` })
    if (request.method !== 'GET') return send(response, 405, { error: `${pathname} can only be got` })
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const answer = await route(searchParams, gone.signal)
      if (isStream(answer)) await sendLines(request.socket, response, answer)
      else send(response, 200, answer)
    } catch (error) {
      this.#fail(pathname, response, error)
    }
  }

  #fail(path: string, response: ServerResponse, error: unknown): void {
    const isTheirs = codeOf(error)?.startsWith('ERR_') ?? false
    if (response.destroyed) return
    if (!isTheirs) this.#options.log.error({ path, error: messageOf(error) }, 'a question was not answered')
    // An answer that ends without its end says that it is not whole.
    if (response.headersSent) response.destroy()
    else send(response, isTheirs ? 400 : 500, { error: messageOf(error), code: codeOf(error) })
  }
}

function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer
}

/** Waits for the reader between lines, and not for the first line before it says that there will be some. */
async function sendLines(
  socket: Socket,
  response: ServerResponse,
  answer: AsyncIterable<unknown>,
): Promise<void> {
  const lines = answer[Symbol.asyncIterator]()
  // What is wrong with the question is known by the first line, unless there is none yet.
  let next = lines.next()
  const begun = await Promise.race([next.then(() => true), delay(FIRST_LINE_MS, false)])
  if (!begun) response.writeHead(200, LINES)
  socket.setTimeout(0)
  for (let { done, value } = await next; !done; { done, value } = await next) {
    if (!response.headersSent) response.writeHead(200, LINES)
    if (!response.write(`${toJson(value)}\n`)) await drained(response)
    if (response.destroyed) {
      await lines.return?.()
      return
    }
    next = lines.next()
  }
  if (!response.headersSent) response.writeHead(200, LINES)
  response.end()
}

/** Until the reader has taken what was written, or has gone. */
async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = (): void => resolve()
  response.once('drain', done)
  response.once('close', done)
  await promise
  response.off('drain', done)
  response.off('close', done)
}

const HEADERS = { 'cache-control': 'no-store', connection: 'close' }
const LINES = { ...HEADERS, 'content-type': 'application/x-ndjson' }
const FIRST_LINE_MS = 50

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...HEADERS, 'content-type': 'application/json' })
  response.end(`${toJson(value)}\n`)
}
