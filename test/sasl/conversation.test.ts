import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { responseOf, sessionKeyOf } from '../../src/sasl/digest-message.ts'
import {
  chooseMechanism,
  createSaslClient,
  createSaslServer,
  SASL_MECHANISMS,
  type SaslClient,
  SaslError,
} from '../../src/sasl/index.ts'
import { clientOptions, converse, serverOf, serverOptions, USERS } from './support.ts'

const SCRAMS = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']

for (const mechanism of SASL_MECHANISMS) {
  test(`${mechanism}: a client and a server that know the password understand each other`, async () => {
    for (const [username, password] of Object.entries(USERS)) {
      const server = serverOf(mechanism)
      const client = createSaslClient(mechanism, clientOptions(username, password))
      assert.equal(client.isComplete, false)
      assert.equal(server.username, undefined)
      await converse(client, server)
      assert.equal(server.username, username)
      assert.equal(client.mechanism, mechanism)
      assert.deepEqual([client.layer, server.layer], [undefined, undefined])
    }
  })

  test(`${mechanism}: a wrong password, a wrong name and somebody else’s identity do not get in`, async () => {
    for (const credentials of [
      { username: 'alice', password: 'wrong' },
      { username: 'alice', password: 'pencil ' },
      { username: 'nobody', password: 'pencil' },
      { username: '__proto__', password: 'x' },
      { username: 'alice', password: 'pencil', authzid: 'zoë' },
    ]) {
      const server = serverOf(mechanism)
      const client = createSaslClient(mechanism, { ...clientOptions('', ''), credentials })
      await assert.rejects(converse(client, server), { code: 'ERR_SASL_CREDENTIALS' })
      assert.equal(server.username, undefined)
      // No second try in the same conversation.
      await assert.rejects(server.step(Buffer.from('again')), { code: 'ERR_SASL_MALFORMED' })
    }
  })

  test(`${mechanism}: one may act as oneself`, async () => {
    const credentials = { username: 'a,b=c', password: USERS['a,b=c'] ?? '', authzid: 'a,b=c' }
    const server = serverOf(mechanism)
    await converse(createSaslClient(mechanism, { ...clientOptions('', ''), credentials }), server)
    assert.equal(server.username, 'a,b=c')
  })

  test(`${mechanism}: credentials that are missing or cannot be carried are refused before anything is sent`, () => {
    for (const [username, password] of [
      ['', 'x'],
      ['x', ''],
      ['a\0b', 'x'],
      ['x', 'line\n'],
      ['x', '\ud800'],
    ] as const)
      assert.throws(() => createSaslClient(mechanism, clientOptions(username, password)), {
        code: 'ERR_SASL_CREDENTIALS',
      })
  })

  test(`${mechanism}: messages that are too long are refused on both sides`, async () => {
    const long = Buffer.alloc(65_537, 'x')
    const tooLong = { code: 'ERR_SASL_MALFORMED', message: /65537 bytes|no challenge/ }
    const client = createSaslClient(mechanism, clientOptions('alice', 'pencil'))
    await client.start()
    await assert.rejects(async () => await client.step(long), tooLong)
    const server = serverOf(mechanism)
    if (mechanism === 'DIGEST-MD5') await server.step(undefined)
    await assert.rejects(server.step(long), tooLong)
  })
}

test('a server without a first response asks for it', async () => {
  for (const mechanism of SASL_MECHANISMS) {
    const server = serverOf(mechanism)
    const { complete, data } = await server.step(undefined)
    assert.equal(complete, false)
    if (mechanism !== 'DIGEST-MD5') assert.deepEqual(data, Buffer.alloc(0))
  }
  const late = createSaslClient('PLAIN', clientOptions('alice', 'pencil'))
  assert.equal(String(await late.step(Buffer.alloc(0))), '\0alice\0pencil')
})

test('a server takes a password as it is or as SASLprep has it, where it sees or derives it', async () => {
  for (const mechanism of [...SCRAMS, 'PLAIN'])
    for (const password of ['pass² Ⅸ', 'pass2 IX']) {
      const server = serverOf(mechanism)
      await converse(createSaslClient(mechanism, clientOptions('ninth', password)), server)
      assert.equal(server.username, 'ninth')
    }
})

