import type { Socket } from 'node:net'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import {
  encodePacket,
  enums,
  type LibvirtEvent,
  type Packet,
  PacketDecoder,
  remote,
  rpc,
  VOID,
} from '../libvirt/index.ts'
import { refusal, SimulatorError } from './errors.ts'
import { HYPERVISOR_URI } from './handlers/connect.ts'
import type { CallContext, Handler, Session } from './handlers/handler.ts'
import { HANDLERS } from './handlers/index.ts'
import { Outbox } from './outbox.ts'
import type { MessageSink, Registration, Registrations } from './registrations.ts'
import type { SimulatorStats } from './stats.ts'

const { virErrorNumber, virErrorDomain } = enums

/** Bounds of one connection. */
export interface ConnectionLimits {
  /** Longest packet that is accepted, with its length word. */
  readonly packetBytesMax: number
  /** Bytes that may wait for a client that does not read; beyond it is cut. */
  readonly unsentBytesMax: number
  /** Bytes that wait for the client at which its calls are left unanswered until it reads. */
  readonly unsentBytesPause: number
  /** Calls that may wait; beyond, the socket is not read. */
  readonly callsWaitingMax: number
  /** Callbacks that one client may have. */
  readonly registrationsMax: number
  /** 0: no keepalive of the simulator's own. */
  readonly keepaliveIntervalMs: number
  /** Pings that may stay unanswered. */
  readonly keepaliveCount: number
}

/** What the connections of one simulator share. */
export interface ConnectionOptions {
  readonly context: Omit<CallContext, 'session'>
  readonly registrations: Registrations
  readonly limits: ConnectionLimits
  readonly stats: SimulatorStats
  readonly log: Logger
  readonly onClosed: (connection: Connection) => void
}

type State = 'new' | 'open' | 'read-only' | 'ending' | 'closed'

