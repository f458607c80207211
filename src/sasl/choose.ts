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

/** Names of the mechanisms that are known here, best first. */
export const SASL_MECHANISMS: readonly string[] = [...MECHANISMS.keys()]

/**
 * The best mechanism of those that a server offers, with spaces or commas between.
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
  const what =
    options.wanted ?? (options.layer === 'required' ? 'a mechanism that encrypts' : 'a known mechanism')
  throw new SaslError('ERR_SASL_MECHANISM', `the server offers '${offered}', which has not ${what}`)
}

/** The client's side of a mechanism. @throws {SaslError} `ERR_SASL_MECHANISM` when it is not known, `ERR_SASL_CREDENTIALS`. */
export function createSaslClient(mechanism: string, options: SaslClientOptions): SaslClient {
  return known(mechanism, options.layer).client(options)
}

/** The server's side of a mechanism. @throws {SaslError} `ERR_SASL_MECHANISM` when it is not known. */
export function createSaslServer(mechanism: string, options: SaslServerOptions): SaslServer {
  return known(mechanism, options.layer).server(options)
}

function known(name: string, layer: SaslLayerWish): Mechanism {
  const mechanism = MECHANISMS.get(name.toUpperCase())
  if (!mechanism || (layer === 'required' && !mechanism.hasLayer))
    throw new SaslError('ERR_SASL_MECHANISM', `mechanism '${name}' is not known, or does not encrypt`)
  return mechanism
}