test('a server that does not know the password is found out', async () => {
  for (const mechanism of SCRAMS) {
    const client = createSaslClient(mechanism, clientOptions('alice', 'pencil'))
    const [, nonce] = /r=(.*)$/.exec(String(await client.start())) ?? []
    await client.step(Buffer.from(`r=${nonce}more,s=QSXCR+Q6sek8bf92,i=4096`))
    const forged = Buffer.from('v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=')
    await assert.rejects(async () => await client.step(forged), { code: 'ERR_SASL_SERVER' })
    assert.equal(client.isComplete, false)
    await assert.rejects(async () => await client.step(forged), { code: 'ERR_SASL_MALFORMED' })
  }
  const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil', 'required'))
  await client.step(Buffer.from('nonce="x",algorithm=md5-sess,qop="auth-conf",cipher="rc4"'))
  await assert.rejects(async () => await client.step(Buffer.from(`rspauth=${'0'.repeat(32)}`)), {
    code: 'ERR_SASL_SERVER',
  })
  assert.deepEqual([client.isComplete, client.layer], [false, undefined])
})

test('SCRAM: what the server says is checked before it costs anything', async () => {
  const begin = async (): Promise<[SaslClient, string]> => {
    const client = createSaslClient('SCRAM-SHA-256', clientOptions('alice', 'pencil'))
    return [client, /r=(.*)$/.exec(String(await client.start()))?.[1] ?? '']
  }
  for (const [rest, code] of [
    ['more,s=QSXC,i=1000001', 'ERR_SASL_MALFORMED'],
    ['more,s=QSXC,i=4095', 'ERR_SASL_MALFORMED'],
    ['more,s=QSXC,i=0x1000', 'ERR_SASL_MALFORMED'],
    ['more,s=QSXC,i=5e3', 'ERR_SASL_MALFORMED'],
    ['more,s=QSXC,i=', 'ERR_SASL_MALFORMED'],
    ['more,i=4096,s=QSXC', 'ERR_SASL_MALFORMED'],
    ['more,s=QSX,i=4096', 'ERR_SASL_MALFORMED'],
    ['more,s=,i=4096', 'ERR_SASL_MALFORMED'],
    ['more,s=!,i=4096', 'ERR_SASL_MALFORMED'],
    [',s=QSXC,i=4096', 'ERR_SASL_SERVER'],
    [`${'x'.repeat(2000)},s=QSXC,i=4096`, 'ERR_SASL_SERVER'],
  ] as const) {
    const [client, nonce] = await begin()
    await assert.rejects(async () => await client.step(Buffer.from(`r=${nonce}${rest}`)), { code }, rest)
  }
  for (const [text, code] of [
    ['r=other,s=QSXC,i=4096', 'ERR_SASL_SERVER'],
    ['m=x,r=other,s=QSXC,i=4096', 'ERR_SASL_MALFORMED'],
    ['e=unknown-user', 'ERR_SASL_MALFORMED'],
    ['\xff', 'ERR_SASL_MALFORMED'],
  ] as const) {
    const [client] = await begin()
    await assert.rejects(async () => await client.step(Buffer.from(text, 'latin1')), { code })
  }
  const [client, nonce] = await begin()
  await client.step(Buffer.from(`r=${nonce}more,s=QSXC,i=4096,x=an extension`))
  await assert.rejects(async () => await client.step(Buffer.from('e=invalid-proof')), {
    code: 'ERR_SASL_CREDENTIALS',
    message: /invalid-proof/,
  })
})

test('SCRAM: a second message while the first is worked on is refused', async () => {
  const client = createSaslClient('SCRAM-SHA-256', clientOptions('alice', 'pencil'))
  const [, nonce] = /r=(.*)$/.exec(String(await client.start())) ?? []
  const message = Buffer.from(`r=${nonce}more,s=QSXC,i=4096`)
  const first = client.step(message)
  await assert.rejects(async () => await client.step(message), { code: 'ERR_SASL_MALFORMED' })
  await first
})

test('SCRAM: a server refuses messages of another form, another nonce or another header', async () => {
  for (const text of [
    'n,,n=alice',
    'p=tls-unique,,n=alice,r=x',
    'n,,n=a=2Xb,r=x',
    'n,,m=x,n=alice,r=x',
    `n,,n=alice,r=${'x'.repeat(2000)}`,
    '',
  ])
    await assert.rejects(
      serverOf('SCRAM-SHA-256').step(Buffer.from(text)),
      { code: 'ERR_SASL_MALFORMED' },
      text,
    )
  for (const change of [
    (text: string) => text.replace('c=biws', 'c=eSws'),
    (text: string) => text.replace(',r=', ',r=x'),
    (text: string) => text.replace(/,p=.*/, ''),
    (text: string) => text.replace(/,p=.*/, ',p=!'),
  ]) {
    const server = serverOf('SCRAM-SHA-256')
    const client = createSaslClient('SCRAM-SHA-256', clientOptions('alice', 'pencil'))
    const { data } = await server.step(await client.start())
    const final = String(await client.step(data ?? Buffer.alloc(0)))
    await assert.rejects(server.step(Buffer.from(change(final))), { code: 'ERR_SASL_MALFORMED' })
    assert.equal(server.username, undefined)
  }
})

