import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Authority, OPENSSL } from './support/certificates.ts'
import { LIBVIRTD, startLibvirtd, VIRSH } from './support/libvirtd.ts'
import { needs, tempDir } from './support/peers.ts'
import { LineProcess } from './support/processes.ts'
import { SSH, SSH_HELPER, SSHD, startSshd } from './support/sshd.ts'

const run = promisify(execFile)
const EXAMPLES = join(import.meta.dirname, '../examples')

/** An example as a user runs it, on the sources of this project. */
function example(name: string, ...args: string[]): LineProcess {
  return new LineProcess(process.execPath, ['--conditions=virbus-source', join(EXAMPLES, name), ...args])
}

test(
  'three-hosts.ts prints events of three hosts over three transports, in 15 lines',
  needs(LIBVIRTD, VIRSH, OPENSSL, SSH, SSHD, SSH_HELPER),
  async () => {
    assert.ok(readFileSync(join(EXAMPLES, 'three-hosts.ts'), 'utf8').trimEnd().split('\n').length <= 15)
    using pki = tempDir()
    const authority = await Authority.create(join(pki.path, 'ca'), 'an authority')
    await authority.issue(pki.path, 'server', { name: 'localhost', alternatives: 'DNS:localhost' })
    await authority.issue(pki.path, 'client', { name: 'a client' })
    copyFileSync(join(authority.dir, 'cacert.pem'), join(pki.path, 'cacert.pem'))
    const files = {
      ca_file: join(pki.path, 'cacert.pem'),
      cert_file: join(pki.path, 'servercert.pem'),
      key_file: join(pki.path, 'serverkey.pem'),
    }
    await using here = await startLibvirtd()
    await using byTls = await startLibvirtd({ ...files, auth_tls: 'none' }, { listen: 'tls' })
    await using bySsh = await startLibvirtd()
    await using sshd = await startSshd(join(bySsh.dir, 'run'))
    const hosts = [
      { daemon: here, uri: here.uri },
      { daemon: byTls, uri: `test+tls://localhost:${byTls.port}/default?pkipath=${pki.path}` },
      {
        daemon: bySsh,
        uri: `test+ssh://127.0.0.1:${sshd.port}/default?keyfile=${sshd.keyfile}&known_hosts=${sshd.knownHosts}`,
      },
    ]
    await using watching = example('three-hosts.ts', ...hosts.map(({ uri }) => uri))
    await watching.lines(/ connected$/, 3)
    for (const { daemon, uri } of hosts) {
      const isSeen = (): boolean =>
        watching.stdout.some((line) => line.startsWith(`${uri} test VIR_DOMAIN_EVENT_`))
      while (!isSeen())
        for (const what of ['suspend', 'resume']) await run(VIRSH, ['-c', daemon.uri, what, 'test'])
    }
    await watching.lines(/ test VIR_DOMAIN_EVENT_SUSPENDED$/, 3)
    await watching.lines(/ test VIR_DOMAIN_EVENT_RESUMED$/, 3)
  },
)

test('list-guests.ts lists what there is', needs(LIBVIRTD, VIRSH), async () => {
  await using daemon = await startLibvirtd()
  await using listing = example('list-guests.ts', daemon.uri)
  await listing.lines(
    /^test VIR_DOMAIN_RUNNING 2 vCPU 2097152 KiB \{ 'state.state': 1, 'state.reason': 0 \}$/,
  )
})

test('save-volume.ts saves a volume, and says what is wrong', needs(LIBVIRTD, VIRSH), async () => {
  await using daemon = await startLibvirtd()
  const uri = `qemu+unix:///system?socket=${daemon.socketPath}`
  const folder = join(daemon.dir, 'pool')
  mkdirSync(folder)
  writeFileSync(join(folder, 'v.img'), 'what is in it')
  const args = ['-q', '-c', uri, 'pool-create-as', 'p', 'dir', '--target', folder]
  await run(VIRSH, args)
  const file = join(daemon.dir, 'copy')
  await using saving = example('save-volume.ts', uri, 'p', 'v.img', file)
  await saving.lines(/copy: 13 bytes/)
  assert.equal(readFileSync(file, 'utf8'), 'what is in it')
  await using failing = example('save-volume.ts', uri, 'no-such', 'v.img', file)
  await failing.lines(/^ERR_LIBVIRT_REMOTE: .*no-such/, 1, 'stderr')
})

test('test-your-tool.ts sees what a dying daemon does', async () => {
  await using trying = example('test-your-tool.ts')
  await trying.lines(/^ERR_LIBVIRT_CLOSED may have executed: true$/)
  await trying.lines(/^it is paused$/)
})

test('every example is run by a test here', () => {
  const here = readFileSync(import.meta.filename, 'utf8')
  for (const name of readdirSync(EXAMPLES)) assert.ok(here.includes(`example('${name}'`), name)
})
