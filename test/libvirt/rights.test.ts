import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, connect } from '../../src/libvirt/index.ts'
import { LIBVIRTD, startLibvirtd, type TestDaemon } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'

const NOBODY = 65_534
const live = needs(LIBVIRTD)
let daemon: TestDaemon

before(async () => {
  if (live.skip) return
  daemon = await startLibvirtd({
    auth_unix_ro: 'polkit',
    auth_unix_rw: 'polkit',
    unix_sock_ro_perms: '0777',
    unix_sock_rw_perms: '0700',
  })
  for (const folder of [daemon.dir, dirname(daemon.socketPath)]) chmodSync(folder, 0o755)
})
after(() => daemon?.[Symbol.asyncDispose]())

/** Runs as a user without rights; the kernel looks at the effective ids, and so does the daemon. */
async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}

const root = process.getuid?.() === 0 ? live : { skip: 'needs root, to become another user' }

test('a user whom the socket refuses is told of the group', root, async () => {
  await assert.rejects(
    asNobody(() => connect({ uri: daemon.uri })),
    { code: 'ERR_LIBVIRT_CONNECT', message: /permission denied: add this user to the group/ },
  )
})

test('a user whom polkit does not let in is told of the rule and the group', root, async () => {
  await assert.rejects(
    asNobody(() =>
      connect({ uri: `test+unix:///default?socket=${daemon.readOnlySocketPath}`, readOnly: true }),
    ),
    (error: Error & { code?: string; remoteCode?: number }) => {
      assert.equal(error.code, 'ERR_LIBVIRT_AUTH_DENIED', error.message)
      assert.match(error.message, /polkit rule.*org\.libvirt\.unix\.monitor.*group/)
      return true
    },
  )
})

test('the daemon of a user who has none yet is started', root, async () => {
  using dir = tempDir()
  chmodSync(dir.path, 0o777)
  // This process is nobody only in part, and a daemon that is root in part refuses to start.
  const daemonAsNobody = join(dir.path, 'daemon')
  writeFileSync(
    daemonAsNobody,
    `#!/bin/sh\nexec setpriv --reuid=${NOBODY} --regid=${NOBODY} --keep-groups ${LIBVIRTD} "$@"\n`,
  )
  chmodSync(daemonAsNobody, 0o755)
  const env = {
    XDG_RUNTIME_DIR: dir.path,
    HOME: dir.path,
    PATH: process.env['PATH'],
    VIRTD_PATH: daemonAsNobody,
  }
  const open = (): Promise<Connection> =>
    connect({ uri: 'qemu:///session', environment: { env, uid: NOBODY } })
  const connection = await asNobody(open)
  const pid = Number(readFileSync(join(dir.path, 'libvirt/libvirtd.pid'), 'utf8'))
  try {
    assert.equal(connection.uri, 'qemu:///session')
    assert.deepEqual(await connection.listAllDomains(), [])
    await connection.close()
    // The second finds the one that is there.
    const second = await asNobody(open)
    assert.equal(Number(readFileSync(join(dir.path, 'libvirt/libvirtd.pid'), 'utf8')), pid)
    await second.close()
  } finally {
    process.kill(pid, 'SIGTERM')
    while (isAlive(pid)) await delay(20)
  }
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !readFileSync(`/proc/${pid}/status`, 'utf8').includes('State:\tZ')
  } catch {
    // It has ended.
    return false
  }
}
