/** npm passes a signal on to the program, which the terminal has signalled already: one Ctrl-C comes twice. */
const SAME_SIGNAL_MS = 1000

/**
 * Aborts on SIGINT and SIGTERM, so that a command can stop in order; a second signal, a second or more later, ends the
 * process at once. Disposing takes the handlers away, unless one was called.
 */
export function untilSignalled(): { readonly signal: AbortSignal; abort(): void } & Disposable {
  const controller = new AbortController()
  let firstMs = Number.POSITIVE_INFINITY
  const stop = (name: NodeJS.Signals): void => {
    if (performance.now() - firstMs > SAME_SIGNAL_MS) process.kill(process.pid, 'SIGKILL')
    firstMs = Math.min(firstMs, performance.now())
    controller.abort(name)
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    [Symbol.dispose]: () => {
      // The second of the two may come only now, and must not end a process that is about to end well.
      if (firstMs !== Number.POSITIVE_INFINITY) return
      process.removeListener('SIGINT', stop)
      process.removeListener('SIGTERM', stop)
    },
  }
}

/** Settles when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
