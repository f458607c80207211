import type { Duplex } from 'node:stream'
import type { Procedure } from './protocol/procedure.ts'

/** What every call takes last. */
export interface CallOptions {
  /** Gives up waiting; what the daemon has begun it goes on with. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until `ERR_LIBVIRT_TIMEOUT`; 0: none. Default: the connection's `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined
}

/** Whatever can call procedures: a connection. */
export interface Caller {
  /** Calls any procedure of the protocol and returns its decoded result. */
  call<Args, Result>(procedure: Procedure<Args, Result>, args: Args, options?: CallOptions): Promise<Result>
  /** Calls a procedure that has a stream (`procedure.stream`) and returns that stream. */
  openStream<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options?: CallOptions,
  ): Promise<Duplex>
}
