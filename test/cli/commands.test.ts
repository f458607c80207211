import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { defaultSockDir } from '../../src/cli/sock-dir.ts'
import { tagExpression } from '../../src/cli/tag-match.ts'
import { tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'

const run = promisify(execFile)

test('help names every command with examples and ends with 0', async () => {
  const { code, stdout } = await virbus('--help')
  assert.equal(code, 0)
  for (const command of ['up', 'demo', 'watch', 'fire', 'salt-run', 'salt-call', 'links', 'completion']) {
    assert.match(stdout, new RegExp(`^  ${command} `, 'm'))
    const help = await virbus(command, '--help')
    assert.equal(help.code, 0)
    assert.match(help.stdout, /Examples:/)
  }
})

test('a typo gets a suggestion and exit code 2', async () => {
  const command = await virbus('wacth')
  assert.equal(command.code, 2)
  assert.match(command.stderr, /Did you mean watch\?/)
  const option = await virbus('watch', '--prety')
  assert.equal(option.code, 2)
  assert.match(option.stderr, /Did you mean --pretty\?/)
})

test('wrong usage ends with 2 and says what is right', async () => {
  using dir = tempDir()
  const config = join(dir.path, 'c.yml')
  writeFileSync(config, 'wyre: split\n')
  const cases: [args: string[], message: RegExp][] = [
    [['up', '--sock-dir', dir.path, '--wire', 'new'], /classic, prefixed, split/],
    [['up', '--sock-dir', dir.path, '--config', config], /c\.yml:1: wyre: unknown key/],
    [['up', '--sock-dir', dir.path, '--config', join(dir.path, 'none')], /ENOENT/],
    [['fire', 'tag', '[1]', '--sock-dir', dir.path], /JSON object/],
    [['fire', 'tag', '{', '--sock-dir', dir.path], /not JSON/],
    [['watch', '--count', '0', '--sock-dir', dir.path], /whole number/],
    [['demo', '--rate', '-1', '--sock-dir', dir.path], /above 0/],
  ]
  for (const [args, message] of cases) {
    const { code, stderr } = await virbus(...args)
    assert.match(stderr, message)
    assert.equal(code, 2, `${args}: ${stderr}`)
  }
})

test('an unknown filter ends with 2 and lists those there are', async () => {
  using dir = tempDir()
  const config = join(dir.path, 'c.yml')
  writeFileSync(config, 'engines:\n  - libvirt_events:\n      filters: [domain/lifecycles]\n')
  const { code, stderr } = await virbus('up', '--sock-dir', dir.path, '--config', config)
  assert.equal(code, 2)
  assert.match(
    stderr,
    /unknown filter 'domain\/lifecycles'; valid are all, domain, .*domain\/lifecycle.*secret\/value_changed/,
  )
})

test('without a bus, watch and fire end with 1 and say where they looked', async () => {
  using dir = tempDir()
  for (const args of [['watch'], ['fire', 'my/tag']]) {
    const { code, stderr } = await virbus(...args, '--sock-dir', dir.path)
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`${dir.path}/master_event_`))
  }
})

test('a URI that can never work ends up with 1', async () => {
  using dir = tempDir()
  const { code, stderr } = await virbus('up', '--uri', 'test:///default', '--sock-dir', dir.path)
  assert.equal(code, 1)
  assert.match(stderr, /test\+unix:\/\/\/default/)
  assert.deepEqual(readdirSync(dir.path), [])
})

