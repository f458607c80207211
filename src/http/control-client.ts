import { type IncomingMessage, request } from 'node:http'
import { codeOf, messageOf } from '../core/errors.ts'
import { HttpError } from './errors.ts'

/** A guest is some 300 bytes: this is room for 200,000. */
const BODY_BYTES_MAX = 64 * 1024 * 1024
const ANSWER_MS = 60_000

/**
 * Asks the virbus at a socket and returns its JSON; `path` with its query: `/v1/guests?host=*`.
 *
 * @throws {HttpError} `ERR_HTTP_UNREACHABLE`, `ERR_HTTP_REFUSED`, `ERR_HTTP_BODY`.
 */
export async function askControl(socketPath: string, path: string, signal?: AbortSignal): Promise<string> {
  const limit = AbortSignal.timeout(ANSWER_MS)
  const response = await get(socketPath, path, signal ? AbortSignal.any([limit, signal]) : limit)
  return await bodyOf(response, socketPath)
}

/**
 * The lines of an answer that comes bit by bit, as they come. Fails as {@link askControl} does, also when the answer ends before its end.
 */
export async function* askControlLines(
  socketPath: string,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<string> {
  try {
    const response = await get(socketPath, path, signal)
    yield* linesOf(response)
    if (!response.complete)
      throw new HttpError('ERR_HTTP_UNREACHABLE', `the virbus at ${socketPath} has ended`)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > BODY_BYTES_MAX)
      throw new HttpError('ERR_HTTP_BODY', `a line of over ${BODY_BYTES_MAX} bytes`)
    yield* lines
  }
}

async function get(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const asked = request({ socketPath, path, signal }, resolve)
  asked.on('error', reject)
  asked.end()
  let response: IncomingMessage
  try {
    response = await promise
  } catch (error) {
    throw unreachable(socketPath, error)
  }
  if (response.statusCode === 200) return response
  throw new HttpError(
    'ERR_HTTP_REFUSED',
    reasonOf(await bodyOf(response, socketPath), response.statusCode ?? 0),
  )
}

async function bodyOf(response: IncomingMessage, socketPath: string): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response) {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX)
        throw new HttpError('ERR_HTTP_BODY', `an answer of over ${BODY_BYTES_MAX} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof HttpError ? error : unreachable(socketPath, error)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unreachable(socketPath: string, cause: unknown): HttpError {
  const reason = codeOf(cause) ?? messageOf(cause)
  return new HttpError('ERR_HTTP_UNREACHABLE', `no virbus answers at ${socketPath}: ${reason}`, { cause })
}

function reasonOf(text: string, status: number): string {
  try {
    const { error } = Object(JSON.parse(text))
    return String(error ?? `status ${status}`)
  } catch {
    // Something else than a virbus answers.
    return `status ${status}`
  }
}
