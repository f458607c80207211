import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { openResources } from './measure.ts'

/** How long anything may take. */
export const WAIT_MS = 60_000

/** A plain connection whose errors are nobody's. */
export async function connected(path: string): Promise<Socket> {
  const socket = createConnection(path)
  socket.on('error', () => {}) // cut, as it deserves
  await once(socket, 'connect', { signal: AbortSignal.timeout(WAIT_MS) })
  return socket
}

/** Until it is closed, by whom and however that may be. */
export async function closed(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('not closed in time')), WAIT_MS)
  socket.resume().once('close', () => resolve())
  if (!socket.closed) await promise
  clearTimeout(timer)
}

/** Looks again after each turn of the event loop. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + WAIT_MS
  while (!holds()) {
    assert.ok(performance.now() < deadline, what)
    await new Promise(setImmediate)
  }
}

/** Waits until no more is open than at that time; what is closed takes a turn or two to go. */
export async function back(before: ReturnType<typeof openResources>): Promise<void> {
  const isMore = (): boolean =>
    Object.entries(openResources()).some(([kind, count]) => count > (before[kind] ?? 0))
  const deadline = performance.now() + WAIT_MS
  while (isMore() && performance.now() < deadline) await new Promise(setImmediate)
  if (isMore()) assert.deepEqual(openResources(), before)
}
