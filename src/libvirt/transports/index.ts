import type { ClientEnvironment } from '../client-config.ts'
import type { Route } from '../uri.ts'
import { startCommand } from './command.ts'
import { connectTcp } from './tcp.ts'
import { connectTls } from './tls.ts'
import type { Transport } from './transport.ts'
import { connectUnix } from './unix.ts'

/** Opens the byte stream that a route names. @throws {LibvirtError} as the transports do. */
export async function openTransport(
  route: Route,
  environment: ClientEnvironment,
  signal?: AbortSignal,
): Promise<Transport> {
  if (route.transport === 'unix') return await connectUnix(route, signal, environment.env)
  if (route.transport === 'tcp') return await connectTcp(route, signal)
  if (route.transport === 'tls') return await connectTls(route, environment, signal)
  return await startCommand(route, signal)
}

/** What a route is called in messages. */
export function routeName(route: Route): string {
  if (route.transport === 'unix') return route.socketPath
  if (route.transport === 'tcp' || route.transport === 'tls') return `${route.host} port ${route.port}`
  return route.command
}
