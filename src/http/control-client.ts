import { request } from 'node:http'
import { codeOf } from '../core/errors.ts'
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
  const limits = [AbortSignal.timeout(ANSWER_MS), ...(signal ? [signal] : [])]
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const asked = request({ socketPath, path, signal: AbortSignal.any(limits) }, (response) => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('error', reject)
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX)
        response.destroy(new HttpError('ERR_HTTP_BODY', `an answer of over ${BODY_BYTES_MAX} bytes`))
      else chunks.push(chunk)
    })
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
    )
  })
  asked.on('error', reject)
  asked.end()
  let answer: { status: number; text: string }
  try {
    answer = await promise
  } catch (error) {
    if (error instanceof HttpError || signal?.aborted) throw error
    throw new HttpError(
      'ERR_HTTP_UNREACHABLE',
      `no virbus answers at ${socketPath}: ${codeOf(error) ?? error}`,
      {
        cause: error,
      },
    )
  }
  if (answer.status !== 200) throw new HttpError('ERR_HTTP_REFUSED', reasonOf(answer.text, answer.status))
  return answer.text
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
