import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DigestMd5Client } from '../../src/sasl/digest-md5.ts'
import { responseOf, sessionKeyOf } from '../../src/sasl/digest-message.ts'
import { createSaslClient, createSaslServer } from '../../src/sasl/index.ts'
import { prepared } from '../../src/sasl/prepare.ts'
import { Rc4 } from '../../src/sasl/rc4.ts'
import { ScramClient } from '../../src/sasl/scram.ts'
import { RECORDED_NARROW } from './recorded.ts'
import { clientOptions } from './support.ts'

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
  const client = new DigestMd5Client(options, { cnonce: 'OA6MHXh6VqTrRk' })
  const challenge =
    'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8'
  const answer = String(await client.step(Buffer.from(challenge)))
  const expected =
    'charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,' +
    'cnonce="OA6MHXh6VqTrRk",digest-uri="imap/elwood.innosoft.com",' +
    'response=d388dad90d4bbd760a152321f2143af7,qop=auth'
  assert.equal(answer, expected)
  assert.equal(client.isComplete, false)
  assert.deepEqual(
    await client.step(Buffer.from('rspauth=ea40f60335c427b5527b84dbabcdfffd')),
    Buffer.alloc(0),
  )
  assert.equal(client.isComplete, true)
  assert.equal(client.layer, undefined)
})

test('DIGEST-MD5 digests what ISO 8859-1 can hold in that character set, as Cyrus SASL does', () => {
  const key = sessionKeyOf(RECORDED_NARROW)
  assert.equal(responseOf(RECORDED_NARROW, key, 'client'), RECORDED_NARROW.response)
})

test('PLAIN makes and takes the messages of the RFC’s examples', async () => {
  // RFC 4616 §4.
  const tim = createSaslClient('PLAIN', clientOptions('tim', 'tanstaaftanstaaf'))
  assert.equal(tim.isComplete, false)
  assert.equal(String(await tim.start()), '\0tim\0tanstaaftanstaaf')
  assert.equal(tim.isComplete, true)
  const credentials = { username: 'Kurt', password: 'xipj3plmq', authzid: 'Ursel' }
  const client = createSaslClient('PLAIN', { ...clientOptions('', ''), credentials })
  assert.equal(String(await client.start()), 'Ursel\0Kurt\0xipj3plmq')
  const server = createSaslServer('PLAIN', {
    password: () => 'xipj3plmq',
    service: 'libvirt',
    host: 'localhost',
    layer: 'none',
  })
  // Acting as somebody else is not allowed here.
  await assert.rejects(server.step(await client.start()), { code: 'ERR_SASL_CREDENTIALS' })
})

test('RC4 has the key stream of RFC 6229', () => {
  // §2: key lengths of 40, 56 and 128 bits, the first 32 bytes.
  const cases = [
    ['0102030405', 'b2396305f03dc027ccc3524a0a1118a86982944f18fc82d589c403a47a0d0919'],
    ['01020304050607', '293f02d47f37c9b633f2af5285feb46be620f1390d19bd84e2e0fd752031afc1'],
    ['0102030405060708090a0b0c0d0e0f10', '9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c'],
  ] as const
  for (const [key, stream] of cases) {
    const rc4 = new Rc4(Buffer.from(key, 'hex'))
    const parts = [rc4.update(Buffer.alloc(7)), rc4.update(Buffer.alloc(0)), rc4.update(Buffer.alloc(25))]
    assert.equal(Buffer.concat(parts).toString('hex'), stream)
  }
})

test('SASLprep makes the texts of the RFC’s examples', () => {
  // RFC 4013 §3; the last of them is of both directions, which is not looked at.
  assert.equal(prepared('I\u00adX'), 'IX')
  assert.equal(prepared('user'), 'user')
  assert.equal(prepared('USER'), 'USER')
  assert.equal(prepared('\u00aa'), 'a')
  assert.equal(prepared('\u2168'), 'IX')
  assert.equal(prepared('a\u00a0b\u3000c'), 'a b c')
  for (const text of ['\u0007', '', '\u00ad', 'a\ue000', 'a\u200e', 'a\ufdd0', 'a\ud800', 'a\u{e0001}'])
    assert.throws(() => prepared(text), { code: 'ERR_SASL_CREDENTIALS' }, JSON.stringify(text))
})
