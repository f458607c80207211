import { execFile, spawn } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, stop, untilListens } from './libvirtd.ts'
import { tempDir } from './peers.ts'

export const SSHD = '/usr/sbin/sshd'
export const SSH = '/usr/bin/ssh'
export const SSH_HELPER = '/usr/bin/virt-ssh-helper'
export const NETCAT = '/usr/bin/nc'

/** A real sshd on loopback, whose /run/libvirt is the socket folder of one test daemon. */
export interface TestSshd extends AsyncDisposable {
  readonly port: number
  /** The private key that it lets in. */
  readonly keyfile: string
  /** A file with its host key. */
  readonly knownHosts: string
}

export async function startSshd(libvirtSockets: string): Promise<TestSshd> {
  const dir = tempDir()
  const path = (name: string): string => join(dir.path, name)
  for (const name of ['host', 'client'])
    await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path(name)])
  copyFileSync(path('client.pub'), path('authorized'))
  const port = await freePort()
  const { stdout } = await promisify(execFile)('cat', [path('host.pub')])
  writeFileSync(path('known_hosts'), `[127.0.0.1]:${port} ${stdout}[localhost]:${port} ${stdout}`)
  writeFileSync(
    path('sshd_config'),
    `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${path('host')}\nAuthorizedKeysFile ${path('authorized')}\n` +
      `PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nAllowUsers ${userInfo().username}\n`,
  )
  const script =
    'set -e; mkdir -p /run/libvirt /run/sshd; mount --bind "$1" /run/libvirt; mount -t tmpfs -o mode=755 tmpfs /run/sshd; ' +
    'exec "$0" -D -e -f "$2"'
  const child = spawn('unshare', ['-m', 'sh', '-c', script, SSHD, libvirtSockets, path('sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000)
  })
  await untilListens(port, child, () => log)
  return {
    port,
    keyfile: path('client'),
    knownHosts: path('known_hosts'),
    async [Symbol.asyncDispose]() {
      await stop(child)
      dir[Symbol.dispose]()
    },
  }
}