test('DIGEST-MD5: a challenge that is not whole, says things twice or offers nothing strong is refused', async () => {
  const good = 'nonce="x",algorithm=md5-sess,qop="auth,auth-conf",cipher="rc4-40,rc4,3des"'
  for (const [challenge, code] of [
    ['', 'ERR_SASL_MALFORMED'],
    ['nonce="x"', 'ERR_SASL_MALFORMED'],
    ['algorithm=md5-sess', 'ERR_SASL_MALFORMED'],
    [`${good},nonce="y"`, 'ERR_SASL_MALFORMED'],
    [`${good},realm="a`, 'ERR_SASL_MALFORMED'],
    [`${good},maxbuf=16`, 'ERR_SASL_MALFORMED'],
    [`${good},maxbuf=16777216`, 'ERR_SASL_MALFORMED'],
    [`${good},maxbuf=-1`, 'ERR_SASL_MALFORMED'],
    [`${good},charset=utf-8,realm="\xff"`, 'ERR_SASL_MALFORMED'],
    [good.replace('rc4,3des', 'des'), 'ERR_SASL_MECHANISM'],
    [good.replace(',auth-conf', ''), 'ERR_SASL_MECHANISM'],
  ] as const) {
    const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil', 'required'))
    const message = Buffer.from(challenge, 'latin1')
    await assert.rejects(async () => await client.step(message), { code }, challenge)
  }
  const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil', 'required'))
  const answer = await client.step(
    Buffer.from(` ,, ${good} , realm="a\\"b\t",realm=other,unknown=1,unknown=2`),
  )
  assert.match(String(answer), /realm="a\\"b\t",.*cipher=rc4,maxbuf=65536$/)
})

test('DIGEST-MD5: without UTF-8 on the server’s side names are ISO 8859-1, or cannot be sent', async () => {
  const challenge = Buffer.from('realm="\xe9",nonce="x",algorithm=md5-sess', 'latin1')
  const client = createSaslClient('DIGEST-MD5', clientOptions('zoë', 'x'))
  const answer = (await client.step(challenge)) ?? Buffer.alloc(0)
  assert.match(answer.toString('latin1'), /^username="zo\xeb",realm="\xe9"/)
  assert.doesNotMatch(answer.toString('latin1'), /charset/)
  const other = createSaslClient('DIGEST-MD5', clientOptions('☃', 'x'))
  await assert.rejects(async () => await other.step(challenge), { code: 'ERR_SASL_CREDENTIALS' })
})

test('DIGEST-MD5: the realm is the one that was asked for, else the server’s', async () => {
  for (const [realm, expected] of [
    [undefined, 'localhost'],
    ['ours', 'ours'],
  ] as const) {
    const credentials = { username: 'alice', password: 'pencil', ...(realm !== undefined && { realm }) }
    const client = createSaslClient('DIGEST-MD5', { ...clientOptions('', ''), credentials })
    const server = serverOf('DIGEST-MD5')
    const { data } = await server.step(undefined)
    const answer = await client.step(data ?? Buffer.alloc(0))
    assert.ok(String(answer).includes(`realm="${expected}"`))
    assert.equal((await server.step(answer)).complete, true)
  }
})

test('DIGEST-MD5: a response to another challenge, service or protection is refused', async () => {
  for (const [from, to] of [
    [/nonce="[^"]*"/, 'nonce="x"'],
    ['nc=00000001', 'nc=00000002'],
    ['libvirt/', 'imap/'],
    ['qop=auth', 'qop=auth-conf'],
    [/,cnonce="[^"]*"/, ''],
    [/username="[^"]*",/, ''],
  ] as const) {
    const client = createSaslClient('DIGEST-MD5', clientOptions('alice', 'pencil'))
    const server = serverOf('DIGEST-MD5')
    const { data } = await server.step(undefined)
    const answer = String(await client.step(data ?? Buffer.alloc(0)))
    const changed = Buffer.from(answer.replace(from, to))
    await assert.rejects(server.step(changed), { code: 'ERR_SASL_MALFORMED' }, String(from))
  }
})

test('DIGEST-MD5: who is not known does not get in with an empty password', async () => {
  const server = serverOf('DIGEST-MD5')
  const { data } = await server.step(undefined)
  const nonce = /nonce="([^"]*)"/.exec(String(data))?.[1] ?? ''
  const uri = 'libvirt/localhost'
  const who = { username: 'nobody', realm: '', password: '', authzid: undefined }
  const digest = { ...who, nonce, cnonce: 'x', uri, qop: 'auth' } as const
  const response = responseOf(digest, sessionKeyOf(digest), 'client')
  const message = `username="nobody",nonce="${nonce}",cnonce="x",nc=00000001,digest-uri="${uri}",response=${response}`
  await assert.rejects(server.step(Buffer.from(message)), { code: 'ERR_SASL_CREDENTIALS' })
  assert.equal(server.username, undefined)
})

