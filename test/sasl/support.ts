import assert from 'node:assert/strict'
import {
  createSaslServer,
  type SaslClient,
  type SaslClientOptions,
  type SaslServer,
  type SaslServerOptions,
} from '../../src/sasl/index.ts'

export const HOST = 'localhost'

/** Names and passwords with what mechanisms have to escape, narrow or leave alone. */
export const USERS: Readonly<Record<string, string>> = {
  alice: 'pencil',
  zoë: 'schlüssel',
  'a,b=c': 'x"y\\z, =2C',
  'snow ☃': 'pen ☃',
  // What SASLprep would change: a compatibility character, and a letter with a combining accent.
  ninth: 'pass² Ⅸ',
  nfd: 'e\u0301a',
}

export function clientOptions(
  username: string,
  password: string,
  layer: 'required' | 'none' = 'none',
): SaslClientOptions {
  return { credentials: { username, password }, service: 'libvirt', host: HOST, layer }
}

export function serverOptions(layer: 'required' | 'none' = 'none'): SaslServerOptions {
  return {
    password: (name) => (Object.hasOwn(USERS, name) ? USERS[name] : undefined),
    service: 'libvirt',
    host: HOST,
    layer,
  }
}

export function serverOf(mechanism: string, layer: 'required' | 'none' = 'none'): SaslServer {
  return createSaslServer(mechanism, serverOptions(layer))
}

/** What a conversation needs of its server. */
export interface Answering {
  step(response: Buffer | undefined): Promise<{ complete: boolean; data: Buffer | undefined }>
}

/** The whole conversation as libvirt's protocol carries it: the client sees what the server says last. */
export async function converse(client: SaslClient, server: Answering): Promise<void> {
  let reply = await server.step(await client.start())
  for (let step = 0; step < 8; step++) {
    if (reply.complete && client.isComplete) return
    const answer = await client.step(reply.data ?? Buffer.alloc(0))
    if (reply.complete && client.isComplete) return
    assert.equal(reply.complete, false, 'the server is content and the client is not')
    reply = await server.step(answer)
  }
  assert.fail('no end')
}
