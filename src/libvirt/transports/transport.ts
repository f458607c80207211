/** What a transport tells its owner. */
export interface TransportHandlers {
  /** The next bytes of the stream; the buffer is only the receiver's during the call. */
  data(chunk: Buffer): void
  /** Everything that was written has left this process, after some of it had to wait. */
  drain(): void
  /** The stream has ended, once; `error` when it did not end of itself. */
  closed(error: Error | undefined): void
}

/** A byte stream to a daemon. Bytes are pushed, not pulled: reading must never wait for a consumer of events. */
export interface Transport {
  /** Begins to read; to be called once. */
  start(handlers: TransportHandlers): void
  /** Queues bytes; returns how many bytes wait in this process. */
  write(bytes: Buffer): number
  /** Stops reading, so that the peer has to wait in the end; what was read already may still come. */
  pause(): void
  resume(): void
  /** Ends the stream at once; `closed` is still called. */
  destroy(): void
}
