import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { enums, remote } from '../../src/libvirt/index.ts'
import { RpcClient } from '../../src/libvirt/rpc-client.ts'
import { connectTcp } from '../../src/libvirt/transports/tcp.ts'
import type { Transport } from '../../src/libvirt/transports/transport.ts'
import { connectUnix } from '../../src/libvirt/transports/unix.ts'
import { DigestMd5Client } from '../../src/sasl/digest-md5.ts'
import { chooseMechanism, createSaslClient, SASL_MECHANISMS, type SaslClient } from '../../src/sasl/index.ts'
import { LIBVIRTD, SASLPASSWD2, startLibvirtd, type TestDaemon } from '../support/libvirtd.ts'
import { needs } from '../support/peers.ts'
import { clientOptions, converse, USERS } from './support.ts'

const live = needs(LIBVIRTD, SASLPASSWD2)
/** Every one that Cyrus SASL has and we have, too. */
const mechanisms = SASL_MECHANISMS.join(' ')
let local: TestDaemon
let remoteOne: TestDaemon

before(async () => {
  if (live.skip !== false) return
  const sasl = { mechanisms, users: USERS }
  local = await startLibvirtd({ auth_unix_rw: 'sasl' }, { sasl })
  remoteOne = await startLibvirtd({ auth_tcp: 'sasl' }, { listen: 'tcp', sasl })
})
after(async () => {
  await local?.[Symbol.asyncDispose]()
  await remoteOne?.[Symbol.asyncDispose]()
})

/** A connection that is closed when disposed, however far it has come. */
class Caller implements Disposable {
  readonly rpc: RpcClient
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
    this.rpc = new RpcClient({ transport, onMessage: () => {}, onClosed: () => {} })
  }

  /** The mechanisms that the daemon offers. */
  async offered(): Promise<string> {
    const { types } = await this.rpc.call(remote.REMOTE_PROC_AUTH_LIST, undefined)
    assert.deepEqual(types, [remote.REMOTE_AUTH_SASL])
    return (await this.rpc.call(remote.REMOTE_PROC_AUTH_SASL_INIT, undefined)).mechlist
  }

  /** SASL_START, then SASL_STEP, as remoteAuthSASL in remote_driver.c. */
  async login(client: SaslClient): Promise<void> {
    let isFirst = true
    await converse(client, {
      step: async (response) => {
        const data = { nil: response === undefined ? 1 : 0, data: response ?? Buffer.alloc(0) }
        const reply = isFirst
          ? await this.rpc.call(remote.REMOTE_PROC_AUTH_SASL_START, { mech: client.mechanism, ...data })
          : await this.rpc.call(remote.REMOTE_PROC_AUTH_SASL_STEP, data)
        isFirst = false
        return { complete: reply.complete !== 0, data: reply.nil === 0 ? reply.data : undefined }
      },
    })
    if (client.layer) this.rpc.secure(client.layer)
  }

  /** What is refused before login: opens the test driver, and moves more bytes than one protected message holds. */
  async use(): Promise<void> {
    await this.rpc.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: 'test:///default', flags: 0 })
    const xml =
      "<domain type='test'><name>big</name><uuid>6269672d-0000-4000-8000-000000000001</uuid><memory>8192</memory>" +
      `<description>${'x'.repeat(300_000)}</description><os><type>hvm</type></os></domain>`
    const { dom } = await this.rpc.call(remote.REMOTE_PROC_DOMAIN_DEFINE_XML, { xml })
    const got = await this.rpc.call(remote.REMOTE_PROC_DOMAIN_GET_XML_DESC, { dom, flags: 0 })
    assert.ok(got.xml.length > 300_000)
    await this.rpc.call(remote.REMOTE_PROC_DOMAIN_UNDEFINE, { dom })
  }

  [Symbol.dispose](): void {
    this.#transport.destroy()
  }
}

async function unix(): Promise<Caller> {
  return new Caller(await connectUnix({ socketPath: local.socketPath }))
}

