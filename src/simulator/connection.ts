import type { Socket } from 'node:net'
import { messageOf } from '../core/errors.ts'
import {
  encodePacket,
  enums,
  type LibvirtEvent,
  PACKET_BODY_OFFSET,
  type Packet,
  PacketDecoder,
  remote,
  rpc,
  VOID,
} from '../libvirt/index.ts'
import type { SaslLayer } from '../sasl/index.ts'
import type { Authentication } from './authentication.ts'
import type { Channel, ConnectionOptions } from './connection-options.ts'
import { refusal } from './errors.ts'
import { FaultySender } from './faulty-sender.ts'
import { HYPERVISOR_URI } from './handlers/connect.ts'
import type { CallContext, Handler, Session } from './handlers/handler.ts'
import { HANDLERS } from './handlers/index.ts'
import { Keepalive } from './keepalive.ts'
import { Outbox } from './outbox.ts'
import { encodeRefusal, rpcRefusal } from './refusals.ts'
import type { MessageSink, Registration } from './registrations.ts'

const { virErrorNumber, virErrorDomain } = enums

type State = 'new' | 'open' | 'read-only' | 'ending' | 'closed'

/** One client: frames, calls in their order, callbacks, keepalive. */
export class Connection implements Session, MessageSink {
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #context: CallContext
  readonly #decoder: PacketDecoder
  readonly #outbox: Outbox
  readonly #registrations = new Map<number, Registration>()
  readonly #channel: Channel
  readonly #sender: FaultySender
  readonly #onPacket = (packet: Packet): void => this.#take(packet)
  readonly #plain = (bytes: Buffer): void => this.#decoder.push(bytes, this.#onPacket)
  readonly authentication: Authentication
  /** A call whose answer takes its time keeps the next ones back. */
  #isBusy = false
  #layer: SaslLayer | undefined
  #calls: Packet[] = []
  #state: State = 'new'
  #closeCallback = false
  #keepalive: Keepalive | undefined

  constructor(channel: Channel, options: ConnectionOptions) {
    const { socket } = channel
    this.#channel = channel
    this.#socket = socket
    this.authentication = channel.authentication
    this.#options = options
    this.#context = { ...options.context, session: this }
    this.#decoder = new PacketDecoder(options.limits.packetBytesMax)
    this.#outbox = new Outbox(socket)
    this.#sender = new FaultySender(options.faults, channel.number, {
      write: (bytes) => this.#outbox.packet(bytes),
      end: () => {
        this.#outbox.flush()
        socket.destroySoon()
      },
    })
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
    const { stats } = this.#options
    this.#keepalive ??= new Keepalive(this.#options.limits, {
      ping: () => {
        stats.pings++
        this.#sendKeepalive(rpc.KEEPALIVE_PROC_PING)
      },
      dead: () => {
        stats.keepaliveTimeouts++
        this.#cut('client does not answer the keepalive', undefined)
      },
    })
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

  message(packet: Buffer, callbackId: number, procedure: string): void {
    if (!this.#isAnswering()) return
    if (this.#isFaulty) {
      const place = { connection: this.#channel.number, procedure }
      if (this.#options.faults.at(['forget'], place).length > 0) return
      const own = Buffer.from(packet)
      own.writeInt32BE(callbackId, PACKET_BODY_OFFSET)
      this.#sender.send(own, procedure, false)
    } else this.#outbox.message(packet, callbackId)
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
    this.#keepalive?.received()
    try {
      if (this.#layer) this.#layer.unwrap(chunk, this.#plain)
      else this.#plain(chunk)
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
    if (packet.procedure !== rpc.KEEPALIVE_PROC_PING) return
    const place = { connection: this.#channel.number }
    if (this.#isFaulty && this.#options.faults.at(['no-pong'], place).length > 0) return
    this.#sendKeepalive(rpc.KEEPALIVE_PROC_PONG)
  }

  /** Answers calls in their order, as long as the client takes the answers. */
  #work(): void {
    const { unsentBytesPause, callsWaitingMax } = this.#options.limits
    let next = 0
    while (
      next < this.#calls.length &&
      this.#isAnswering() &&
      !this.#isBusy &&
      !this.#outbox.isOver(unsentBytesPause)
    ) {
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
    const name = HANDLERS.get(packet.procedure)?.name
    if (this.#isFaulty && this.#strike(packet, name)) return
    try {
      const reply = this.#handlerOf(packet).answer(packet, this.#context)
      if (reply instanceof Promise) this.#answerLater(packet, reply)
      else this.#reply(reply, name)
    } catch (error) {
      stats.refusals++
      this.#reply(encodeRefusal(packet, error), name)
    }
  }

  /** The packet's bytes are not ours after this turn, its words are. */
  #answerLater({ program, version, procedure, serial }: Packet, reply: Promise<Buffer>): void {
    const packet = { program, version, procedure, serial, type: rpc.VIR_NET_CALL, status: rpc.VIR_NET_OK }
    this.#isBusy = true
    const done = (bytes: Buffer): void => {
      this.#isBusy = false
      if (!this.#isAnswering()) return
      this.#reply(bytes, HANDLERS.get(procedure)?.name)
      const { layer } = this.authentication
      if (layer && !this.#layer) {
        this.#layer = layer
        this.#outbox.secure(layer)
      }
      this.#work()
    }
    reply.then(done, (error) => {
      this.#options.stats.refusals++
      done(encodeRefusal(packet, error))
    })
  }

  #reply(bytes: Buffer, name: string | undefined): void {
    if (this.#isFaulty) this.#sender.send(bytes, name, true)
    else this.#outbox.packet(bytes)
    this.#checkUnsent()
  }

  get #isFaulty(): boolean {
    return this.#options.faults.isActive || this.#sender.isEngaged
  }

  /** Faults that keep a call from its reply; true when it needs none any more. */
  #strike(packet: Packet, name: string | undefined): boolean {
    const { faults } = this.#options
    const place = { connection: this.#channel.number, procedure: name }
    const [refused] = faults.at(['refuse'], place)
    if (refused) {
      const text = refused.message ?? `a fault refuses ${name ?? packet.procedure}`
      this.#reply(encodeRefusal(packet, refusal(refused.code, text)), name)
      return true
    }
    const [close] = faults.at(['close'], place)
    const [swallow] = faults.at(['swallow'], place)
    const [delayed] = faults.at(['delay'], place)
    if (!close && !swallow && !delayed) return false
    if (close?.when !== 'before') this.#executeUnanswered(packet, name, delayed?.ms)
    if (close) this.#socket.destroy()
    return true
  }

  #executeUnanswered(packet: Packet, name: string | undefined, delayMs: number | undefined): void {
    let reply: Buffer | Promise<Buffer>
    try {
      reply = this.#handlerOf(packet).answer(packet, this.#context)
    } catch (error) {
      reply = encodeRefusal(packet, error)
    }
    if (delayMs === undefined || reply instanceof Promise) return
    const late = reply
    setTimeout(() => {
      if (this.#isAnswering()) this.#reply(late, name)
    }, delayMs).unref()
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
    if (!handler.beforeLogin && !this.authentication.isDone)
      throw rpcRefusal(virErrorNumber.VIR_ERR_RPC, 'authentication required')
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
    const packet = encodePacket(header, VOID, undefined)
    if (this.#isFaulty) this.#sender.send(packet, undefined, false)
    else this.#outbox.packet(packet)
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
    this.#keepalive?.stop()
    for (const registration of [...this.#registrations.values()]) this.#forget(registration)
    this.#options.onClosed(this)
  }
}
