import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DigestChoices, DigestMd5Client, DigestMd5Server } from '../../src/sasl/digest-md5.ts'
import { createSaslClient, type SaslLayer } from '../../src/sasl/index.ts'
import { RECORDED, TEXTS } from './recorded.ts'
import { clientOptions, converse, serverOf, serverOptions } from './support.ts'

const LAYERS: Readonly<Record<string, { choices: DigestChoices; ssf: number; overhead: number }>> = {
  rc4: { choices: { ciphers: ['rc4'] }, ssf: 128, overhead: 20 },
  '3des': { choices: { ciphers: ['3des'] }, ssf: 112, overhead: 28 },
  'auth-int': { choices: { qop: 'auth-int' }, ssf: 1, overhead: 20 },
}

async function layers(choices: DigestChoices): Promise<[client: SaslLayer, server: SaslLayer]> {
  const client = new DigestMd5Client(clientOptions('alice', 'pencil', 'required'), choices)
  const server = new DigestMd5Server(serverOptions('required'), choices)
  await converse(client, server)
  assert.ok(client.layer && server.layer)
  return [client.layer, server.layer]
}

/** What a layer makes of bytes that come in pieces of these lengths. */
function unwrapped(layer: SaslLayer, wire: Buffer, cuts: readonly number[]): Buffer {
  const got: Buffer[] = []
  let offset = 0
  for (let n = 0; offset < wire.length; n++) {
    const size = (cuts[n % cuts.length] ?? 0) + 1
    // A buffer of its own that is overwritten after the call, as a socket's is.
    const chunk = Buffer.from(wire.subarray(offset, offset + size))
    layer.unwrap(chunk, (plain) => got.push(Buffer.from(plain)))
    chunk.fill(0xff)
    offset += size
  }
  return Buffer.concat(got)
}

test('where a layer is required the best cipher of both sides is taken', async () => {
  const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil', 'required'))
  const server = serverOf('DIGEST-MD5', 'required')
  await converse(client, server)
  assert.deepEqual([client.layer?.ssf, server.layer?.ssf], [128, 128])
})

for (const [name, recorded] of Object.entries(RECORDED))
  test(`${name}: the messages are those that Cyrus SASL has taken and made`, async () => {
    const choices = { ...LAYERS[name]?.choices, cnonce: 'OA6MHXh6VqTrRk' }
    const client = new DigestMd5Client(clientOptions('alice', 'pencil', 'required'), choices)
    await client.step(Buffer.from(recorded.challenge))
    await client.step(Buffer.from(recorded.rspauth))
    const { layer } = client
    assert.ok(layer)
    assert.deepEqual(
      TEXTS.map((text) => layer.wrap(Buffer.from(text)).toString('hex')),
      recorded.sent,
    )
    const got: string[] = []
    layer.unwrap(Buffer.from(recorded.received.join(''), 'hex'), (plain) => got.push(String(plain)))
    assert.deepEqual(got, TEXTS)
  })