/** One client: frames, calls in their order, callbacks, keepalive. */
export class Connection implements Session, MessageSink {
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #context: CallContext
  readonly #decoder: PacketDecoder
  readonly #outbox: Outbox
  readonly #registrations = new Map<number, Registration>()
  #calls: Packet[] = []
  #state: State = 'new'
  #closeCallback = false
  #receivedAtMs = 0
  #pingsInVain = 0
  #keepalive: NodeJS.Timeout | undefined

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket
    this.#options = options
    this.#context = { ...options.context, session: this }
    this.#decoder = new PacketDecoder(options.limits.packetBytesMax)
    this.#outbox = new Outbox(socket)
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('drain', () => this.#work())
    // What went wrong is no more than that the client is gone; 'close' follows.
    socket.on('error', (error) => options.log.debug({ error: messageOf(error) }, 'client socket failed'))
    socket.on('close', () => this.#closed())
  }

  open(request: { name: string | null; readOnly: boolean }): void {
    if (this.#state !== 'new')
      throw rpcRefusal(virErrorNumber.VIR_ERR_INTERNAL_ERROR, 'connection already open')
    const { name } = request
    if (name !== null && name !== '' && name !== HYPERVISOR_URI) {
      const text = `no connection driver available for ${name.slice(0, 256)}`
      throw refusal(virErrorNumber.VIR_ERR_NO_CONNECT, text, virErrorDomain.VIR_FROM_NONE)
    }
    this.#state = request.readOnly ? 'read-only' : 'open'
  }

  close(): void {
    this.#state = 'ending'
  }

  enableKeepalive(): void {
    const { keepaliveIntervalMs } = this.#options.limits
    if (keepaliveIntervalMs <= 0 || this.#keepalive) return
    this.#keepalive = setInterval(() => this.#checkAlive(keepaliveIntervalMs), keepaliveIntervalMs)
    this.#keepalive.unref()
  }

  setCloseCallback(wanted: boolean): void {
    if (this.#closeCallback === wanted) {
      const text = wanted ? 'close callback is already registered' : 'no close callback is registered'
      throw rpcRefusal(virErrorNumber.VIR_ERR_OPERATION_INVALID, text)
    }
    this.#closeCallback = wanted
  }

  register(request: { object: LibvirtEvent['object']; eventId: number; key: string | undefined }): number {
    const { registrationsMax } = this.#options.limits
    if (this.#registrations.size >= registrationsMax)
      throw rpcRefusal(
        virErrorNumber.VIR_ERR_OPERATION_FAILED,
        `${registrationsMax} callbacks are registered`,
      )
    const registration = this.#options.registrations.add({ ...request, sink: this })
    this.#registrations.set(registration.callbackId, registration)
    this.#options.stats.registrations++
    return registration.callbackId
  }

  deregister(object: LibvirtEvent['object'], callbackId: number): void {
    const registration = this.#registrations.get(callbackId)
    if (registration?.kind.object !== object)
      throw rpcRefusal(
        virErrorNumber.VIR_ERR_INTERNAL_ERROR,
        `${object} event callback ${callbackId} not registered`,
      )
    this.#forget(registration)
  }

  message(packet: Buffer, callbackId: number): void {
    if (!this.#isAnswering()) return
    this.#outbox.message(packet, callbackId)
    this.#options.stats.messages++
    this.#checkUnsent()
  }

  /** Ends the connection; `reason` (`virConnectCloseReason`) is told to a client that asked to be told. */
  end(reason: number): void {
    if (this.#state === 'closed') return
    if (this.#closeCallback && (this.#state === 'open' || this.#state === 'read-only')) {
      const { number, message } = remote.REMOTE_PROC_CONNECT_EVENT_CONNECTION_CLOSED
      const { REMOTE_PROGRAM: program, REMOTE_PROTOCOL_VERSION: version } = remote
      const header = {
        program,
        version,
        procedure: number,
        type: rpc.VIR_NET_MESSAGE,
        serial: 1,
        status: rpc.VIR_NET_OK,
      }
      this.#outbox.packet(encodePacket(header, message, { reason }))
    }
    this.#state = 'ending'
    this.#outbox.flush()
    this.#socket.destroySoon()
  }

  /** Breaks the connection without a word, as a daemon that is killed does. */
  destroy(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'closed') return
    this.#receivedAtMs = performance.now()
    this.#pingsInVain = 0
    try {
      this.#decoder.push(chunk, (packet) => this.#take(packet))
    } catch (error) {
      // The calls before the broken packet are in order and were answered; behind it nothing can be told apart.
      this.#work()
      this.#options.stats.protocolErrors++
      this.#cut('client sent what cannot be', error)
      return
    }
    this.#work()
  }

  #take(packet: Packet): void {
    if (packet.program === rpc.KEEPALIVE_PROGRAM && packet.version === rpc.KEEPALIVE_PROTOCOL_VERSION) {
      this.#takeKeepalive(packet)
      return
    }
    if (packet.type !== rpc.VIR_NET_CALL) {
      const text = `a client sends no packet of type ${packet.type}`
      throw refusal(virErrorNumber.VIR_ERR_RPC, text, virErrorDomain.VIR_FROM_RPC)
    }
    this.#calls.push(packet)
  }

  /** A PING is answered at once, however many calls wait. */
  #takeKeepalive(packet: Packet): void {
    if (
      packet.type !== rpc.VIR_NET_MESSAGE ||
      packet.procedure > rpc.KEEPALIVE_PROC_PONG ||
      packet.procedure < 1
    )
      throw rpcRefusal(virErrorNumber.VIR_ERR_RPC, `unknown keepalive message ${packet.procedure}`)
    if (packet.procedure === rpc.KEEPALIVE_PROC_PING) this.#sendKeepalive(rpc.KEEPALIVE_PROC_PONG)
  }

  /** Answers calls in their order, as long as the client takes the answers. */
  #work(): void {
    const { unsentBytesPause, callsWaitingMax } = this.#options.limits
    let next = 0
    while (next < this.#calls.length && this.#isAnswering() && !this.#outbox.isOver(unsentBytesPause)) {
      const packet = this.#calls[next++]
      if (packet) this.#answer(packet)
    }
    this.#calls = next === this.#calls.length ? [] : this.#calls.slice(next)
    if (this.#calls.length > callsWaitingMax) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
    if (this.#state === 'ending') {
      this.#outbox.flush()
      this.#socket.destroySoon()
    }
  }

  #isAnswering(): boolean {
    return this.#state !== 'closed' && this.#state !== 'ending'
  }

  #answer(packet: Packet): void {
    const { stats } = this.#options
    stats.calls++
    let reply: Buffer
    try {
      reply = this.#handlerOf(packet).answer(packet, this.#context)
    } catch (error) {
      stats.refusals++
      reply = encodeRefusal(packet, error)
    }
    this.#outbox.packet(reply)
    this.#checkUnsent()
  }

  #handlerOf(packet: Packet): Handler {
    const { program, version, procedure, status } = packet
    if (program !== remote.REMOTE_PROGRAM || version !== remote.REMOTE_PROTOCOL_VERSION)
      throw rpcRefusal(virErrorNumber.VIR_ERR_RPC, `Cannot find program ${program} version ${version}`)
    if (status !== rpc.VIR_NET_OK)
      throw rpcRefusal(virErrorNumber.VIR_ERR_RPC, `unexpected status ${status} of a call`)
    const handler = HANDLERS.get(procedure)
    // The client tells by these first words that it must do without (remote_driver.c).
    if (!handler) throw rpcRefusal(virErrorNumber.VIR_ERR_RPC, `unknown procedure: ${procedure}`)
    if (handler.early) return handler
    if (this.#state === 'new')
      throw rpcRefusal(
        virErrorNumber.VIR_ERR_INTERNAL_ERROR,
        `${handler.name}: hypervisor connection not open`,
      )
    if (handler.writes && this.#state === 'read-only') {
      const text = `operation ${handler.name} forbidden: read only access prevents it`
      throw refusal(virErrorNumber.VIR_ERR_OPERATION_DENIED, text, virErrorDomain.VIR_FROM_NONE)
    }
    return handler
  }

  #checkUnsent(): void {
    const { limits, stats } = this.#options
    const { unsentBytes } = this.#outbox
    if (unsentBytes <= limits.unsentBytesMax) return
    stats.clientsCut++
    this.#cut('client does not read', undefined)
  }

