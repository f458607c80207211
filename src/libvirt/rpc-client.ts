import { codeOf, messageOf } from '../core/errors.ts'
import { XdrReader, type XdrType } from '../xdr/index.ts'
import { LibvirtError } from './errors.ts'
import { encodePacket, PACKET_BODY_OFFSET, type Packet, PacketDecoder } from './packets.ts'
import { type Procedure, VOID } from './protocol/procedure.ts'
import {
  KEEPALIVE_PROC_PING,
  KEEPALIVE_PROC_PONG,
  KEEPALIVE_PROGRAM,
  KEEPALIVE_PROTOCOL_VERSION,
  VIR_NET_CALL,
  VIR_NET_ERROR,
  VIR_NET_MESSAGE,
  VIR_NET_OK,
  VIR_NET_REPLY,
  VirNetMessageError,
} from './protocol/rpc.gen.ts'
import { remoteError } from './remote-error.ts'
import type { Transport } from './transports/transport.ts'

/** Calls that the daemon works on at a time: its `max_client_requests` (libvirtd.conf); more would stop its reader. */
const CALLS_IN_FLIGHT = 5
/** Calls that may wait for their turn. */
const CALLS_WAITING_MAX = 10_000
/** Unread bytes towards a daemon that has stopped reading. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024

interface Call {
  readonly procedure: Procedure<never, unknown>
  readonly packet: (serial: number) => Buffer
  readonly done: (result: unknown) => void
  readonly fail: (error: unknown) => void
  /** The caller no longer wants the reply, which still has to be awaited. */
  abandoned: boolean
}

/** Counters of one connection; they only grow. */
export interface RpcStats {
  packetsReceived: number
  bytesReceived: number
  calls: number
  /** Messages (events) received. */
  messages: number
  /** Connections closed because of what the peer sent: 0 or 1. */
  protocolErrors: number
}

export interface RpcClientOptions {
  readonly transport: Transport
  /** Called for each message that is not a keepalive. A throw closes the connection. */
  readonly onMessage: (packet: Packet) => void
  /** Called once, when nothing more will come. */
  readonly onClosed: (error: LibvirtError) => void
  /** Keepalive of our own: seconds between packets before we ask, and how often we ask in vain. */
  readonly keepalive?: { readonly intervalMs: number; readonly count: number }
}

/**
 * Calls and replies over one transport: serials, a window of concurrent calls, keepalive
 * (virnetprotocol.x, virkeepaliveprotocol.x). Knows no procedure.
 */
