import { DigestMd5Client, DigestMd5Server } from './digest-md5.ts'
import { SaslError } from './errors.ts'
import type {
  SaslClient,
  SaslClientOptions,
  SaslLayerWish,
  SaslServer,
  SaslServerOptions,
} from './mechanism.ts'
import { PlainClient, PlainServer } from './plain.ts'
import { shown } from './prepare.ts'
import { ScramClient, ScramServer } from './scram.ts'

interface Mechanism {
  /** Whether it can encrypt what follows. */
  readonly hasLayer: boolean
  client(options: SaslClientOptions): SaslClient
  server(options: SaslServerOptions): SaslServer
}

function scram(name: 'SCRAM-SHA-1' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'): Mechanism {
  return {
    hasLayer: false,
    client: (options) => new ScramClient(name, options),
    server: (options) => new ScramServer(name, options),
  }
}

/** Best first. */
const MECHANISMS: ReadonlyMap<string, Mechanism> = new Map<string, Mechanism>([
  ['SCRAM-SHA-512', scram('SCRAM-SHA-512')],
  ['SCRAM-SHA-256', scram('SCRAM-SHA-256')],
  ['SCRAM-SHA-1', scram('SCRAM-SHA-1')],
  [
    'DIGEST-MD5',
    {
      hasLayer: true,
      client: (options) => new DigestMd5Client(options),
      server: (options) => new DigestMd5Server(options),
    },
  ],
  [
    'PLAIN',
    {
      hasLayer: false,
      client: (options) => new PlainClient(options),
      server: (options) => new PlainServer(options),
    },
  ],
])

/** Names of the mechanisms that are known here (RFC 5802, 7677, 2831, 4616), best first. */
export const SASL_MECHANISMS: readonly string[] = [...MECHANISMS.keys()]

/**
 * The best mechanism of those that a server offers, with spaces or commas between (RFC 4422 §3.2).
 *
 * @throws {SaslError} `ERR_SASL_MECHANISM` when there is none, or the wanted one is not among them.
 */
export function chooseMechanism(
  offered: string,
  options: { readonly layer: SaslLayerWish; readonly wanted?: string },
): string {
  const names = new Set(offered.split(/[\s,]+/).map((name) => name.toUpperCase()))
  for (const [name, { hasLayer }] of MECHANISMS) {
    if (!names.has(name) || (options.layer === 'required' && !hasLayer)) continue
    if (options.wanted === undefined || options.wanted.toUpperCase() === name) return name
  }
  const { wanted, layer } = options
  const what =
    wanted !== undefined ? shown(wanted) : layer === 'required' ? 'one that encrypts' : 'a known one'
  throw new SaslError('ERR_SASL_MECHANISM', `the server offers ${shown(offered)}, among which is not ${what}`)
}

/**
 * The client's side of a mechanism (RFC 4422 §3).
 *
 * @throws {SaslError} `ERR_SASL_MECHANISM` when it is not known, or has not the layer that is required;
 *   `ERR_SASL_CREDENTIALS` when name or password are missing, or of a form that it cannot carry.
 * @example
 * const client = createSaslClient('SCRAM-SHA-256', {
 *   credentials: { username: 'alice', password: 'pencil' }, service: 'libvirt', host: 'localhost', layer: 'none',
 * })
 * const first = await client.start()
 */
export function createSaslClient(mechanism: string, options: SaslClientOptions): SaslClient {
  return known(mechanism, options.layer).client(options)
}

/**
 * The server's side of a mechanism (RFC 4422 §3).
 *
 * @throws {SaslError} `ERR_SASL_MECHANISM` when it is not known, or has not the layer that is required.
 */
export function createSaslServer(mechanism: string, options: SaslServerOptions): SaslServer {
  return known(mechanism, options.layer).server(options)
}

function known(name: string, layer: SaslLayerWish): Mechanism {
  const mechanism = MECHANISMS.get(name.toUpperCase())
  if (!mechanism) throw new SaslError('ERR_SASL_MECHANISM', `mechanism ${shown(name)} is not known`)
  if (layer === 'required' && !mechanism.hasLayer)
    throw new SaslError('ERR_SASL_MECHANISM', `mechanism ${shown(name)} does not encrypt`)
  return mechanism
}
