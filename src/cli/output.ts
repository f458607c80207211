import type { Writable } from 'node:stream'

/** Ends of a command, documented in docs/cli.md. */
export const EXIT = { OK: 0, FAILURE: 1, USAGE: 2, TIMEOUT: 3 } as const

/** Writes and waits until the stream takes more; false when the reader has gone. */
export async function write(stream: Writable, text: string): Promise<boolean> {
  if (stream.destroyed || stream.writableEnded) return false
  if (stream.write(text)) return true
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const drained = (): void => resolve(true)
  const closed = (): void => resolve(false)
  stream.once('drain', drained)
  stream.once('close', closed)
  const open = await promise
  stream.removeListener('drain', drained)
  stream.removeListener('close', closed)
  return open
}

/**
 * Lets the reader of a pipe go away (`virbus watch | head`): `onGone` is called instead of an uncaught error.
 */
export function onReaderGone(stream: Writable, onGone: () => void): void {
  stream.on('error', (error) => {
    if ('code' in error && error.code === 'EPIPE') onGone()
    else throw error
  })
}
