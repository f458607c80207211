import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DigestMd5Client } from '../../src/sasl/digest-md5.ts'
import {
  chooseMechanism,
  createSaslClient,
  createSaslServer,
  SASL_MECHANISMS,
  type SaslClient,
  type SaslClientOptions,
  SaslError,
  type SaslLayer,
  type SaslServer,
} from '../../src/sasl/index.ts'
import { Rc4 } from '../../src/sasl/rc4.ts'
import { ScramClient } from '../../src/sasl/scram.ts'

const USERS: Readonly<Record<string, string>> = { alice: 'pencil', 'zoë,=': 'schlüssel ☃' }

function clientOptions(
  username: string,
  password: string,
  layer: 'required' | 'none' = 'none',
): SaslClientOptions {
  return { credentials: { username, password }, service: 'libvirt', host: 'localhost', layer }
}

function serverOf(mechanism: string, layer: 'required' | 'none' = 'none'): SaslServer {
  return createSaslServer(mechanism, {
    password: (name) => (Object.hasOwn(USERS, name) ? USERS[name] : undefined),
    service: 'libvirt',
    host: 'localhost',
    layer,
  })
}

/** The whole conversation as libvirt's protocol carries it. */
async function converse(client: SaslClient, server: SaslServer): Promise<void> {
  let reply = await server.step(client.start())
  for (let step = 0; step < 8; step++) {
    if (reply.complete && client.isComplete) return
    const answer = await client.step(reply.data ?? Buffer.alloc(0))
    if (reply.complete && client.isComplete) return
    reply = await server.step(answer)
  }
  assert.fail('no end')
}

test('SCRAM makes the messages of the RFCs’ examples', async () => {
  // RFC 5802 §5 and RFC 7677 §3.
  const cases = [
    {
      mechanism: 'SCRAM-SHA-1',
      nonce: 'fyko+d2lbbFgONRv9qkxdawL',
      server: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
      final: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
      signature: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    },
    {
      mechanism: 'SCRAM-SHA-256',
      nonce: 'rOprNGfwEbeRWgbNEkqO',
      server: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      final:
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      signature: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    },
  ] as const
  for (const { mechanism, nonce, server, final, signature } of cases) {
    const client = new ScramClient(mechanism, clientOptions('user', 'pencil'), nonce)
    assert.equal(String(client.start()), `n,,n=user,r=${nonce}`)
    assert.equal(String(await client.step(Buffer.from(server))), final)
    assert.equal(client.isComplete, false)
    assert.equal(await client.step(Buffer.from(signature)), undefined)
    assert.equal(client.isComplete, true)
  }
})

test('DIGEST-MD5 makes the response of the RFC’s example', async () => {
  // RFC 2831 §4.
  const options = {
    credentials: { username: 'chris', password: 'secret' },
    service: 'imap',
    host: 'elwood.innosoft.com',
    layer: 'none',
  } as const
  const client = new DigestMd5Client(options, 'OA6MHXh6VqTrRk')
  const challenge =
    'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8'
  const answer = String(await client.step(Buffer.from(challenge)))
  assert.match(answer, /response=d388dad90d4bbd760a152321f2143af7/)
  await client.step(Buffer.from('rspauth=ea40f60335c427b5527b84dbabcdfffd'))
  assert.equal(client.isComplete, true)
})

test('PLAIN is name and password with NULs between', () => {
  assert.deepEqual(
    createSaslClient('PLAIN', clientOptions('tim', 'tanstaaftanstaaf')).start(),
    Buffer.from('\0tim\0tanstaaftanstaaf'),
  )
  assert.throws(() => createSaslClient('PLAIN', clientOptions('a\0b', 'c')), { code: 'ERR_SASL_CREDENTIALS' })
})

test('RC4 has the key stream of RFC 6229', () => {
  const key = Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex')
  assert.equal(new Rc4(key).update(Buffer.alloc(16)).toString('hex'), '9ac7cc9a609d1ef7b2932899cde41b97')
})

test('client and server of every mechanism understand each other, and a wrong password does not get in', async () => {
  for (const mechanism of SASL_MECHANISMS)
    for (const [name, password] of Object.entries(USERS)) {
      const server = serverOf(mechanism)
      await converse(createSaslClient(mechanism, clientOptions(name, password)), server)
      assert.equal(server.username, name)
      for (const [who, what] of [
        [name, 'wrong'],
        ['nobody', password],
        ['__proto__', 'x'],
      ] as const) {
        const refusing = serverOf(mechanism)
        await assert.rejects(converse(createSaslClient(mechanism, clientOptions(who, what)), refusing), {
          code: 'ERR_SASL_CREDENTIALS',
        })
        assert.equal(refusing.username, undefined)
      }
    }
})

test('a server that does not know the password is found out', async () => {
  for (const mechanism of ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    const client = createSaslClient(mechanism, clientOptions('alice', 'pencil'))
    const [, nonce] = /r=(.*)$/.exec(String(client.start())) ?? []
    await client.step(Buffer.from(`r=${nonce}more,s=QSXCR+Q6sek8bf92,i=4096`))
    await assert.rejects(client.step(Buffer.from('v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=')), {
      code: 'ERR_SASL_SERVER',
    })
    assert.equal(client.isComplete, false)
  }
  const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil'))
  await client.step(Buffer.from('nonce="x",algorithm=md5-sess'))
  await assert.rejects(client.step(Buffer.from(`rspauth=${'0'.repeat(32)}`)), { code: 'ERR_SASL_SERVER' })
})

