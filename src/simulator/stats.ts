/** Counters of one simulator; they only grow, but for `clients` and `registrations`. */
export interface SimulatorStats {
  /** Clients connected now. */
  clients: number
  /** Callbacks registered now. */
  registrations: number
  clientsAccepted: number
  /** Connections closed at once because `clientsMax` were there. */
  clientsRefused: number
  /** TLS handshakes that failed: no certificate, a wrong one, or no TLS at all. */
  tlsRefused: number
  /** Clients cut because they did not read. */
  clientsCut: number
  /** Pings sent to clients that were silent. */
  pings: number
  /** Clients cut because they did not answer the keepalive. */
  keepaliveTimeouts: number
  /** Clients cut because of bytes that cannot be: a length, a header, a packet type that a client does not send. */
  protocolErrors: number
  calls: number
  /** Calls answered with an error. */
  refusals: number
  /** Events of the hypervisor, registered for or not. */
  events: number
  /** Messages sent: one for each event and callback. */
  messages: number
}

/** All zero. */
export function createStats(): SimulatorStats {
  return {
    clients: 0,
    registrations: 0,
    clientsAccepted: 0,
    clientsRefused: 0,
    tlsRefused: 0,
    clientsCut: 0,
    pings: 0,
    keepaliveTimeouts: 0,
    protocolErrors: 0,
    calls: 0,
    refusals: 0,
    events: 0,
    messages: 0,
  }
}
