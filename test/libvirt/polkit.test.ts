import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { defineUntil, LIBVIRTD, startLibvirtd, type TestDaemon, VIRSH } from '../support/libvirtd.ts'
import { needs } from '../support/peers.ts'
import {
  DBUS_DAEMON,
  LIBVIRT_POLICY,
  POLKITD,
  startPolkit,
  type TestPolkit,
  type TestUser,
} from '../support/polkit.ts'
import { VIRBUS } from '../support/processes.ts'

const ROOT = join(import.meta.dirname, '../..')
const RULES = readFileSync(join(ROOT, 'contrib/polkit/50-virbus.rules'), 'utf8')
const UNIT = readFileSync(join(ROOT, 'contrib/systemd/virbus.service'), 'utf8')
const CONNECT = join(ROOT, 'test/support/connect-as-user.ts')

const service = { name: 'virbus', id: 64_011 }
const member = { name: 'vb-member', id: 64_012, memberOf: ['virbus'] }
/** In the group that Debian's libvirt has for those who manage it, which a rule of libvirt's package knows. */
const manager = { name: 'libvirt', id: 64_015 }
const stranger = { name: 'vb-stranger', id: 64_013 }
const outcast = { name: 'vb-outcast', id: 64_014 }

/** A machine's own rule, for the other of polkit's two ways to refuse. */
const OUTCAST_RULE = `polkit.addRule(function (action, subject) {
  return subject.user == "${outcast.name}" ? polkit.Result.NO : polkit.Result.NOT_HANDLED;
});
`

const peers = needs(LIBVIRTD, VIRSH, POLKITD, DBUS_DAEMON, LIBVIRT_POLICY)
const live = process.getuid?.() === 0 ? peers : { skip: 'needs root, to become other users' }
let polkit: TestPolkit
let daemon: TestDaemon

before(async () => {
  if (live.skip) return
  const rules = { '50-virbus.rules': RULES, '40-outcast.rules': OUTCAST_RULE }
  polkit = await startPolkit([service, member, manager, stranger, outcast], rules)
  daemon = await startLibvirtd(
    {
      auth_unix_ro: 'polkit',
      auth_unix_rw: 'polkit',
      unix_sock_ro_perms: '0777',
      unix_sock_rw_perms: '0777',
    },
    { namespaceOf: polkit.pid },
  )
  for (const folder of [daemon.dir, dirname(daemon.socketPath)]) chmodSync(folder, 0o755)
})
after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await polkit?.[Symbol.asyncDispose]()
})

type Mode = 'ro' | 'rw'

function uriOf(mode: Mode): string {
  return `test+unix:///default?socket=${mode === 'ro' ? daemon.readOnlySocketPath : daemon.socketPath}`
}

/** What came of one connection: the guests, or why there is none. */
interface Outcome {
  readonly names?: string[]
  readonly code?: string
  readonly message?: string
}

async function ours(user: TestUser, mode: Mode): Promise<Outcome> {
  await using run = polkit.runAs(user, process.execPath, CONNECT, uriOf(mode), mode)
  assert.equal(await run.exit(), 0, run.stderr.join('\n'))
  // The program writes one line, of this form.
  return JSON.parse(run.stdout[0] ?? '') as Outcome
}

async function virsh(user: TestUser, mode: Mode): Promise<Outcome> {
  const args = ['-q', ...(mode === 'ro' ? ['-r'] : []), '-c', uriOf(mode), 'list', '--all', '--name']
  await using run = polkit.runAs(user, VIRSH, ...args)
  run.child.stdin?.end()
  if ((await run.exit()) === 0) return { names: run.stdout.filter((line) => line !== '') }
  return {
    message: run.stderr.find((line) => !line.includes('failed to connect'))?.replace('error: ', '') ?? '',
  }
}

/** Both clients get the same, and in the same words. */
async function assertSame(user: TestUser, mode: Mode): Promise<Outcome> {
  const [mine, theirs] = await Promise.all([ours(user, mode), virsh(user, mode)])
  const why = `${user.name} ${mode}: ${JSON.stringify({ mine, theirs })}`
  assert.deepEqual(mine.names, theirs.names, why)
  if (theirs.message !== undefined) assert.ok(mine.message?.startsWith(`${theirs.message};`), why)
  return mine
}

