import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { messageOf } from '../core/errors.ts'
import { SimulatorError } from './errors.ts'

/** Where to listen for TCP. */
export interface TcpListenOptions {
  /** `127.0.0.1` by default. */
  readonly host?: string
  /** 0, any that is free, by default. */
  readonly port?: number
}

/** Where and with which certificates to listen for TLS; PEM texts. */
export interface TlsListenOptions extends TcpListenOptions {
  readonly key: string | Buffer
  readonly cert: string | Buffer
  /** The authority that has to have signed the clients' certificates. */
  readonly ca: string | Buffer
  /** Whether clients need a certificate; true by default, as libvirtd wants it. */
  readonly requestCert?: boolean
}

/** What libvirtd sends when it has accepted a client's certificate (virnetserverclient.c). */
const ACCEPTED = Buffer.from([1])

/** A server on loopback that has begun to listen. */
export interface NetworkListener {
  readonly host: string
  readonly port: number
  readonly server: Server
}

/** @throws {SimulatorError} `ERR_SIMULATOR_LISTEN` when it cannot. */
export async function listenTcp(
  options: TcpListenOptions,
  accept: (socket: Socket) => void,
): Promise<NetworkListener> {
  return await listening(createServer({ noDelay: true }, accept), options)
}

/** `refused` is called for each handshake that fails. @throws {SimulatorError} `ERR_SIMULATOR_LISTEN` when it cannot. */
export async function listenTls(
  options: TlsListenOptions,
  handlers: { accept(socket: Socket): void; refused(error: Error): void },
): Promise<NetworkListener> {
  const { key, cert, ca, requestCert = true } = options
  let server: Server
  try {
    server = createTlsServer(
      { key, cert, ca, requestCert, rejectUnauthorized: requestCert },
      (socket: TLSSocket) => {
        socket.setNoDelay(true)
        socket.write(ACCEPTED)
        handlers.accept(socket)
      },
    )
  } catch (error) {
    throw new SimulatorError('ERR_SIMULATOR_LISTEN', `the certificates cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  }
  server.on('tlsClientError', (error) => handlers.refused(error))
  return await listening(server, options)
}

async function listening(server: Server, options: TcpListenOptions): Promise<NetworkListener> {
  const { host = '127.0.0.1', port = 0 } = options
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new SimulatorError(
      'ERR_SIMULATOR_LISTEN',
      `cannot listen on ${host} port ${port}: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
  // A server that listens on a port has an address of this form.
  const address = server.address() as AddressInfo
  return { host, port: address.port, server }
}