export class RpcClient {
  readonly stats: RpcStats = {
    packetsReceived: 0,
    bytesReceived: 0,
    calls: 0,
    messages: 0,
    protocolErrors: 0,
  }
  readonly #transport: Transport
  readonly #options: RpcClientOptions
  readonly #decoder = new PacketDecoder()
  readonly #inFlight = new Map<number, Call>()
  readonly #waiting: Call[] = []
  #serial = 0
  #failure: LibvirtError | undefined
  #receivedAt = 0
  #pingsInVain = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: RpcClientOptions) {
    this.#options = options
    this.#transport = options.transport
    this.#transport.start({
      data: (chunk) => this.#receive(chunk),
      closed: (error) => this.fail(closedError(error)),
    })
  }

  /** Why the connection is closed, once it is. */
  get failure(): LibvirtError | undefined {
    return this.#failure
  }

  /**
   * Calls a procedure. `onResult` sees the result before any later packet is looked at.
   *
   * @throws {LibvirtError} `ERR_LIBVIRT_REMOTE` or `ERR_LIBVIRT_NO_SUPPORT` when the daemon refuses, `ERR_LIBVIRT_CLOSED`
   *   (or what else ended the connection) when there is no connection any more, `ERR_LIBVIRT_BUSY` when 10,000 calls wait.
   */
  call<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options: { onResult?: (result: Result) => void; signal?: AbortSignal | undefined } = {},
  ): Promise<Result> {
    if (this.#failure) return Promise.reject(this.#failure)
    if (options.signal?.aborted) return Promise.reject(options.signal.reason)
    if (this.#waiting.length >= CALLS_WAITING_MAX)
      return Promise.reject(
        new LibvirtError('ERR_LIBVIRT_BUSY', `${CALLS_WAITING_MAX} calls wait for the daemon`),
      )
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const { program, version, number } = procedure
    const call: Call = {
      procedure: procedure as Procedure<never, unknown>, // args are encoded below, the result goes to `done`
      packet: (serial) =>
        encodePacket(
          { program, version, procedure: number, type: VIR_NET_CALL, serial, status: VIR_NET_OK },
          procedure.args,
          args,
        ),
      done: (result) => {
        options.signal?.removeEventListener('abort', abort)
        options.onResult?.(result as Result) // decoded with procedure.result
        resolve(result as Result)
      },
      fail: (error) => {
        options.signal?.removeEventListener('abort', abort)
        reject(error)
      },
      abandoned: false,
    }
    const abort = (): void => {
      call.abandoned = true
      reject(options.signal?.reason)
    }
    options.signal?.addEventListener('abort', abort, { once: true })
    this.#waiting.push(call)
    this.#sendWaiting()
    return promise
  }

  /** Starts our own keepalive; only once both sides have said that they know it. */
  startKeepalive(): void {
    const { keepalive } = this.#options
    if (!keepalive || keepalive.intervalMs <= 0 || this.#timer) return
    this.#receivedAt = performance.now()
    this.#timer = setInterval(() => this.#checkAlive(keepalive), keepalive.intervalMs)
  }

  /** Ends the connection and everything that waits on it; the first reason stays. */
  fail(error: LibvirtError): void {
    if (this.#failure) return
    this.#failure = error
    clearInterval(this.#timer)
    this.#transport.destroy()
    for (const call of [...this.#inFlight.values(), ...this.#waiting]) call.fail(error)
    this.#inFlight.clear()
    this.#waiting.length = 0
    this.#options.onClosed(error)
  }

  #sendWaiting(): void {
    while (this.#inFlight.size < CALLS_IN_FLIGHT) {
      const call = this.#waiting.shift()
      if (!call) return
      if (call.abandoned) continue
      const serial = this.#serial
      let packet: Buffer
      try {
        packet = call.packet(serial)
      } catch (error) {
        call.fail(error)
        continue
      }
      this.#serial = (this.#serial + 1) >>> 0
      this.#inFlight.set(serial, call)
      this.stats.calls++
      this.#write(packet)
    }
  }

  #write(packet: Buffer): void {
    const unsent = this.#transport.write(packet)
    if (unsent > UNSENT_BYTES_MAX)
      this.fail(
        new LibvirtError('ERR_LIBVIRT_CLOSED', `the daemon does not read: ${unsent} bytes wait to be sent`),
      )
  }

  #receive(chunk: Buffer): void {
    if (this.#failure) return
    this.stats.bytesReceived += chunk.length
    this.#receivedAt = performance.now()
    this.#pingsInVain = 0
    try {
      this.#decoder.push(chunk, (packet) => this.#dispatch(packet))
    } catch (error) {
      this.stats.protocolErrors++
      this.fail(
        error instanceof LibvirtError
          ? error
          : new LibvirtError('ERR_LIBVIRT_BODY', `cannot decode: ${messageOf(error)}`, { cause: error }),
      )
    }
  }

  #dispatch(packet: Packet): void {
    if (this.#failure) return
    this.stats.packetsReceived++
    if (packet.type === VIR_NET_REPLY) this.#reply(packet)
    else if (packet.type !== VIR_NET_MESSAGE)
      throw protocolError(packet, 'a packet of a type that nobody asked for')
    else if (packet.program === KEEPALIVE_PROGRAM) this.#keepalive(packet)
    else {
      this.stats.messages++
      this.#options.onMessage(packet)
    }
  }

  #reply(packet: Packet): void {
    const call = this.#inFlight.get(packet.serial)
    if (!call) throw protocolError(packet, 'a reply to no call')
    const { procedure } = call
    if (
      packet.program !== procedure.program ||
      packet.version !== procedure.version ||
      packet.procedure !== procedure.number
    )
      throw protocolError(packet, `a reply to another call than ${procedure.name}`)
    if (packet.status !== VIR_NET_OK && packet.status !== VIR_NET_ERROR)
      throw protocolError(packet, 'a reply with the status of a stream')
    const refused = packet.status === VIR_NET_ERROR
    const result = decodeBody<unknown>(packet, refused ? VirNetMessageError : procedure.result)
    this.#inFlight.delete(packet.serial)
    if (!call.abandoned) {
      if (refused)
        call.fail(remoteError(procedure.name, result as VirNetMessageError)) // decoded as such above
      else call.done(result)
    }
    this.#sendWaiting()
  }

  #keepalive(packet: Packet): void {
    if (packet.version !== KEEPALIVE_PROTOCOL_VERSION)
      throw protocolError(packet, 'a keepalive of an unknown version')
    if (packet.procedure === KEEPALIVE_PROC_PING) this.#sendKeepalive(KEEPALIVE_PROC_PONG)
    else if (packet.procedure !== KEEPALIVE_PROC_PONG)
      throw protocolError(packet, 'an unknown keepalive message')
  }

  #sendKeepalive(procedure: number): void {
    const header = { program: KEEPALIVE_PROGRAM, version: KEEPALIVE_PROTOCOL_VERSION, procedure }
    this.#write(
      encodePacket({ ...header, type: VIR_NET_MESSAGE, serial: 0, status: VIR_NET_OK }, VOID, undefined),
    )
  }

  /** As in virkeepalive.c: a packet of any kind counts as an answer. */
  #checkAlive(keepalive: { intervalMs: number; count: number }): void {
    if (performance.now() - this.#receivedAt < keepalive.intervalMs) return
    if (this.#pingsInVain >= keepalive.count) {
      const silentMs = Math.round(performance.now() - this.#receivedAt)
      this.fail(new LibvirtError('ERR_LIBVIRT_KEEPALIVE', `the daemon has been silent for ${silentMs} ms`))
      return
    }
    this.#pingsInVain++
    this.#sendKeepalive(KEEPALIVE_PROC_PING)
  }
}

/**
 * Decodes the whole body of a packet.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_BODY` when it is not a value of `type`.
 */
export function decodeBody<T>(packet: Packet, type: XdrType<T>): T {
  try {
    const reader = new XdrReader(packet.bytes, PACKET_BODY_OFFSET)
    const value = type.decode(reader)
    reader.end()
    return value
  } catch (error) {
    const text = `procedure ${packet.procedure}: ${messageOf(error)}`
    throw new LibvirtError('ERR_LIBVIRT_BODY', text, { cause: error })
  }
}

export function protocolError(packet: Packet, what: string): LibvirtError {
  const program = `0x${packet.program.toString(16)}`
  return new LibvirtError(
    'ERR_LIBVIRT_PROTOCOL',
    `${what} (program ${program} version ${packet.version} procedure ${packet.procedure} serial ${packet.serial})`,
  )
}

function closedError(error: Error | undefined): LibvirtError {
  if (!error) return new LibvirtError('ERR_LIBVIRT_CLOSED', 'the daemon closed the connection')
  return new LibvirtError('ERR_LIBVIRT_CLOSED', `connection lost: ${codeOf(error) ?? error.message}`, {
    cause: error,
  })
}