test('any bytes are a typed error on both sides, and let nobody in', async () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ maxLength: 100 }).map((text) => Buffer.from(text)),
    fc
      .array(
        fc.tuple(
          fc.constantFrom(
            'r',
            's',
            'i',
            'v',
            'n',
            'c',
            'p',
            'e',
            'nonce',
            'qop',
            'realm',
            'cipher',
            'charset',
          ),
          fc.string(),
        ),
      )
      .map((pairs) => Buffer.from(pairs.map(([key, value]) => `${key}=${value}`).join(','))),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SASL_MECHANISMS),
      fc.array(message, { maxLength: 3 }),
      async (mechanism, all) => {
        const layer = mechanism === 'DIGEST-MD5' && all.length === 2 ? 'required' : 'none'
        const client = createSaslClient(mechanism, clientOptions('alice', 'pencil', layer))
        const server = serverOf(mechanism, layer)
        await client.start()
        for (const side of [client, server])
          try {
            for (const each of all) await side.step(each)
          } catch (error) {
            assert.ok(error instanceof SaslError, String(error))
          }
        assert.equal(server.username, undefined)
        assert.equal(client.isComplete, mechanism === 'PLAIN')
      },
    ),
    { numRuns: 1000 },
  )
})

test('messages of hostile length and form are refused at once', async () => {
  // Nothing here may take more than linear time.
  const began = performance.now()
  for (const part of ['a', ' ', ',', '=', '"', '\\', 'a=,', 'a=" ', 'a ', 'realm=a,', '="\\"'])
    for (const mechanism of SASL_MECHANISMS) {
      const message = Buffer.from(part.repeat(Math.floor(65_000 / part.length)))
      const client = createSaslClient(mechanism, clientOptions('alice', 'pencil'))
      await client.start()
      await assert.rejects(async () => await client.step(message), SaslError)
      const server = serverOf(mechanism)
      if (mechanism === 'DIGEST-MD5') await server.step(undefined)
      await assert.rejects(server.step(message), SaslError)
    }
  assert.ok(performance.now() - began < 5000)
})

test('what a peer has sent is shown short, and without what a terminal would obey', async () => {
  const text = `\u001b[2J${'x'.repeat(10_000)}`
  assert.throws(
    () => chooseMechanism(text, { layer: 'none' }),
    (error: Error) => error.message.length < 300 && !error.message.includes('\u001b'),
  )
})

test('the best mechanism that fits is chosen, or the one that was asked for', () => {
  const all = 'PLAIN,DIGEST-MD5 SCRAM-SHA-1,SCRAM-SHA-256,SCRAM-SHA-512'
  assert.equal(chooseMechanism(all, { layer: 'none' }), 'SCRAM-SHA-512')
  assert.equal(
    chooseMechanism('PLAIN,DIGEST-MD5 SCRAM-SHA-1,SCRAM-SHA-256', { layer: 'none' }),
    'SCRAM-SHA-256',
  )
  assert.equal(chooseMechanism('PLAIN,DIGEST-MD5', { layer: 'none' }), 'DIGEST-MD5')
  assert.equal(chooseMechanism(all, { layer: 'required' }), 'DIGEST-MD5')
  assert.equal(chooseMechanism('plain', { layer: 'none', wanted: 'Plain' }), 'PLAIN')
  for (const [offered, options] of [
    ['PLAIN SCRAM-SHA-256', { layer: 'required' }],
    ['GSSAPI SCRAM-SHA-256-PLUS', { layer: 'none' }],
    ['', { layer: 'none' }],
    ['PLAIN', { layer: 'none', wanted: 'SCRAM-SHA-1' }],
    [all, { layer: 'required', wanted: 'SCRAM-SHA-1' }],
  ] as const)
    assert.throws(() => chooseMechanism(offered, options), { code: 'ERR_SASL_MECHANISM' })
})

test('a mechanism that is not known, or cannot encrypt where that is required, is not made', () => {
  for (const [mechanism, layer] of [
    ['GSSAPI', 'none'],
    ['PLAIN', 'required'],
    ['SCRAM-SHA-512', 'required'],
  ] as const) {
    const expected = { code: 'ERR_SASL_MECHANISM' }
    assert.throws(() => createSaslClient(mechanism, clientOptions('alice', 'pencil', layer)), expected)
    assert.throws(() => createSaslServer(mechanism, serverOptions(layer)), expected)
  }
})
