import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { type ConnectOptions, connect, enums, remote } from '../../src/libvirt/index.ts'
import { Authority, OPENSSL } from '../support/certificates.ts'
import { LIBVIRTD, SASLPASSWD2, startLibvirtd, type TestDaemon, VIRSH } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'
import { NETCAT, SSH, SSH_HELPER, SSHD, startSshd, type TestSshd } from '../support/sshd.ts'

const run = promisify(execFile)
const live = needs(LIBVIRTD, VIRSH, OPENSSL, SASLPASSWD2, SSH, SSHD, SSH_HELPER, NETCAT)
const USERS = { alice: 'pencil ☃' }

/** What a connection is for: calls in both directions of trust, and events. */
async function useIt(options: ConnectOptions, daemon: TestDaemon): Promise<void> {
  await using connection = await connect(options)
  assert.equal(connection.uri, options.uri)
  const { dom } = await connection.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'test' })
  await using events = connection.events({ domain: ['lifecycle'] })
  await events.ready
  if (options.readOnly) {
    await assert.rejects(connection.call(remote.REMOTE_PROC_DOMAIN_SUSPEND, { dom }), {
      remoteCode: enums.virErrorNumber.VIR_ERR_OPERATION_DENIED,
    })
    await run(VIRSH, ['-c', daemon.uri, 'suspend', 'test'])
  } else await connection.call(remote.REMOTE_PROC_DOMAIN_SUSPEND, { dom })
  const { value } = await events.next()
  assert.equal(value.object === 'domain' && value.dom.name, 'test')
  await run(VIRSH, ['-c', daemon.uri, 'resume', 'test'])
  // More bytes than one packet of any layer below.
  const xml = `<domain type='test'><name>big</name><uuid>6269672d-0000-4000-8000-000000000000</uuid><description>${'x'.repeat(300_000)}</description><memory>8192</memory><os><type>hvm</type></os></domain>`
  if (!options.readOnly) {
    const { dom: big } = await connection.call(remote.REMOTE_PROC_DOMAIN_DEFINE_XML, { xml })
    const got = await connection.call(remote.REMOTE_PROC_DOMAIN_GET_XML_DESC, { dom: big, flags: 0 })
    assert.ok(got.xml.length > 300_000)
    await connection.call(remote.REMOTE_PROC_DOMAIN_UNDEFINE, { dom: big })
  }
}

let pki: { path: string } & Disposable
let authority: Authority
let daemon: TestDaemon
let sshd: TestSshd
const pkiDir = (name: string): string => join(pki.path, name)

before(async () => {
  if (live.skip) return
  pki = tempDir()
  authority = await Authority.create(pkiDir('ca'), 'the authority')
  await authority.issue(pkiDir('client'), 'client', { name: 'a client' })
  copyFileSync(join(authority.dir, 'cacert.pem'), join(pkiDir('client'), 'cacert.pem'))
  daemon = await startLibvirtd()
  sshd = await startSshd(join(daemon.dir, 'run'))
})
after(async () => {
  if (live.skip) return
  await sshd?.[Symbol.asyncDispose]()
  await daemon?.[Symbol.asyncDispose]()
  pki[Symbol.dispose]()
})

test('unix: read-write and read-only', live, async () => {
  await useIt({ uri: daemon.uri }, daemon)
  await useIt({ uri: `test+unix:///default?socket=${daemon.readOnlySocketPath}`, readOnly: true }, daemon)
})

test('unix: SASL with each mechanism, and a wrong password is told apart', live, async () => {
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'DIGEST-MD5', 'PLAIN']) {
    await using other = await startLibvirtd(
      { auth_unix_rw: 'sasl' },
      { sasl: { mechanisms: mechanism, users: USERS } },
    )
    const credentials = { username: 'alice', password: USERS.alice }
    await using connection = await connect({ uri: other.uri, credentials })
    await connection.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
    await assert.rejects(connect({ uri: other.uri, credentials: { ...credentials, password: 'pen' } }), {
      code: 'ERR_LIBVIRT_AUTH_FAILED',
      message: /password is wrong/,
    })
  }
})