for (const [name, { choices, ssf, overhead }] of Object.entries(LAYERS)) {
  test(`${name}: what one side protects the other reads, both ways and however it is cut`, async () => {
    const message = fc.uint8Array({ maxLength: 300 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), message), { maxLength: 8 }),
        fc.array(fc.nat(50), { minLength: 1, maxLength: 50 }),
        async (messages, cuts) => {
          const [client, server] = await layers(choices)
          assert.deepEqual([client.ssf, server.ssf], [ssf, ssf])
          for (const [isUp, bytes] of messages) {
            const [from, to] = isUp ? [client, server] : [server, client]
            assert.deepEqual(unwrapped(to, from.wrap(Buffer.from(bytes)), cuts), Buffer.from(bytes))
          }
          const wire = Buffer.concat(messages.map(([, bytes]) => client.wrap(Buffer.from(bytes))))
          const all = Buffer.concat(messages.map(([, bytes]) => bytes))
          assert.deepEqual(unwrapped(server, wire, cuts), all)
        },
      ),
      { numRuns: 50 },
    )
  })

  test(`${name}: more than a message holds becomes many messages, none over what the other side takes`, async () => {
    const [client, server] = await layers(choices)
    const long = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index & 255))
    const wire = client.wrap(long)
    let count = 0
    for (let offset = 0; offset < wire.length; count++) {
      const length = wire.readUInt32BE(offset) + 4
      assert.ok(length <= 65_536, `${length}`)
      offset += length
    }
    assert.equal(count, 4)
    assert.ok(wire.length <= long.length + count * overhead)
    assert.deepEqual(unwrapped(server, wire, [4095]), long)
    assert.deepEqual(client.wrap(Buffer.alloc(0)), Buffer.alloc(0))
  })

  test(`${name}: the other side’s maxbuf is kept`, async () => {
    for (const maxbuf of [64, 100, 4096]) {
      const client = new DigestMd5Client(clientOptions('alice', 'pencil', 'required'), choices)
      const server = new DigestMd5Server(serverOptions('required'), choices)
      const { data } = await server.step(undefined)
      const challenge = String(data).replace('maxbuf=65536', `maxbuf=${maxbuf}`)
      const { data: proof } = await server.step(await client.step(Buffer.from(challenge)))
      await client.step(proof ?? Buffer.alloc(0))
      assert.ok(client.layer && server.layer)
      const wire = client.layer.wrap(Buffer.alloc(10_000, 'x'))
      for (let offset = 0; offset < wire.length; ) {
        const length = wire.readUInt32BE(offset) + 4
        assert.ok(length <= maxbuf, `${length}`)
        offset += length
      }
      assert.deepEqual(unwrapped(server.layer, wire, [63]), Buffer.alloc(10_000, 'x'))
    }
  })

  test(`${name}: a message that is changed anywhere, repeated, left out or sent back is refused, and all after it`, async () => {
    const never = (): void => assert.fail('taken')
    const wire = (await layers(choices))[0].wrap(Buffer.from('some bytes'))
    for (let at = 4; at < wire.length; at++) {
      const [client, server] = await layers(choices)
      const changed = client.wrap(Buffer.from('some bytes'))
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.throws(() => server.unwrap(changed, never), { code: 'ERR_SASL_LAYER' }, `byte ${at}`)
      assert.throws(() => server.unwrap(client.wrap(Buffer.from('x')), never), { code: 'ERR_SASL_LAYER' })
    }
    const [client, server] = await layers(choices)
    const first = client.wrap(Buffer.from('some bytes'))
    server.unwrap(first, () => {})
    assert.throws(() => server.unwrap(first, never), { code: 'ERR_SASL_LAYER' })
    const [leaving, strict] = await layers(choices)
    leaving.wrap(Buffer.from('left out'))
    assert.throws(() => strict.unwrap(leaving.wrap(Buffer.from('x')), never), { code: 'ERR_SASL_LAYER' })
    const [reflected] = await layers(choices)
    assert.throws(() => reflected.unwrap(reflected.wrap(Buffer.from('x')), never), { code: 'ERR_SASL_LAYER' })
  })

  test(`${name}: any bytes are a typed error or wait for more, and a length over the limit waits for nothing`, async () => {
    for (const length of [0, 15, 65_537, 0x7fff_ffff, 0xffff_ffff]) {
      const [client, server] = await layers(choices)
      const word = Buffer.alloc(4)
      word.writeUInt32BE(length)
      assert.throws(() => client.unwrap(word, () => {}), { code: 'ERR_SASL_LAYER' }, `${length}`)
      // And nothing after it is taken.
      assert.throws(() => client.unwrap(server.wrap(Buffer.from('x')), () => {}), { code: 'ERR_SASL_LAYER' })
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(64), fc.uint8Array({ maxLength: 80 }), async (length, bytes) => {
        const [client] = await layers(choices)
        const wire = Buffer.concat([Buffer.from([0, 0, 0, length]), bytes])
        try {
          client.unwrap(wire, () => assert.fail('taken'))
          assert.ok(bytes.length < length)
        } catch (error) {
          assert.ok(
            error instanceof Error && 'code' in error && error.code === 'ERR_SASL_LAYER',
            String(error),
          )
        }
      }),
      { numRuns: 200 },
    )
  })
}
