import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** The longest delay that timers of Node take. */
const TIMER_MS_MAX = 2_147_483_647

/** How long to wait: for ever without `seconds`; with 0, only for what is there already. */
export interface Wait {
  readonly seconds?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Waits for a promise; undefined when the time is over, after which it can be waited for again. Throws when `signal` is aborted. */
export async function waitFor<T>(promise: Promise<T> | undefined, wait: Wait): Promise<T | undefined> {
  const { seconds = Number.POSITIVE_INFINITY, signal } = wait
  signal?.throwIfAborted()
  if (!promise) return undefined
  using end = seconds <= 0 ? noWait() : timer(seconds * 1000)
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  try {
    return await Promise.race([promise, end.promise, aborted])
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** Two turns of the event loop: between them it reads what the sockets have. */
function noWait(): { readonly promise: Promise<undefined> } & Disposable {
  const promise = nextTurn(undefined).then(() => nextTurn(undefined))
  return { promise, [Symbol.dispose]: () => {} }
}

function timer(ms: number): { readonly promise: Promise<undefined> } & Disposable {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  if (ms === Number.POSITIVE_INFINITY) return { promise, [Symbol.dispose]: () => {} }
  const timeout = setTimeout(() => resolve(undefined), Math.min(ms, TIMER_MS_MAX))
  return { promise, [Symbol.dispose]: () => clearTimeout(timeout) }
}

/** Waits; throws the reason of `signal` when it is aborted. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(Math.min(ms, TIMER_MS_MAX), undefined, { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}
