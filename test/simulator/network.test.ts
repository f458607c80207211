import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { connect, remote } from '../../src/libvirt/index.ts'
import type { TlsListenOptions } from '../../src/simulator/index.ts'
import { Authority, OPENSSL } from '../support/certificates.ts'
import { VIRSH } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'
import { RawClient } from './raw-client.ts'
import { TestSimulator } from './support.ts'

const live = needs(VIRSH, OPENSSL)
const SASL = { users: { alice: 'pencil ☃' } }
let pki: { path: string } & Disposable
let tls: TlsListenOptions

before(async () => {
  if (live.skip) return
  pki = tempDir()
  const authority = await Authority.create(join(pki.path, 'ca'), 'an authority')
  await authority.issue(pki.path, 'server', { name: 'localhost', alternatives: 'DNS:localhost' })
  await authority.issue(pki.path, 'client', { name: 'a client' })
  copyFileSync(join(authority.dir, 'cacert.pem'), join(pki.path, 'cacert.pem'))
  const read = (name: string): Buffer => readFileSync(join(pki.path, name))
  tls = { key: read('serverkey.pem'), cert: read('servercert.pem'), ca: read('cacert.pem') }
})
after(() => pki?.[Symbol.dispose]())

async function virsh(uri: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(VIRSH, ['-q', '-c', uri, ...args], { timeout: 20_000 })
  return stdout.trim()
}

/** libvirt's authentication file for one user. */
function authFile(dir: string, password: string): string {
  const path = join(dir, `auth-${Buffer.from(password).toString('hex')}`)
  writeFileSync(
    path,
    `[credentials-x]\nauthname=alice\npassword=${password}\n[auth-libvirt-localhost]\ncredentials=x\n[auth-libvirt-default]\ncredentials=x\n`,
  )
  return path
}

test(
  'real virsh and our client reach it by TLS, and nobody without a good certificate does',
  live,
  async () => {
    await using there = await TestSimulator.start({ tls })
    const { simulator } = there
    const uri = `test+tls://localhost:${simulator.tls?.port}/default?pkipath=${pki.path}`
    assert.match(await virsh(uri, 'list'), /web-1 +running/)
    await using connection = await connect({ uri })
    assert.equal((await connection.listAllDomains()).length, 8)
    const stranger = await Authority.create(join(pki.path, 'stranger'), 'a stranger')
    await stranger.issue(stranger.dir, 'client', { name: 'a client' })
    copyFileSync(join(pki.path, 'cacert.pem'), join(stranger.dir, 'cacert.pem'))
    await assert.rejects(
      connect({ uri: `test+tls://localhost:${simulator.tls?.port}/default?pkipath=${stranger.dir}` }),
      {
        code: 'ERR_LIBVIRT_TLS_REJECTED',
      },
    )
    const socket = connectTcp(simulator.tls?.port ?? 0, '127.0.0.1')
    socket.on('error', () => {}).write('no handshake')
    await new Promise((resolve) => socket.once('close', resolve))
    assert.equal(simulator.stats.tlsRefused, 2)
  },
)

test(
  'real virsh and our client log in by SASL, by each way, and a wrong password does not',
  live,
  async () => {
    using dir = tempDir()
    await using there = await TestSimulator.start({ tls, tcp: {}, sasl: SASL })
    const { simulator } = there
    const uris = [
      simulator.uri,
      `test+tcp://localhost:${simulator.tcp?.port}/default`,
      `test+tls://localhost:${simulator.tls?.port}/default?pkipath=${pki.path}`,
    ]
    for (const uri of uris) {
      const withFile = (password: string): string =>
        `${uri}${uri.includes('?') ? '&' : '?'}authfile=${authFile(dir.path, password)}`
      assert.match(await virsh(withFile('pencil ☃'), 'list'), /web-1 +running/)
      await assert.rejects(virsh(withFile('pen'), 'list'), /authentication failed/)
      await using connection = await connect({
        uri,
        credentials: { username: 'alice', password: 'pencil ☃' },
      })
      assert.equal(await connection.getType(), 'TEST')
      await assert.rejects(connect({ uri, credentials: { username: 'alice', password: 'x' } }), {
        code: 'ERR_LIBVIRT_AUTH_FAILED',
      })
    }
  },
)

test('before the login nothing else is answered', async () => {
  await using there = await TestSimulator.start({ sasl: SASL })
  await using client = await RawClient.connect(there.simulator.path)
  for (const procedure of [remote.REMOTE_PROC_CONNECT_GET_URI, remote.REMOTE_PROC_CONNECT_CLOSE])
    assert.match((await client.refused(procedure, undefined)).message ?? '', /authentication required/)
  assert.deepEqual(await client.call(remote.REMOTE_PROC_AUTH_LIST, undefined), { types: [1] })
  const start = { mech: 'GSSAPI', nil: 1, data: Buffer.alloc(0) }
  assert.match(
    (await client.refused(remote.REMOTE_PROC_AUTH_SASL_START, start)).message ?? '',
    /authentication failed/,
  )
})