test('tcp without authentication, and nobody there', live, async () => {
  await using other = await startLibvirtd({ auth_tcp: 'none' }, { listen: 'tcp' })
  await useIt({ uri: `test+tcp://127.0.0.1:${other.port}/default` }, other)
  await other.process.kill('SIGTERM')
  await assert.rejects(connect({ uri: 'test+tcp://127.0.0.1:1/default' }), {
    code: 'ERR_LIBVIRT_CONNECT',
    message: /nobody listens/,
  })
})

test(
  'tcp with SASL: DIGEST-MD5 encrypts, credentials come from libvirt’s file, the environment or a callback',
  live,
  async () => {
    await using other = await startLibvirtd(
      { auth_tcp: 'sasl' },
      { listen: 'tcp', sasl: { mechanisms: 'SCRAM-SHA-256 DIGEST-MD5', users: USERS } },
    )
    const uri = `test+tcp://127.0.0.1:${other.port}/default`
    await useIt({ uri, credentials: { username: 'alice', password: USERS.alice } }, other)
    await useIt(
      {
        uri,
        credentials: ({ host, mechanism }) => {
          assert.deepEqual([host, mechanism], ['127.0.0.1', 'DIGEST-MD5'])
          return { username: 'alice', password: USERS.alice }
        },
      },
      other,
    )
    using dir = tempDir()
    const authFile = join(dir.path, 'auth.conf')
    writeFileSync(
      authFile,
      `[credentials-x]\nauthname=alice\npassword=${USERS.alice}\n[auth-libvirt-127.0.0.1]\ncredentials=x\n`,
    )
    const environment = { env: { ...process.env, LIBVIRT_AUTH_FILE: authFile }, uid: 0 }
    await useIt({ uri, environment }, other)
    await useIt({ uri: `${uri}?authfile=${authFile}` }, other)
    const named = { VIRBUS_LIBVIRT_USERNAME: 'alice', VIRBUS_LIBVIRT_PASSWORD: USERS.alice }
    await useIt({ uri, environment: { env: named, uid: 1 } }, other)
    await assert.rejects(connect({ uri, environment: { env: {}, uid: 1 } }), { code: 'ERR_LIBVIRT_AUTH' })
    await assert.rejects(connect({ uri, credentials: { username: 'alice', password: 'wrong' } }), {
      code: 'ERR_LIBVIRT_AUTH_FAILED',
    })
    await assert.rejects(connect({ uri: `${uri}?auth=sasl.scram-sha-256` }), { code: 'ERR_LIBVIRT_AUTH' })
  },
)

test('tls: client certificate, with and without SASL inside', live, async () => {
  await authority.issue(pkiDir('server'), 'server', {
    name: 'server',
    alternatives: 'DNS:localhost,IP:127.0.0.1',
  })
  const files = tlsFiles('server')
  await using plain = await startLibvirtd({ ...files, auth_tls: 'none' }, { listen: 'tls' })
  for (const host of ['localhost', '127.0.0.1'])
    await useIt({ uri: `test+tls://${host}:${plain.port}/default?pkipath=${pkiDir('client')}` }, plain)
  const versions = 'tls_priority=NORMAL:-VERS-ALL:%2BVERS-TLS1.2'
  await useIt(
    { uri: `test://localhost:${plain.port}/default?pkipath=${pkiDir('client')}&${versions}` },
    plain,
  )
  await using sasl = await startLibvirtd(
    { ...files, auth_tls: 'sasl' },
    { listen: 'tls', sasl: { mechanisms: 'SCRAM-SHA-256', users: USERS } },
  )
  const uri = `test+tls://localhost:${sasl.port}/default?pkipath=${pkiDir('client')}`
  await useIt({ uri, credentials: { username: 'alice', password: USERS.alice } }, sasl)
})

