import { LibvirtError } from './errors.ts'
import type { Packet } from './packets.ts'
import { EVENT_KINDS, type EventKind, type LibvirtEvent } from './protocol/events.gen.ts'
import type { Procedure } from './protocol/procedure.ts'
import * as remote from './protocol/remote.gen.ts'
import type { RpcClient } from './rpc-client.ts'
import { decodeBody, protocolError } from './rpc-errors.ts'

/** How long a daemon may take to register or deregister, in milliseconds. */
const ANSWER_MS = 30_000

/** Procedures that register and deregister the events of one object. */
interface Registrar {
  register(client: RpcClient, eventId: number, onId: (callbackId: number) => void): Promise<unknown>
  readonly deregister: Procedure<{ callbackID: number }, undefined>
}

const REGISTRARS: Readonly<Record<EventKind['object'], Registrar>> = {
  domain: {
    register: (client, eventID, onId) =>
      client.call(
        remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
        { eventID, dom: null },
        { timeoutMs: ANSWER_MS, onResult: (ret) => onId(ret.callbackID) },
      ),
    deregister: remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY,
  },
  network: {
    register: (client, eventID, onId) =>
      client.call(
        remote.REMOTE_PROC_CONNECT_NETWORK_EVENT_REGISTER_ANY,
        { eventID, net: null },
        { timeoutMs: ANSWER_MS, onResult: (ret) => onId(ret.callbackID) },
      ),
    deregister: remote.REMOTE_PROC_CONNECT_NETWORK_EVENT_DEREGISTER_ANY,
  },
  pool: {
    register: (client, eventID, onId) =>
      client.call(
        remote.REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY,
        { eventID, pool: null },
        { timeoutMs: ANSWER_MS, onResult: (ret) => onId(ret.callbackID) },
      ),
    deregister: remote.REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY,
  },
  nodedev: {
    register: (client, eventID, onId) =>
      client.call(
        remote.REMOTE_PROC_CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY,
        { eventID, dev: null },
        { timeoutMs: ANSWER_MS, onResult: (ret) => onId(ret.callbackID) },
      ),
    deregister: remote.REMOTE_PROC_CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY,
  },
  secret: {
    register: (client, eventID, onId) =>
      client.call(
        remote.REMOTE_PROC_CONNECT_SECRET_EVENT_REGISTER_ANY,
        { eventID, secret: null },
        { timeoutMs: ANSWER_MS, onResult: (ret) => onId(ret.callbackID) },
      ),
    deregister: remote.REMOTE_PROC_CONNECT_SECRET_EVENT_DEREGISTER_ANY,
  },
}

const KIND_BY_MESSAGE: ReadonlyMap<number, EventKind> = new Map(
  EVENT_KINDS.map((kind) => [kind.message, kind]),
)

/** What a daemon answers to an event id that is newer than itself (remote_daemon_dispatch.c), with VIR_ERR_INTERNAL_ERROR. */
const UNSUPPORTED_EVENT = /unsupported .*event ID/i

/** Who wants the events of a kind. */
export interface EventSink {
  push(event: LibvirtEvent): void
}

/** One kind that is registered, or is about to be, with the daemon: once a connection, for any number of subscribers. */
interface Registration {
  readonly kind: EventKind
  readonly subscribers: Set<EventSink>
  /** Settles when the daemon has answered. */
  readonly registered: Promise<unknown>
  /** Known once the daemon has answered; messages come with it. */
  callbackId: number | undefined
}

/**
 * The event kinds of one connection and who wants them. A daemon refuses to register a kind twice on one connection
 * (remote_daemon_dispatch.c: "event callback already tracked"), so each is registered for its first subscriber and
 * deregistered after its last.
 */
export class EventRegistry {
  readonly #client: RpcClient
  /** By message procedure. */
  readonly #registrations = new Map<number, Registration>()
  /** Callback ids being deregistered, by message procedure: their messages may come until the daemon has answered. */
  readonly #ending = new Map<number, Promise<void>>()

  constructor(client: RpcClient) {
    this.#client = client
  }

  /** Why nothing more will come, once that is so. */
  get failure(): LibvirtError | undefined {
    return this.#client.failure
  }

  /** Takes one message of the remote program. @throws {LibvirtError} when it is no event that was registered. */
  deliver(packet: Packet): void {
    const kind = KIND_BY_MESSAGE.get(packet.procedure)
    if (
      packet.program !== remote.REMOTE_PROGRAM ||
      packet.version !== remote.REMOTE_PROTOCOL_VERSION ||
      !kind
    )
      throw protocolError(packet, 'an unknown event')
    const event = decodeBody(packet, kind.type)
    const registration = this.#registrations.get(packet.procedure)
    if (registration?.callbackId === event.callbackID) {
      for (const sink of registration.subscribers) sink.push(event)
    } else if (!this.#ending.has(packet.procedure))
      throw protocolError(packet, `a ${kind.object} ${kind.kind} event that nobody registered`)
  }

  /** Deregisters everything with the daemon. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([...this.#registrations.values()].map((registration) => this.#deregister(registration)))
  }

  /** Registers a kind, unless it is, and lets `sink` have its events. @throws {LibvirtError} as the daemon refuses. */
  async join(kind: EventKind, sink: EventSink): Promise<void> {
    await this.#ending.get(kind.message)
    let registration = this.#registrations.get(kind.message)
    if (!registration) {
      const fresh: Registration = {
        kind,
        subscribers: new Set(),
        callbackId: undefined,
        registered: REGISTRARS[kind.object].register(this.#client, kind.id, (callbackId) => {
          fresh.callbackId = callbackId
        }),
      }
      registration = fresh
      this.#registrations.set(kind.message, registration)
    }
    registration.subscribers.add(sink)
    try {
      await registration.registered
    } catch (error) {
      if (this.#registrations.get(kind.message) === registration) this.#registrations.delete(kind.message)
      throw error
    }
  }

  /** Takes a kind from `sink`, and deregisters it after the last. Never rejects. */
  async leave(kind: EventKind, sink: EventSink): Promise<void> {
    const registration = this.#registrations.get(kind.message)
    if (registration?.subscribers.delete(sink) && registration.subscribers.size === 0)
      await this.#deregister(registration)
  }

  async #deregister(registration: Registration): Promise<void> {
    const { kind } = registration
    const finish = async (): Promise<void> => {
      try {
        await registration.registered
        if (registration.callbackId === undefined) return
        const callbackID = registration.callbackId
        await this.#client.call(REGISTRARS[kind.object].deregister, { callbackID }, { timeoutMs: ANSWER_MS })
      } catch {
        // A daemon that refuses, or a lost connection, leaves nothing to deregister.
      } finally {
        this.#ending.delete(kind.message)
      }
    }
    this.#registrations.delete(kind.message)
    const done = finish()
    this.#ending.set(kind.message, done)
    await done
  }
}

/** Whether a daemon, or its driver, refused a kind because it does not have it. */
export function isUnsupported(error: unknown): error is LibvirtError {
  if (!(error instanceof LibvirtError)) return false
  return error.code === 'ERR_LIBVIRT_NO_SUPPORT' || UNSUPPORTED_EVENT.test(error.message)
}