const NO_AGENT =
  /^authentication unavailable: no polkit agent available to authenticate action 'org\.libvirt\.unix\.(monitor|manage)'/

/** What the unit starts, with a configuration of ours. */
function unitArguments(): string[] {
  const config = join(daemon.dir, 'virbus.yaml')
  writeFileSync(config, `engines:\n  - libvirt_events:\n      uri: ${uriOf('ro')}\n`)
  const [, args = ''] = /^ExecStart=\S+\/virbus (.*)$/m.exec(UNIT) ?? []
  assert.match(UNIT, /^User=virbus$/m)
  return args.replace('/etc/virbus/virbus.yaml', config).split(' ')
}

test(
  'what the unit starts has the events of libvirt as the user virbus, and keeps its sockets to itself',
  live,
  async () => {
    await using up = polkit.runAs(service, VIRBUS, ...unitArguments())
    await up.lines(/"msg":"ready"/, 1, 'stderr')
    await using watch = polkit.runAs(service, VIRBUS, 'watch', '--json')
    const isSeen = (): boolean => watch.stdout.some((line) => line.includes('/domain/lifecycle"'))
    await defineUntil(daemon, 'seen', isSeen)
    const [line = ''] = await watch.lines(/\/domain\/lifecycle"/)
    const { tag, data } = JSON.parse(line)
    assert.deepEqual(
      [tag, data.domain.name, data.event],
      ['salt/engines/libvirt_events/test+unix/default/domain/lifecycle', 'seen', 'defined'],
    )
    const sockets = join(polkit.runtimeDirOf(service), 'virbus')
    await using others = polkit.runAs(member, VIRBUS, 'watch', '--sock-dir', sockets)
    assert.equal(await others.exit(), 1)
    assert.match(others.stderr.join('\n'), /ERR_SALT_ACCESS/)
    assert.equal(await up.end('SIGTERM'), 0)
  },
)

test('the groups of the rule may read, without a password', live, async () => {
  for (const user of [service, member, manager])
    assert.deepEqual(await assertSame(user, 'ro'), { names: ['test'] })
})

test('others are refused in the words of polkit', live, async () => {
  for (const [user, mode] of [
    [stranger, 'ro'],
    [stranger, 'rw'],
    [member, 'rw'],
  ] as const) {
    const { code, message = '' } = await assertSame(user, mode)
    assert.equal(code, 'ERR_LIBVIRT_AUTH_DENIED')
    assert.equal(NO_AGENT.exec(message)?.[1], mode === 'ro' ? 'monitor' : 'manage', message)
  }
  const { code, message } = await assertSame(outcast, 'ro')
  assert.equal(code, 'ERR_LIBVIRT_AUTH_DENIED')
  assert.match(message ?? '', /^authentication failed: access denied by policy;/)
})

test('virbus up as a user without the group says why, and tries again', live, async () => {
  await using up = polkit.runAs(stranger, VIRBUS, 'up', '--uri', uriOf('ro'), '--log-level', 'debug')
  await up.lines(/no polkit agent.*ERR_LIBVIRT_AUTH_DENIED.*"retryInMs"/, 2, 'stderr')
  assert.equal(await up.end('SIGTERM'), 0)
})

test('without the stars the group may write, from that moment on', live, async () => {
  await polkit.writeRules('50-virbus.rules', RULES.replaceAll(/^(\/\*|\*\/)\n/gm, ''))
  try {
    assert.deepEqual(await assertSame(member, 'rw'), { names: ['test'] })
    assert.equal((await assertSame(stranger, 'rw')).code, 'ERR_LIBVIRT_AUTH_DENIED')
  } finally {
    await polkit.writeRules('50-virbus.rules', RULES)
  }
  assert.equal((await assertSame(member, 'rw')).code, 'ERR_LIBVIRT_AUTH_DENIED')
})
