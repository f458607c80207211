import type { Socket } from 'node:net'
import type { Logger } from '../core/logger.ts'
import type { Authentication } from './authentication.ts'
import type { Connection } from './connection.ts'
import type { Faults } from './faults.ts'
import type { CallContext } from './handlers/handler.ts'
import type { Registrations } from './registrations.ts'
import type { SimulatorStats } from './stats.ts'

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
  readonly faults: Faults
  readonly onClosed: (connection: Connection) => void
}

/** What is of one connection alone. */
export interface Channel {
  readonly socket: Socket
  /** Counted from 1. */
  readonly number: number
  readonly authentication: Authentication
}