test('tls: each thing that can be wrong with a certificate has its own code', live, async () => {
  await authority.issue(pkiDir('server'), 'server', { name: 'server', alternatives: 'DNS:localhost' })
  await authority.issue(pkiDir('expired'), 'server', {
    name: 'server',
    alternatives: 'DNS:localhost',
    days: -1,
  })
  const stranger = await Authority.create(pkiDir('stranger'), 'the authority')
  await stranger.issue(stranger.dir, 'client', { name: 'a client' })
  mkdirSync(pkiDir('forged'))
  for (const name of ['clientcert.pem', 'clientkey.pem'])
    copyFileSync(join(stranger.dir, name), join(pkiDir('forged'), name))
  mkdirSync(pkiDir('none'))
  for (const name of ['forged', 'none'])
    copyFileSync(join(authority.dir, 'cacert.pem'), join(pkiDir(name), 'cacert.pem'))
  await using other = await startLibvirtd({ ...tlsFiles('server'), auth_tls: 'none' }, { listen: 'tls' })
  await using old = await startLibvirtd(
    { ...tlsFiles('expired'), auth_tls: 'none', tls_no_sanity_certificate: 1 },
    { listen: 'tls' },
  )
  const cases: [string, string, string][] = [
    [`localhost:${other.port}`, 'stranger', 'ERR_LIBVIRT_TLS_UNTRUSTED'],
    [`localhost:${old.port}`, 'client', 'ERR_LIBVIRT_TLS_EXPIRED'],
    [`127.0.0.1:${other.port}`, 'client', 'ERR_LIBVIRT_TLS_HOSTNAME'],
    [`localhost:${other.port}`, 'forged', 'ERR_LIBVIRT_TLS_REJECTED'],
    [`localhost:${other.port}`, 'none', 'ERR_LIBVIRT_TLS_REJECTED'],
    [`localhost:${other.port}`, 'nowhere', 'ERR_LIBVIRT_TLS'],
  ]
  for (const [host, folder, code] of cases) {
    const uri = `test+tls://${host}/default?pkipath=${pkiDir(folder)}`
    await assert.rejects(connect({ uri }), { code }, uri)
    for (const version of ['TLS1.2', 'TLS1.3'])
      await assert.rejects(
        connect({ uri: `${uri}&tls_priority=NORMAL:-VERS-ALL:%2BVERS-${version}` }),
        { code },
        uri,
      )
  }
  await using connection = await connect({
    uri: `test+tls://127.0.0.1:${other.port}/default?pkipath=${pkiDir('client')}&no_verify=1`,
  })
  await connection.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
})

test('ssh: through virt-ssh-helper and through netcat, read-write and read-only', live, async () => {
  const base = `test+ssh://127.0.0.1:${sshd.port}/default?keyfile=${sshd.keyfile}&known_hosts=${sshd.knownHosts}`
  for (const more of ['', '&proxy=native', '&proxy=netcat', '&netcat=nc', `&socket=${daemon.socketPath}`])
    await useIt({ uri: `${base}${more}` }, daemon)
  for (const more of ['&proxy=native', '&proxy=netcat'])
    await useIt({ uri: `${base}${more}`, readOnly: true }, daemon)
})

test('ssh: a wrong key, an unknown host and no helper are errors that say what to do', live, async () => {
  using dir = tempDir()
  const key = join(dir.path, 'other')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  writeFileSync(join(dir.path, 'empty'), '')
  const base = `test+ssh://127.0.0.1:${sshd.port}/default`
  const good = `keyfile=${sshd.keyfile}&known_hosts=${sshd.knownHosts}`
  const cases: [string, RegExp][] = [
    [`${base}?keyfile=${key}&known_hosts=${sshd.knownHosts}`, /Permission denied.*ssh-copy-id/s],
    [`${base}?keyfile=${sshd.keyfile}&known_hosts=${join(dir.path, 'empty')}`, /Host key.*accept its key/s],
    [`${base}?${good}&netcat=/no/such`, /no\/such/],
    [`${base}?${good}&command=/no/such/ssh`, /cannot start \/no\/such\/ssh/],
  ]
  for (const [uri, message] of cases)
    await assert.rejects(connect({ uri, environment: { env: { HOME: dir.path }, uid: 0 } }), {
      code: 'ERR_LIBVIRT_COMMAND',
      message,
    })
})

test('ext: any program whose input and output are the connection', live, async () => {
  using dir = tempDir()
  const command = join(dir.path, 'there')
  writeFileSync(command, `#!/bin/sh\nexec nc -U ${daemon.socketPath}\n`)
  chmodSync(command, 0o755)
  await useIt({ uri: `test+ext:///default?command=${command}` }, daemon)
})

function tlsFiles(folder: string): Record<string, string> {
  const dir = pkiDir(folder)
  return {
    ca_file: join(authority.dir, 'cacert.pem'),
    cert_file: join(dir, 'servercert.pem'),
    key_file: join(dir, 'serverkey.pem'),
  }
}
