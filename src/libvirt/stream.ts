import { Duplex, type DuplexOptions } from 'node:stream'
import { LibvirtError } from './errors.ts'
import type { Packet } from './packets.ts'
import {
  VIR_NET_CONTINUE,
  VIR_NET_ERROR,
  VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX,
  VIR_NET_OK,
} from './protocol/rpc.gen.ts'

/** What a stream needs of its connection. */
export interface StreamLink {
  /** Sends one packet of the stream; returns how many bytes wait in this process. */
  send(status: number, bytes: Uint8Array): number
  pause(): void
  resume(): void
  /** Nothing more will come or go. */
  ended(): void
}

/** Which procedure opened a stream: a `Procedure` of any arguments. */
export interface StreamProcedure {
  readonly name: string
  readonly program: number
  readonly version: number
  readonly number: number
  readonly stream?: 'read' | 'write'
}

/** Bytes that may wait in this process before a writer has to. */
const UNSENT_BYTES_HIGH = 1024 * 1024
/** Data of one packet: what daemons of all releases take (virnetprotocol.x). */
const DATA_BYTES_MAX: number = VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX

const NOTHING = new Uint8Array(0)

/** Procedures marked as reading whose stream goes both ways: a terminal. */
const BOTH_WAYS: ReadonlySet<string> = new Set(['domain_open_console', 'domain_open_channel'])

/**
 * One stream of the protocol (virnetprotocol.x: packets of type VIR_NET_STREAM with the serial of their call):
 * the reading end of a download, the writing end of an upload, both of a console. `end()` finishes it and waits for the
 * daemon's word that all has arrived; `destroy()` aborts it there, too. Reading and writing wait for each other's peers.
 */
export class LibvirtStream extends Duplex {
  /** The procedure that opened it. */
  readonly name: string
  readonly #procedure: StreamProcedure
  readonly #link: StreamLink
  #state: 'open' | 'finishing' | 'ended' = 'open'
  /** Whether more data may come. */
  #hasSource: boolean
  #finished: (() => void) | undefined
  #drained: (() => void) | undefined

  /** @internal */
  constructor(procedure: StreamProcedure, link: StreamLink) {
    const both = BOTH_WAYS.has(procedure.name)
    const readable = both || procedure.stream === 'read'
    const writable = both || procedure.stream === 'write'
    // `readable` and `writable` are options of Duplex (Node's documentation), which its types leave out.
    super({ readable, writable } as DuplexOptions)
    this.name = procedure.name
    this.#procedure = procedure
    this.#hasSource = readable
    this.#link = link
  }

  /** @internal Whether a packet with the serial of this stream's call is this stream's. */
  isOf(packet: Packet): boolean {
    const { program, version, number } = this.#procedure
    return packet.program === program && packet.version === version && packet.procedure === number
  }

  /** @internal The next bytes, a view of the packet; none of them is the end. */
  received(view: Buffer): void {
    if (this.#state === 'ended' || this.destroyed) return
    if (!this.#hasSource) {
      if (view.length > 0)
        this.refused(new LibvirtError('ERR_LIBVIRT_PROTOCOL', `${this.name}: data after the end`))
      return
    }
    if (view.length === 0) this.#sourceEnded()
    else if (!this.push(Buffer.from(view))) this.#link.pause()
  }

  /** @internal The daemon has finished: its answer to our end, or, for a source, its own. */
  finished(): void {
    if (this.#state === 'open') this.#sourceEnded()
    this.#close()
    this.#finished?.()
  }

  /** @internal The daemon has aborted the stream. */
  refused(error: LibvirtError): void {
    this.#close()
    this.destroy(error)
  }

  /** @internal The connection is gone. */
  lost(error: LibvirtError): void {
    if (this.#state === 'ended') return
    this.#close()
    this.destroy(new LibvirtError(error.code, `${this.name}: ${error.message}`, { cause: error }))
  }

  /** @internal What was written has left this process. */
  drained(): void {
    const drained = this.#drained
    this.#drained = undefined
    drained?.()
  }

  override _read(): void {
    this.#link.resume()
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    let unsent = 0
    for (let offset = 0; offset < chunk.length; offset += DATA_BYTES_MAX)
      unsent = this.#link.send(VIR_NET_CONTINUE, chunk.subarray(offset, offset + DATA_BYTES_MAX))
    if (unsent > UNSENT_BYTES_HIGH) this.#drained = callback
    else callback()
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#finish(callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#state === 'open') this.#link.send(VIR_NET_ERROR, NOTHING)
    this.#close()
    callback(error)
  }

  /** The end of the data, after which the daemon waits for our confirmation. */
  #sourceEnded(): void {
    if (!this.#hasSource) return
    this.#hasSource = false
    this.push(null)
    if (this.#state === 'open' && !this.writable) this.#finish(() => {})
  }

  #finish(callback: () => void): void {
    if (this.#state === 'ended') {
      callback()
      return
    }
    this.#finished = callback
    if (this.#state === 'open') this.#link.send(VIR_NET_OK, NOTHING)
    this.#state = 'finishing'
    // The daemon's answer must be read, also when nobody reads the data before it.
    this.#link.resume()
  }

  #close(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#link.resume()
    this.#link.ended()
    this.drained()
  }
}