test('demo prints events, serves them to watch, and leaves nothing behind after SIGINT', async () => {
  using dir = tempDir()
  await using demo = new LineProcess(VIRBUS, ['demo', '--rate', '200', '--sock-dir', dir.path])
  const [first = ''] = await demo.lines(/./)
  assert.match(first, /^virbus: events of the embedded simulator .*npx virbus watch --sock-dir /)
  await demo.lines(/^salt\/engines\/libvirt_events\/test\+unix\/default\/domain\/lifecycle\t\{"uri": /)
  const watched = await virbus('watch', 'salt/engines/*/domain/*', '--count', '3', '--sock-dir', dir.path)
  assert.equal(watched.code, 0)
  assert.equal(watched.stdout.split('\n').length, 3)
  assert.equal(await demo.end('SIGINT'), 0)
  assert.deepEqual(readdirSync(dir.path), [])
})

test('demo falls back to the simulator when the named libvirt cannot be reached', async () => {
  using dir = tempDir()
  const env = { LIBVIRT_DEFAULT_URI: `qemu+unix:///system?socket=${dir.path}/none` }
  await using demo = new LineProcess(VIRBUS, ['demo', '--sock-dir', dir.path], env)
  const [first = ''] = await demo.lines(/./)
  assert.match(first, /embedded simulator \(cannot connect to .*none/)
  assert.equal(await demo.end('SIGTERM'), 0)
})

test('a second bus on the same sockets is refused, and the first goes on', async () => {
  using dir = tempDir()
  await using first = new LineProcess(VIRBUS, ['demo', '--rate', '50', '--sock-dir', dir.path])
  await first.lines(/^salt\//)
  const { code, stderr } = await virbus('demo', '--sock-dir', dir.path)
  assert.equal(code, 1)
  assert.match(stderr, /ERR_SALT_SOCKET_IN_USE/)
  assert.equal((await virbus('watch', '--count', '1', '--quiet', '--sock-dir', dir.path)).code, 0)
})

test('a reader that goes away ends watch quietly', async () => {
  using dir = tempDir()
  await using demo = new LineProcess(VIRBUS, ['demo', '--rate', '500', '--sock-dir', dir.path])
  await demo.lines(/^salt\//)
  const script = `"${VIRBUS}" watch --sock-dir "${dir.path}" 2>"${dir.path}/err" | head -n 1; cat "${dir.path}/err"`
  const { stdout } = await run('sh', ['-c', script], { timeout: 20_000 })
  assert.match(stdout, /^salt\/[^\n]*\nvirbus: watching \*\n$/)
})

test('watch prints nothing with --quiet, and says on the error output that the bus is gone', async () => {
  using dir = tempDir()
  const demo = new LineProcess(VIRBUS, ['demo', '--rate', '50', '--sock-dir', dir.path])
  await demo.lines(/^salt\//)
  await using watch = new LineProcess(VIRBUS, ['watch', '--quiet', '--sock-dir', dir.path])
  await watch.lines(/^virbus: watching/, 1, 'stderr')
  await demo.end('SIGTERM')
  assert.equal(await watch.exit(), 1)
  assert.deepEqual(watch.stdout, [])
  assert.match(watch.stderr.join('\n'), /ERR_SALT_CONNECTION_LOST/)
})

test("a minion's pair of sockets is used with --minion-id", async () => {
  using dir = tempDir()
  await using simulated = new LineProcess(VIRBUS, [
    'up',
    '--uri',
    `test+unix:///default?socket=${dir.path}/none`,
    '--minion-id',
    'web1',
    '--sock-dir',
    dir.path,
  ])
  await simulated.lines(/"ready"/, 1, 'stderr')
  // sha256 of "web1" begins so; the name is Salt's.
  const { createHash } = await import('node:crypto')
  const hash = createHash('sha256').update('web1').digest('hex').slice(0, 10)
  assert.deepEqual(readdirSync(dir.path).sort(), [
    `minion_event_${hash}_control.sock`,
    `minion_event_${hash}_pub.ipc`,
    `minion_event_${hash}_pull.ipc`,
  ])
  await using watch = new LineProcess(VIRBUS, ['watch', '--minion-id', 'web1', '--sock-dir', dir.path])
  await watch.lines(/watching/, 1, 'stderr')
  assert.equal(
    (await virbus('fire', 'a/b', '{"x": 1}', '--minion-id', 'web1', '--sock-dir', dir.path)).code,
    0,
  )
  await watch.lines(/^a\/b\t\{"x": 1, "_stamp": "/)
})

test('a daemon that accepts and never answers does not keep up from stopping', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'silent')
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    await using up = new LineProcess(VIRBUS, [
      'up',
      '--uri',
      `test+unix:///default?socket=${path}`,
      '--sock-dir',
      dir.path,
    ])
    await up.lines(/"ready"/, 1, 'stderr')
    up.child.kill('SIGTERM')
    assert.equal(await up.exit(), 0)
  } finally {
    server.close()
  }
})

test('tags are coloured on a terminal only, and not with NO_COLOR', async () => {
  using dir = tempDir()
  await using demo = new LineProcess(VIRBUS, ['demo', '--rate', '100', '--sock-dir', dir.path])
  const [, piped = ''] = await demo.lines(/./, 2)
  assert.match(piped, /^salt\//)
  // script(1) gives the command a terminal; Node counts a terminal under CI as one without colours.
  const command = `env -u CI "${VIRBUS}" watch --count 1 --sock-dir "${dir.path}" 2>/dev/null`
  const onTerminal = async (env: Record<string, string>): Promise<string> => {
    await using run = new LineProcess('script', ['-qec', command, '/dev/null'], { TERM: 'xterm', ...env })
    return (await run.lines(/salt\//))[0] ?? ''
  }
  assert.ok((await onTerminal({})).startsWith('\u001b[36msalt/'))
  assert.ok((await onTerminal({ NO_COLOR: '1' })).startsWith('salt/'))
})

test('completion scripts are valid and complete commands', async () => {
  const bash = await virbus('completion', 'bash')
  assert.equal(bash.code, 0)
  const script = `${bash.stdout}\nCOMP_WORDS=(virbus wa); COMP_CWORD=1; _virbus; echo "\${COMPREPLY[@]}"; COMP_WORDS=(virbus watch --pr); COMP_CWORD=2; _virbus; echo "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', ['-c', script])
  assert.equal(stdout, 'watch\n--pretty\n')
  for (const shell of ['zsh', 'fish']) assert.match((await virbus('completion', shell)).stdout, /watch/)
})

test('the socket folder follows the environment', () => {
  assert.equal(defaultSockDir({ VIRBUS_SOCK_DIR: '/a' }, 0), '/a')
  assert.equal(defaultSockDir({}, 0), '/run/virbus')
  assert.equal(defaultSockDir({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/run/user/7/virbus')
  assert.match(defaultSockDir({}, 7), /virbus-7$/)
})

test('tags match as a glob or as a regular expression over the whole tag', () => {
  const matches = (expression: string, tag: string): boolean => tagExpression(expression)(tag)
  assert.ok(matches('salt/*', 'salt/a/b'))
  assert.ok(matches('salt/(a|b)/.+', 'salt/b/c'))
  assert.ok(!matches('alt/', 'salt/b'))
  assert.ok(matches('*[', 'x['))
})
