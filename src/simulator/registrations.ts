import {
  EVENT_KINDS,
  type EventKind,
  encodePacket,
  enums,
  type LibvirtEvent,
  remote,
  rpc,
} from '../libvirt/index.ts'
import { refusal } from './errors.ts'
import type { EventBody } from './state/event.ts'

/** Takes the messages of one client. */
export interface MessageSink {
  /** `packet` is whole but for its callback id; it must be copied. */
  message(packet: Buffer, callbackId: number, procedure: string): void
}

/** One callback of one client. */
export interface Registration {
  readonly callbackId: number
  readonly kind: EventKind
  /** Only events of the object with this UUID, or name for a node device; all where it is undefined. */
  readonly key: string | undefined
  readonly sink: MessageSink
}

/** The daemon sends every message with this serial (remote_daemon_dispatch.c). */
const MESSAGE_SERIAL = 1

/** All callbacks of all clients, by kind of event. Callback ids are counted over all clients, as drivers of libvirt do. */
export class Registrations {
  readonly #kinds: ReadonlyMap<string, EventKind>
  readonly #byKind = new Map<EventKind, readonly Registration[]>()
  #nextCallbackId = 1
  #size = 0

  /** `libVersion`: events of later releases cannot be registered, and are not sent. */
  constructor(libVersion: string) {
    const version = versionNumber(libVersion)
    const known = EVENT_KINDS.filter((kind) => versionNumber(kind.since) <= version)
    this.#kinds = new Map(known.map((kind) => [`${kind.object}/${kind.kind}`, kind]))
  }

  get size(): number {
    return this.#size
  }

  /** @throws {SimulatorError} `ERR_SIMULATOR_REFUSED` with `VIR_ERR_INVALID_ARG` when there is no event of that id. */
  add(options: {
    object: LibvirtEvent['object']
    eventId: number
    key: string | undefined
    sink: MessageSink
  }): Registration {
    const { object, eventId, key, sink } = options
    const kind = [...this.#kinds.values()].find((item) => item.object === object && item.id === eventId)
    if (!kind) {
      const { virErrorNumber, virErrorDomain } = enums
      const text = `unsupported event ID ${eventId} of a ${object}`
      throw refusal(virErrorNumber.VIR_ERR_INVALID_ARG, text, virErrorDomain.VIR_FROM_RPC)
    }
    const registration: Registration = { callbackId: this.#nextCallbackId++, kind, key, sink }
    this.#byKind.set(kind, [...(this.#byKind.get(kind) ?? []), registration])
    this.#size++
    return registration
  }

  remove(registration: Registration): void {
    const before = this.#byKind.get(registration.kind) ?? []
    const after = before.filter((item) => item !== registration)
    this.#size -= before.length - after.length
    this.#byKind.set(registration.kind, after)
  }

  /** Encodes an event once and gives it to every callback that wants it; returns how many did. */
  deliver(event: EventBody): number {
    const name = `${event.object}/${event.kind}`
    const kind = this.#kinds.get(name)
    // A list is replaced, never changed, so a client that is cut in the loop does not disturb it.
    const registrations = kind && this.#byKind.get(kind)
    if (!registrations || registrations.length === 0) return 0
    const key = keyOf(event)
    let packet: Buffer | undefined
    let delivered = 0
    for (const registration of registrations) {
      if (registration.key !== undefined && registration.key !== key) continue
      packet ??= encodeMessage(kind, event)
      registration.sink.message(packet, registration.callbackId, name)
      delivered++
    }
    return delivered
  }
}

/** Release `9.0.0` as the number that libvirt's calls give: 9000000. */
export function versionNumber(release: string): number {
  const [major = 0, minor = 0, patch = 0] = release.split('.').map(Number)
  return major * 1_000_000 + minor * 1000 + patch
}

function encodeMessage(kind: EventKind, event: EventBody): Buffer {
  const header = {
    program: remote.REMOTE_PROGRAM,
    version: remote.REMOTE_PROTOCOL_VERSION,
    procedure: kind.message,
    type: rpc.VIR_NET_MESSAGE,
    serial: MESSAGE_SERIAL,
    status: rpc.VIR_NET_OK,
  }
  return encodePacket(header, kind.type, { ...event, callbackID: 0 })
}

function keyOf(event: EventBody): string {
  switch (event.object) {
    case 'domain':
      return event.dom.uuid
    case 'network':
      return event.net.uuid
    case 'pool':
      return event.pool.uuid
    case 'nodedev':
      return event.dev.name
    case 'secret':
      return event.secret.uuid
  }
}