test('a server cannot make the client work for ever, nor forget its nonce', async () => {
  const begin = (): [SaslClient, string] => {
    const client = createSaslClient('SCRAM-SHA-256', clientOptions('alice', 'pencil'))
    return [client, /r=(.*)$/.exec(String(client.start()))?.[1] ?? '']
  }
  for (const [rest, code] of [
    ['more,s=QSXC,i=999999999', 'ERR_SASL_MALFORMED'],
    ['more,s=QSXC,i=1', 'ERR_SASL_MALFORMED'],
    ['more,s=QSXC,i=4096,i=4096', 'ERR_SASL_MALFORMED'],
    ['more,s=!,i=4096', 'ERR_SASL_MALFORMED'],
    [',s=QSXC,i=4096', 'ERR_SASL_SERVER'],
  ] as const) {
    const [client, nonce] = begin()
    await assert.rejects(client.step(Buffer.from(`r=${nonce}${rest}`)), { code })
  }
  const [client] = begin()
  await assert.rejects(client.step(Buffer.from('r=other,s=QSXC,i=4096')), { code: 'ERR_SASL_SERVER' })
  await assert.rejects(client.step(Buffer.alloc(70_000, 'x')), { code: 'ERR_SASL_MALFORMED' })
})

async function layers(cipher: 'rc4' | '3des'): Promise<[client: SaslLayer, server: SaslLayer]> {
  const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil', 'required'))
  const server = serverOf('DIGEST-MD5', 'required')
  const { data } = await server.step(client.start())
  // The list of ciphers is in no digest.
  const challenge = String(data).replace(/cipher="[^"]*"/, `cipher="${cipher}"`)
  const { data: proof } = await server.step(await client.step(Buffer.from(challenge)))
  await client.step(proof ?? Buffer.alloc(0))
  assert.ok(client.layer && server.layer)
  return [client.layer, server.layer]
}

for (const cipher of ['rc4', '3des'] as const)
  test(`${cipher}: what one side protects the other reads, however it is cut, and nothing else`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.nat(50), { minLength: 1, maxLength: 50 }),
        async (messages, cuts) => {
          const [one, other] = await layers(cipher)
          const wire = Buffer.concat(messages.map((message) => one.wrap(Buffer.from(message))))
          assert.equal(wire.includes(Buffer.from('pencil')), false)
          const got: Buffer[] = []
          let offset = 0
          for (let n = 0; offset < wire.length; n++) {
            const size = (cuts[n % cuts.length] ?? 0) + 1
            other.unwrap(wire.subarray(offset, offset + size), (plain) => got.push(Buffer.from(plain)))
            offset += size
          }
          assert.deepEqual(Buffer.concat(got), Buffer.concat(messages))
        },
      ),
      { numRuns: 50 },
    )
    const [one, other] = await layers(cipher)
    const long = Buffer.alloc(200_000, 'x')
    let length = 0
    other.unwrap(one.wrap(long), (plain) => {
      length += plain.length
    })
    assert.equal(length, long.length)
    for (const change of [4, 10, -1, -3]) {
      const [from, to] = await layers(cipher)
      const wire = from.wrap(Buffer.from('some bytes'))
      const at = change < 0 ? wire.length + change : change
      wire[at] = (wire[at] ?? 0) ^ 1
      assert.throws(() => to.unwrap(wire, () => assert.fail('taken')), { code: 'ERR_SASL_LAYER' })
    }
    const [, strict] = await layers(cipher)
    assert.throws(() => strict.unwrap(Buffer.from([0x7f, 0, 0, 0]), () => {}), { code: 'ERR_SASL_LAYER' })
  })

test('any bytes are a typed error on both sides', async () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ maxLength: 100 }).map((text) => Buffer.from(text)),
    fc
      .array(
        fc.tuple(fc.constantFrom('r', 's', 'i', 'v', 'n', 'c', 'p', 'nonce', 'qop', 'realm'), fc.string()),
      )
      .map((pairs) => Buffer.from(pairs.map(([key, value]) => `${key}=${value}`).join(','))),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SASL_MECHANISMS),
      fc.array(message, { maxLength: 3 }),
      async (mechanism, all) => {
        const client = createSaslClient(mechanism, clientOptions('alice', 'pencil'))
        const server = serverOf(mechanism)
        client.start()
        for (const side of [client, server])
          try {
            for (const each of all) await side.step(each)
          } catch (error) {
            assert.ok(error instanceof SaslError, String(error))
          }
        assert.equal(server.username, undefined)
      },
    ),
    { numRuns: 1000 },
  )
})

test('the best mechanism that fits is chosen, or the one that was asked for', () => {
  assert.equal(
    chooseMechanism('PLAIN,DIGEST-MD5 SCRAM-SHA-1,SCRAM-SHA-256', { layer: 'none' }),
    'SCRAM-SHA-256',
  )
  assert.equal(chooseMechanism('PLAIN DIGEST-MD5 SCRAM-SHA-512', { layer: 'required' }), 'DIGEST-MD5')
  assert.equal(chooseMechanism('plain', { layer: 'none', wanted: 'Plain' }), 'PLAIN')
  assert.throws(() => chooseMechanism('PLAIN', { layer: 'required' }), { code: 'ERR_SASL_MECHANISM' })
  assert.throws(() => chooseMechanism('GSSAPI', { layer: 'none' }), { code: 'ERR_SASL_MECHANISM' })
  assert.throws(() => chooseMechanism('PLAIN', { layer: 'none', wanted: 'SCRAM-SHA-1' }), {
    code: 'ERR_SASL_MECHANISM',
  })
})