async function tcp(): Promise<Caller> {
  return new Caller(await connectTcp({ host: '127.0.0.1', port: remoteOne.port }))
}

/** How libvirtd says that it does not let somebody in. */
const REFUSED = { remoteCode: enums.virErrorNumber.VIR_ERR_AUTH_FAILED }

test('libvirtd offers what its SASL configuration lists, and the best of it is chosen', live, async () => {
  using caller = await unix()
  const offered = await caller.offered()
  assert.deepEqual(new Set(offered.split(',')), new Set(SASL_MECHANISMS))
  assert.equal(chooseMechanism(offered, { layer: 'none' }), 'SCRAM-SHA-512')
  using other = await tcp()
  // Over TCP libvirtd wants 56 bits at least, which only one of them has.
  assert.equal(chooseMechanism(await other.offered(), { layer: 'required' }), 'DIGEST-MD5')
})

for (const mechanism of SASL_MECHANISMS) {
  test(
    `${mechanism}: libvirtd lets us in over its UNIX socket, whatever the name and the password are made of`,
    live,
    async () => {
      for (const [username, password] of Object.entries(USERS)) {
        using caller = await unix()
        await caller.offered()
        await caller.login(createSaslClient(mechanism, clientOptions(username, password)))
        if (username === 'alice') await caller.use()
        else await caller.rpc.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: 'test:///default', flags: 0 })
      }
    },
  )

  test(`${mechanism}: libvirtd refuses a wrong password and a wrong name`, live, async () => {
    for (const [username, password] of [
      ['alice', 'wrong'],
      ['nobody', 'pencil'],
    ] as const) {
      using caller = await unix()
      await caller.offered()
      const client = createSaslClient(mechanism, clientOptions(username, password))
      await assert.rejects(caller.login(client), REFUSED)
      if (mechanism !== 'PLAIN') assert.equal(client.isComplete, false)
    }
  })
}

test('DIGEST-MD5 with rc4: libvirtd and we read what the other protects over TCP', live, async () => {
  for (const [username, password] of Object.entries(USERS)) {
    using caller = await tcp()
    await caller.offered()
    const client = new DigestMd5Client(clientOptions(username, password, 'required'), { ciphers: ['rc4'] })
    await caller.login(client)
    assert.equal(client.layer?.ssf, 128)
    await caller.use()
  }
})

test('DIGEST-MD5 with 3des: libvirtd and we read what the other protects over TCP', live, async (context) => {
  using caller = await tcp()
  await caller.offered()
  const client = new DigestMd5Client(clientOptions('alice', 'pencil', 'required'), { ciphers: ['3des'] })
  try {
    await caller.login(client)
  } catch (error) {
    // See cyrus.test.ts: since OpenSSL 3 Cyrus SASL cannot do the 3des that it offers.
    await assert.rejects(Promise.reject(error), REFUSED)
    context.diagnostic('Cyrus SASL cannot init the 3des that it offers, with this OpenSSL')
    return
  }
  assert.equal(client.layer?.ssf, 112)
  await caller.use()
})

test('DIGEST-MD5: libvirtd refuses a wrong password over TCP, and no layer at all', live, async () => {
  using caller = await tcp()
  await caller.offered()
  const wrong = createSaslClient('DIGEST-MD5', clientOptions('alice', 'wrong', 'required'))
  await assert.rejects(caller.login(wrong), REFUSED)
  assert.equal(wrong.layer, undefined)
  using other = await tcp()
  await other.offered()
  const open = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil', 'none'))
  await assert.rejects(other.login(open), { code: 'ERR_SASL_MECHANISM' })
})

test('libvirtd refuses mechanisms without a layer over TCP', live, async () => {
  for (const mechanism of SASL_MECHANISMS.filter((name) => name !== 'DIGEST-MD5')) {
    using caller = await tcp()
    await caller.offered()
    const client = createSaslClient(mechanism, clientOptions('alice', 'pencil'))
    await assert.rejects(caller.login(client), REFUSED, mechanism)
  }
})
