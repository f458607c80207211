import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import {
  encodePacket,
  type Packet,
  PacketDecoder,
  type Procedure,
  remote,
  rpc,
  VOID,
} from '../../src/libvirt/index.ts'
import type { Simulator } from '../../src/simulator/index.ts'
import { XdrReader, type XdrType } from '../../src/xdr/index.ts'

const BODY = 28
const TIMEOUT_MS = 10_000

/** A client that can be wrong on purpose: packets are sent as they are given and read as they come. */
export class RawClient implements AsyncDisposable {
  readonly packets: Packet[] = []
  readonly socket: Socket
  readonly #decoder = new PacketDecoder()
  readonly #news = new EventTarget()
  #closed = false
  #serial = 0

  static async connect(path: string): Promise<RawClient> {
    const socket = createConnection({ path })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** Connected, and the hypervisor open. */
  static async open(path: string, flags = 0): Promise<RawClient> {
    const client = await RawClient.connect(path)
    await client.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: 'test:///default', flags })
    return client
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#decoder.push(chunk, (packet) => this.packets.push(packet))
      this.#tell()
    })
    socket.on('error', () => this.#close()) // EPIPE and ECONNRESET are what tests provoke
    socket.on('close', () => this.#close())
  }

  get isClosed(): boolean {
    return this.#closed
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  /** Sends a call and gives the answer's packet, refused or not. */
  async exchange<Args, Result>(procedure: Procedure<Args, Result>, args: Args): Promise<Packet> {
    const serial = this.#serial++
    this.send(callPacket(procedure, args, serial))
    return await this.#wait(() =>
      this.packets.find((packet) => packet.type === rpc.VIR_NET_REPLY && packet.serial === serial),
    )
  }

  async call<Args, Result>(procedure: Procedure<Args, Result>, args: Args): Promise<Result> {
    const packet = await this.exchange(procedure, args)
    if (packet.status === rpc.VIR_NET_OK) return decode(packet, procedure.result)
    const error = decode(packet, rpc.VirNetMessageError)
    throw Object.assign(new Error(error.message ?? ''), {
      remoteCode: error.code,
      remoteDomain: error.domain,
    })
  }

  /** The error of a refused call. */
  async refused<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
  ): Promise<rpc.VirNetMessageError> {
    const packet = await this.exchange(procedure, args)
    if (packet.status !== rpc.VIR_NET_ERROR) throw new Error(`${procedure.name} was not refused`)
    return decode(packet, rpc.VirNetMessageError)
  }

  /** Waits until `count` packets have come that are `wanted`. */
  async received(count: number, wanted: (packet: Packet) => boolean): Promise<Packet[]> {
    return await this.#wait(() => {
      const found = this.packets.filter(wanted)
      return found.length >= count ? found : undefined
    })
  }

  /** Waits until the server has closed. */
  async closed(): Promise<void> {
    await this.#wait(() => (this.#closed ? true : undefined))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    await this.closed()
  }

  async #wait<T>(look: () => T | undefined): Promise<T> {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (this.#closed) throw new Error('the server closed the connection')
      signal.throwIfAborted()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#news.addEventListener('news', () => resolve(), { once: true })
      signal.addEventListener('abort', () => resolve(), { once: true })
      await promise
    }
  }

  #close(): void {
    this.#closed = true
    this.#tell()
  }

  #tell(): void {
    this.#news.dispatchEvent(new Event('news'))
  }
}

/** A call as a client writes it. */
export function callPacket<Args, Result>(
  procedure: Procedure<Args, Result>,
  args: Args,
  serial: number,
): Buffer {
  const { program, version, number } = procedure
  const header = {
    program,
    version,
    procedure: number,
    type: rpc.VIR_NET_CALL,
    serial,
    status: rpc.VIR_NET_OK,
  }
  return encodePacket(header, procedure.args, args)
}

/** A packet without a body, any header. */
export function barePacket(header: Partial<Omit<Packet, 'bytes'>>): Buffer {
  const whole = {
    program: remote.REMOTE_PROGRAM,
    version: 1,
    procedure: 66,
    type: 0,
    serial: 0,
    status: 0,
    ...header,
  }
  return encodePacket(whole, VOID, undefined)
}

/** The whole body of a packet. */
export function decode<T>(packet: Packet, type: XdrType<T>): T {
  const reader = new XdrReader(packet.bytes, BODY)
  const value = type.decode(reader)
  reader.end()
  return value
}

/** Whether it is an event or another message of the daemon, and not a keepalive. */
export function isMessage(packet: { type: number; program: number }): boolean {
  return packet.type === rpc.VIR_NET_MESSAGE && packet.program === remote.REMOTE_PROGRAM
}

/** The callback id of a message. */
export function callbackId(packet: { bytes: Buffer }): number {
  return packet.bytes.readInt32BE(28)
}

/** That the simulator still serves somebody else. */
export async function assertServes(simulator: Simulator): Promise<void> {
  await using client = await RawClient.open(simulator.path)
  const { domains } = await client.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, {
    need_results: 1,
    flags: 0,
  })
  assert.equal(domains.length, simulator.hypervisor.domains.size)
}