  #checkAlive(intervalMs: number): void {
    const { limits, stats } = this.#options
    // A tick may come a little early; half an interval of slack costs at most one interval.
    if (performance.now() - this.#receivedAtMs < intervalMs / 2) return
    if (this.#pingsInVain >= limits.keepaliveCount) {
      stats.keepaliveTimeouts++
      this.#cut('client does not answer the keepalive', undefined)
      return
    }
    this.#pingsInVain++
    stats.pings++
    this.#sendKeepalive(rpc.KEEPALIVE_PROC_PING)
  }

  #sendKeepalive(procedure: number): void {
    const { KEEPALIVE_PROGRAM: program, KEEPALIVE_PROTOCOL_VERSION: version } = rpc
    const header = {
      program,
      version,
      procedure,
      type: rpc.VIR_NET_MESSAGE,
      serial: 0,
      status: rpc.VIR_NET_OK,
    }
    this.#outbox.packet(encodePacket(header, VOID, undefined))
    this.#checkUnsent()
  }

  #cut(why: string, error: unknown): void {
    const cause = error === undefined ? {} : { error: messageOf(error) }
    this.#options.log.warn({ unsentBytes: this.#outbox.unsentBytes, ...cause }, why)
    if (error !== undefined) this.#outbox.flush()
    this.#closed()
    if (error === undefined) this.#socket.destroy()
    else this.#socket.destroySoon()
  }

  #forget(registration: Registration): void {
    this.#registrations.delete(registration.callbackId)
    this.#options.registrations.remove(registration)
    this.#options.stats.registrations--
  }

  #closed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#calls = []
    clearInterval(this.#keepalive)
    for (const registration of [...this.#registrations.values()]) this.#forget(registration)
    this.#options.onClosed(this)
  }
}

function rpcRefusal(code: number, message: string): SimulatorError {
  return refusal(code, message, virErrorDomain.VIR_FROM_RPC)
}

function encodeRefusal(packet: Packet, error: unknown): Buffer {
  // What is no refusal is an answer too long for its type (XdrError): the client asked for more than a reply holds.
  const known =
    error instanceof SimulatorError ? error : rpcRefusal(virErrorNumber.VIR_ERR_RPC, messageOf(error))
  const body: rpc.VirNetMessageError = {
    code: known.remoteCode,
    domain: known.remoteDomain,
    message: known.message,
    level: enums.virErrorLevel.VIR_ERR_ERROR,
    dom: null,
    str1: known.message,
    str2: null,
    str3: null,
    int1: -1,
    int2: -1,
    net: null,
  }
  const header = { ...packet, type: rpc.VIR_NET_REPLY, status: rpc.VIR_NET_ERROR }
  return encodePacket(header, rpc.VirNetMessageError, body)
}
