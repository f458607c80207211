import { encodePacket } from './packets.ts'
import type { Procedure } from './protocol/procedure.ts'
import { VIR_NET_CALL, VIR_NET_OK } from './protocol/rpc.gen.ts'
import type { RpcCallOptions } from './rpc-client.ts'

/** One call that waits for its turn or for its answer; a client may have tens of thousands of them. */
export class PendingCall<Args, Result> {
  readonly procedure: Procedure<Args, Result>
  readonly promise: Promise<Result>
  /** When to give up, on the clock of `performance.now()`; Infinity: never. */
  readonly deadline: number
  /** The caller no longer wants the reply, which still has to be awaited. */
  abandoned = false
  /** Whether the daemon may have seen it. */
  sent = false
  readonly #args: Args
  readonly #options: RpcCallOptions<Result>
  readonly #abort: (() => void) | undefined
  #resolve!: (result: Result) => void
  #reject!: (error: unknown) => void

  /** `onAbort` is called when the caller's signal aborts before an answer came. */
  constructor(
    procedure: Procedure<Args, Result>,
    args: Args,
    options: RpcCallOptions<Result>,
    onAbort: (call: PendingCall<Args, Result>) => void,
  ) {
    const { signal, timeoutMs = 0 } = options
    this.procedure = procedure
    this.#args = args
    this.#options = options
    this.deadline = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (!signal) return
    this.#abort = () => onAbort(this)
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  /** @throws {XdrError} when the arguments do not fit the procedure. */
  packet(serial: number): Buffer {
    const { program, version, number, args } = this.procedure
    const header = { program, version, procedure: number, type: VIR_NET_CALL, serial, status: VIR_NET_OK }
    return encodePacket(header, args, this.#args)
  }

  done(result: Result, serial: number): void {
    this.#settled()
    this.#options.onResult?.(result, serial)
    this.#resolve(result)
  }

  fail(error: unknown): void {
    this.#settled()
    this.#reject(error)
  }

  #settled(): void {
    if (this.#abort) this.#options.signal?.removeEventListener('abort', this.#abort)
  }
}

/**
 * One timer for the deadlines of many calls, set to the earliest of them. With one deadline for all, which is the usual,
 * it is set once and not for each call.
 */
export class DeadlineTimer {
  readonly #onDue: () => void
  #timer: NodeJS.Timeout | undefined
  #at = Number.POSITIVE_INFINITY

  /** `onDue` looks which calls are overdue and says with `atLatest` when to look again. */
  constructor(onDue: () => void) {
    this.#onDue = onDue
  }

  atLatest(deadline: number): void {
    if (deadline >= this.#at) return
    this.stop()
    this.#at = deadline
    this.#timer = setTimeout(
      () => {
        this.#at = Number.POSITIVE_INFINITY
        this.#onDue()
      },
      Math.max(1, Math.ceil(deadline - performance.now())),
    )
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#at = Number.POSITIVE_INFINITY
  }
}
