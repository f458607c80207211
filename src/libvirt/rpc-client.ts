import { codeOf, messageOf } from '../core/errors.ts'
import type { SaslLayer } from '../sasl/index.ts'
import type { CallOptions } from './caller.ts'
import { LibvirtError } from './errors.ts'
import { encodePacket, encodeRawPacket, PACKET_BODY_OFFSET, type Packet, PacketDecoder } from './packets.ts'
import { DeadlineTimer, PendingCall } from './pending-call.ts'
import { type Procedure, VOID } from './protocol/procedure.ts'
import {
  KEEPALIVE_PROC_PING,
  KEEPALIVE_PROC_PONG,
  KEEPALIVE_PROGRAM,
  KEEPALIVE_PROTOCOL_VERSION,
  VIR_NET_CONTINUE,
  VIR_NET_ERROR,
  VIR_NET_MESSAGE,
  VIR_NET_OK,
  VIR_NET_REPLY,
  VIR_NET_REPLY_WITH_FDS,
  VIR_NET_STREAM,
  VirNetMessageError,
} from './protocol/rpc.gen.ts'
import { remoteError } from './remote-error.ts'
import { closedError, decodeBody, protocolError, unanswered } from './rpc-errors.ts'
import { LibvirtStream } from './stream.ts'
import type { Transport } from './transports/transport.ts'

/**
 * Calls that the daemon works on at a time, one less than its `max_client_requests` (libvirtd.conf): it counts the place
 * for the next one, too (virnetserverclient.c), and without such a place it does not read our keepalive either.
 */
const CALLS_IN_FLIGHT = 4
/** The same when all of them are answered at once (`priority: 'high'`), so that its reader stops for a moment only. */
const QUICK_CALLS_IN_FLIGHT = 16
/** Calls that may wait for their turn: one for each guest of the longest list, twice. */
const CALLS_WAITING_MAX = 32_768
/** Unread bytes towards a daemon that has stopped reading. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024

/** A call of any procedure: args and result go together inside it. */
type Call = PendingCall<never, unknown>

/** Options of one call on one connection. */
export interface RpcCallOptions<Result> extends CallOptions {
  /** Sees the result before any later packet is looked at. */
  readonly onResult?: ((result: Result, serial: number) => void) | undefined
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
  /** Those in flight that may take their time. */
  #slowInFlight = 0
  readonly #waiting: Call[] = []
  /** By the serial of the call that opened them. */
  readonly #streams = new Map<number, LibvirtStream>()
  readonly #onPacket = (packet: Packet): void => this.#dispatch(packet)
  readonly #plain = (bytes: Buffer): void => this.#decoder.push(bytes, this.#onPacket)
  readonly #deadlines = new DeadlineTimer(() => this.#giveUpOverdue())
  /** Packets to be sent while a chunk is looked at. */
  #held: Buffer[] | undefined
  #layer: SaslLayer | undefined
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
      drain: () => {
        for (const stream of this.#streams.values()) stream.drained()
      },
      closed: (error) => this.fail(closedError(error)),
    })
  }

  /** Why the connection is closed, once it is. */
  get failure(): LibvirtError | undefined {
    return this.#failure
  }

  /**
   * Calls a procedure.
   *
   * @throws {LibvirtError} `ERR_LIBVIRT_REMOTE` or `ERR_LIBVIRT_NO_SUPPORT` when the daemon refuses, `ERR_LIBVIRT_TIMEOUT`
   *   after the deadline, `ERR_LIBVIRT_CLOSED` (or what else ended the connection) when there is no connection any more,
   *   `ERR_LIBVIRT_BUSY` when 32,768 calls wait. Where there was no answer, `mayHaveExecuted` says what that means.
   */
  call<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options: RpcCallOptions<Result> = {},
  ): Promise<Result> {
    const { signal } = options
    if (this.#failure) return Promise.reject(unanswered(this.#failure, procedure.name, false))
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#waiting.length >= CALLS_WAITING_MAX)
      return Promise.reject(
        new LibvirtError('ERR_LIBVIRT_BUSY', `${CALLS_WAITING_MAX} calls wait for the daemon`, {
          mayHaveExecuted: false,
        }),
      )
    const pending = new PendingCall(procedure, args, options, (aborted) =>
      this.#abandon(aborted as unknown as Call, signal?.reason),
    )
    this.#waiting.push(pending as unknown as Call) // what it was made with stays inside
    this.#deadlines.atLatest(pending.deadline)
    this.#sendWaiting()
    return pending.promise
  }

  /**
   * Calls a procedure that has a stream and returns that stream, which goes on until both sides have finished it.
   * While nobody reads it, nothing of this connection is read.
   */
  async openStream<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): Promise<LibvirtStream> {
    let stream: LibvirtStream | undefined
    await this.call(procedure, args, {
      ...options,
      onResult: (_, serial) => {
        const header = { ...headerOf(procedure), type: VIR_NET_STREAM, serial }
        stream = new LibvirtStream(procedure, {
          send: (status, bytes) => this.#write(encodeRawPacket({ ...header, status }, bytes)),
          pause: () => this.#transport.pause(),
          resume: () => this.#transport.resume(),
          ended: () => this.#streams.delete(serial),
        })
        this.#streams.set(serial, stream)
      },
    })
    if (!stream) throw new LibvirtError('ERR_LIBVIRT_CLOSED', `${procedure.name}: no stream`)
    return stream
  }

  /** Puts a SASL security layer around all bytes from the next one on, both ways. */
  secure(layer: SaslLayer): void {
    this.#layer = layer
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
    this.#deadlines.stop()
    this.#transport.destroy()
    const calls = [...this.#inFlight.values(), ...this.#waiting]
    this.#inFlight.clear()
    this.#waiting.length = 0
    for (const call of calls)
      if (!call.abandoned) call.fail(unanswered(error, call.procedure.name, call.sent))
    for (const stream of this.#streams.values()) stream.lost(error)
    this.#streams.clear()
    this.#options.onClosed(error)
  }

  /**
   * Gives a call up. Its place in the window stays taken until the daemon answers, since the daemon counts it, too;
   * when all places are taken by such calls and others wait, this connection is of no use any more.
   */
  #abandon(call: Call, reason: unknown): void {
    if (!call.sent) this.#waiting.splice(this.#waiting.indexOf(call), 1)
    call.abandoned = true
    call.fail(reason)
    const isStuck =
      this.#inFlight.size >= CALLS_IN_FLIGHT && [...this.#inFlight.values()].every((each) => each.abandoned)
    if (isStuck && codeOf(reason) === 'ERR_LIBVIRT_TIMEOUT')
      this.fail(
        new LibvirtError(
          'ERR_LIBVIRT_TIMEOUT',
          `the daemon answers none of ${CALLS_IN_FLIGHT} calls that wait for it`,
        ),
      )
  }

  /** Gives up what is overdue, and sets the timer for what will be next. */
  #giveUpOverdue(): void {
    const now = performance.now()
    for (const call of [...this.#inFlight.values(), ...this.#waiting]) {
      if (this.#failure) return
      if (call.abandoned) continue
      if (call.deadline > now) this.#deadlines.atLatest(call.deadline)
      else {
        const text = `${call.procedure.name}: no answer in time`
        this.#abandon(call, new LibvirtError('ERR_LIBVIRT_TIMEOUT', text, { mayHaveExecuted: call.sent }))
      }
    }
  }

  #hasPlace(call: Call): boolean {
    const { size } = this.#inFlight
    if (size < CALLS_IN_FLIGHT) return true
    return size < QUICK_CALLS_IN_FLIGHT && call.procedure.priority === 'high' && this.#slowInFlight === 0
  }

  #sendWaiting(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (!next || !this.#hasPlace(next)) return
      const call = this.#waiting.shift() as Call // the one that was just looked at
      const serial = this.#serial
      let packet: Buffer
      try {
        packet = call.packet(serial)
      } catch (error) {
        const text = `${call.procedure.name}: ${messageOf(error)}`
        call.fail(new LibvirtError('ERR_LIBVIRT_ARGUMENT', text, { cause: error, mayHaveExecuted: false }))
        continue
      }
      this.#serial = (this.#serial + 1) >>> 0
      this.#inFlight.set(serial, call)
      if (call.procedure.priority !== 'high') this.#slowInFlight++
      call.sent = true
      this.stats.calls++
      this.#write(packet)
    }
  }

  #write(packet: Buffer): number {
    if (this.#failure) return 0
    if (this.#held) {
      this.#held.push(packet)
      return 0
    }
    const unsent = this.#transport.write(this.#layer ? this.#layer.wrap(packet) : packet)
    if (unsent > UNSENT_BYTES_MAX)
      this.fail(
        new LibvirtError('ERR_LIBVIRT_CLOSED', `the daemon does not read: ${unsent} bytes wait to be sent`),
      )
    return unsent
  }

  #receive(chunk: Buffer): void {
    if (this.#failure) return
    this.stats.bytesReceived += chunk.length
    this.#receivedAt = performance.now()
    this.#pingsInVain = 0
    // What the packets of one chunk make us send goes out in one write.
    const held: Buffer[] = []
    this.#held = held
    try {
      if (this.#layer) this.#layer.unwrap(chunk, this.#plain)
      else this.#plain(chunk)
      this.#held = undefined
      if (held.length > 0) this.#write(held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held)) // not empty
    } catch (error) {
      this.#held = undefined
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
    if (packet.type === VIR_NET_REPLY || packet.type === VIR_NET_REPLY_WITH_FDS) this.#reply(packet)
    else if (packet.type === VIR_NET_STREAM) this.#stream(packet)
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
    if (packet.type === VIR_NET_REPLY_WITH_FDS) {
      this.#answered(call, packet.serial, () => {
        const text = `${procedure.name}: the answer is a file descriptor, which Node cannot take`
        call.fail(new LibvirtError('ERR_LIBVIRT_NO_SUPPORT', text, { mayHaveExecuted: true }))
      })
      return
    }
    const refused = packet.status === VIR_NET_ERROR
    const result = decodeBody<unknown>(packet, refused ? VirNetMessageError : procedure.result)
    this.#answered(call, packet.serial, () => {
      if (refused)
        call.fail(remoteError(procedure.name, result as VirNetMessageError)) // decoded as such above
      else call.done(result, packet.serial)
    })
  }

  #answered(call: Call, serial: number, tell: () => void): void {
    this.#inFlight.delete(serial)
    if (call.procedure.priority !== 'high') this.#slowInFlight--
    if (!call.abandoned) tell()
    this.#sendWaiting()
  }

  #stream(packet: Packet): void {
    const stream = this.#streams.get(packet.serial)
    if (!stream?.isOf(packet)) throw protocolError(packet, 'data of a stream that nobody opened')
    if (packet.status === VIR_NET_ERROR)
      stream.refused(remoteError(stream.name, decodeBody(packet, VirNetMessageError)))
    else if (packet.status === VIR_NET_CONTINUE) stream.received(packet.bytes.subarray(PACKET_BODY_OFFSET))
    else stream.finished()
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

/** The header words that say which procedure is meant. */
function headerOf({ program, version, number }: { program: number; version: number; number: number }): {
  program: number
  version: number
  procedure: number
} {
  return { program, version, procedure: number }
}
