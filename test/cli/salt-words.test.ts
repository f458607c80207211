import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { withRole } from '../../src/cli/role.ts'
import { saltBus } from '../../src/cli/salt-config.ts'
import { saltExpression } from '../../src/cli/tag-match.ts'
import { decode } from '../../src/msgpack/index.ts'
import { startBus, until } from '../salt/support.ts'
import { needs, SALT_RELEASES, saltPython, tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'
import { pythonFilter } from '../support/python.ts'

const run = promisify(execFile)

test('state.event prints what matches, counts, and ends with its return', async () => {
  await using bus = await startBus('split')
  const args = ['salt-run', 'state.event', 'my/*', 'count=2', `sock_dir=${bus.sockDir}`]
  await using plain = new LineProcess(VIRBUS, args)
  await using silent = new LineProcess(VIRBUS, [...args, 'quiet=True', '--out=json'])
  await until(() => bus.publisher.stats.subscribers === 2, 'both')
  for (const tag of ['my/1', 'other', 'my/2', 'my/3']) {
    const { code } = await virbus(
      'salt-run',
      '--quiet',
      'event.send',
      tag,
      '{n: 1, 9: x}',
      '--sock-dir',
      bus.sockDir,
    )
    assert.equal(code, 0)
  }
  assert.equal(await plain.exit(), 0)
  assert.equal(await silent.exit(), 0)
  assert.match(
    plain.stdout.join('\n'),
    /^my\/1\t\{"n": 1, "9": "x", "_stamp": "[^"]+"\}\nmy\/2\t\{"n": 1, "9": "x", "_stamp": "[^"]+"\}\nNone$/,
  )
  assert.deepEqual(silent.stdout, ['null'])
  assert.deepEqual(plain.stderr, [])
})

test('state.event goes on when the bus is started anew, and ends with 0 on a signal without a return', async () => {
  using dir = tempDir()
  const first = await startBus('split', { sockDir: dir.path })
  await using watch = new LineProcess(VIRBUS, ['salt-run', 'state.event', '--sock-dir', dir.path])
  await until(() => first.publisher.stats.subscribers === 1, 'the watcher')
  await first[Symbol.asyncDispose]()
  await using second = await startBus('split', { sockDir: dir.path })
  await until(() => second.publisher.stats.subscribers === 1, 'the watcher again')
  assert.equal((await virbus('salt-run', 'event.send', 'a/b', '--sock-dir', dir.path)).stdout, 'True')
  await watch.lines(/^a\/b\t/)
  assert.equal(await watch.end('SIGINT'), 0)
  assert.equal(watch.stdout.length, 1)
})

test('without a bus, both end with 1 and say where they looked', async () => {
  using dir = tempDir()
  const cases: [args: string[], stdout: string][] = [
    [['salt-run', 'state.event', `sock_dir=${dir.path}`], ''],
    [['salt-run', 'event.send', 'a', '--sock-dir', dir.path, '-t', '0.1'], ''],
    [['salt-call', 'event.fire', '{}', 'a', '--sock-dir', dir.path, '-t', '0.1'], 'local:\n    False'],
    [['salt-call', 'event.fire_master', '{}', 'a', '--local', '--out', 'txt'], 'local: False'],
  ]
  for (const [args, stdout] of cases) {
    const result = await virbus(...args)
    assert.equal(result.code, 1, result.stderr)
    assert.equal(result.stdout, stdout)
    assert.match(result.stderr, args.includes('--local') ? /no master in local mode/ : new RegExp(dir.path))
  }
})

test('wrong usage ends with 2 and says what is right', async () => {
  const cases: [args: string[], message: RegExp][] = [
    [['salt-run', 'state.events'], /state\.event, event\.send/],
    [['salt-run', 'state.event', 'x=1'], /no argument x; it takes tagmatch, count/],
    [['salt-run', 'state.event', 'a', 'tagmatch=b'], /tagmatch was given twice/],
    [['salt-run', 'state.event', '*', 'count=many'], /count has to be a whole number/],
    [['salt-run', 'state.event', '123'], /tagmatch has to be text, not 123; --no-parse=tagmatch/],
    [['salt-run', 'state.event', 'node=syndic'], /node is master or minion, not syndic/],
    [['salt-run', 'state.event', '--async'], /unknown option '--async'/],
    [['salt-run', 'state.event', '--out=highstate'], /Allowed choices are nested, json/],
    [['salt-run', 'event.send'], /tag missing/],
    [['salt-run', 'event.send', 'a', '[1]'], /data has to be a map/],
    [['salt-run', 'event.send', 'a', '{}', 'c'], /takes 2 arguments \(tag, data\), 3 were given/],
    [['salt-run', 'event.send', 'a', '-t', 'soon'], /seconds above 0/],
    [['salt-run', 'event.send', 'a', '-c', '/nonexistent'], /there is no \/nonexistent\/master/],
    [['salt-call', 'event.fire', '{}'], /tag missing/],
    [['salt-call', 'event.fire', 'text', 'a'], /data has to be a map/],
    [['salt-call', 'event.fire_master', '{}', 'a', 'preload={x: 1}'], /preload cannot be used/],
    [['salt-call', 'event.send', 'a', 'with_grains=True'], /grains are not known/],
    [['salt-call', 'event.send', 'a', 'with_pillar=[x]'], /the pillar is not known/],
  ]
  for (const [args, message] of cases) {
    const { code, stderr } = await virbus(...args)
    assert.match(stderr, message)
    assert.equal(code, 2, `${args}: ${stderr}`)
  }
})

test('fire_master and send ask the minion, with what send puts together', async () => {
  using dir = tempDir()
  await using up = new LineProcess(VIRBUS, [
    ...['up', '--uri', `test+unix:///default?socket=${dir.path}/none`],
    ...['--minion-id', 'web1', '--sock-dir', dir.path],
  ])
  await up.lines(/"ready"/, 1, 'stderr')
  const bus = ['--sock-dir', dir.path, '--id', 'web1']
  await using watch = new LineProcess(VIRBUS, [
    'watch',
    'fire_master',
    '--json',
    '--minion-id',
    'web1',
    '--sock-dir',
    dir.path,
  ])
  await watch.lines(/watching/, 1, 'stderr')
  const calls = [
    ['event.fire_master', '[1, 2]', 'my/list'],
    ['event.send', 'my/sent', '{b: 3}', 'a=1', 'b=2', 'with_env=[VIRBUS_STATE_DIR]', 'with_env_opts=True'],
  ]
  for (const call of calls) {
    const { code, stdout } = await virbus('salt-call', ...call, ...bus)
    assert.deepEqual([code, stdout], [0, 'local:\n    True'])
  }
  const [list, sent] = (await watch.lines(/./, 2)).map((line) => JSON.parse(line).data)
  assert.deepEqual(
    { ...list, _stamp: 0 },
    { tag: 'my/list', data: [1, 2], events: null, pretag: null, _stamp: 0 },
  )
  const { __pub_pid: pid, __pub_jid: jid, ...data } = sent.data
  assert.ok(Number.isInteger(pid))
  assert.match(jid, /^20\d{18}$/)
  assert.deepEqual(data, {
    environ: { VIRBUS_STATE_DIR: '' },
    saltenv: null,
    pillarenv: null,
    a: 1,
    b: 3,
    __pub_fun: 'event.send',
    __pub_tgt: 'salt-call',
  })
})

test("Salt's configuration says which bus: its files, root_dir, and the minion's id", () => {
  using dir = tempDir()
  const write = (path: string, text: string): void => writeFileSync(join(dir.path, path), text)
  const of = (node: 'master' | 'minion', env = {}): unknown => saltBus(node, { configDir: dir.path }, env)
  assert.throws(() => of('master'), /there is no .*master/)
  write('master', 'sock_dir: /run/x\nmax_event_size: 100\n')
  assert.deepEqual(of('master'), {
    node: 'master',
    sockDir: '/run/x',
    id: undefined,
    hashType: undefined,
    isMasterless: false,
    saltenv: null,
    pillarenv: null,
    eventBytesMax: 100,
  })
  mkdirSync(join(dir.path, 'master.d'))
  write('master.d/a.conf', `root_dir: ${dir.path}\nsock_dir: s\ncachedir: /a/long/enough/cache\n`)
  assert.equal(saltBus('master', {}, { SALT_CONFIG_DIR: dir.path }).sockDir, join(dir.path, 's'))
  write('master.d/b.conf', `sock_dir: ${'s'.repeat(40)}\n`)
  assert.equal(
    saltBus('master', { configDir: dir.path }).sockDir,
    join(dir.path, 'a/long/enough/cache/.salt-unix'),
  )
  write('master.d/c.conf', 'ipc_mode: tcp\n')
  assert.throws(() => of('master'), /ipc_mode tcp is not supported/)
  write('master.d/c.conf', 'a: [\n')
  assert.throws(() => of('master'), /cannot read .*c\.conf/)
  write('minion', '')
  assert.equal(saltBus('minion', { configDir: dir.path }).id, hostname())
  assert.equal(saltBus('minion', { configDir: dir.path }).sockDir, '/var/run/salt/minion')
  write('minion_id', 'web2\n')
  assert.equal(saltBus('minion', { configDir: dir.path }).id, 'web2')
  write('minion', 'id: web1\nhash_type: md5\nfile_client: local\nsaltenv: dev\n')
  const { id, hashType, isMasterless, saltenv } = saltBus('minion', { configDir: dir.path })
  assert.deepEqual([id, hashType, isMasterless, saltenv], ['web1', 'md5', true, 'dev'])
  assert.equal(saltBus('minion', { configDir: dir.path, id: 'web3', sockDir: '/x' }).id, 'web3')
})

test("links named as Salt's programs are virbus in their part", async () => {
  using dir = tempDir()
  const folder = join(dir.path, 'bin')
  const { code, stdout } = await virbus('links', folder)
  assert.equal(code, 0)
  assert.deepEqual(stdout.split('\n'), [join(folder, 'salt-run'), join(folder, 'salt-call')])
  assert.equal((await virbus('links', folder)).code, 0)
  await using bus = await startBus('split', { sockDir: dir.path })
  const sent = await run(join(folder, 'salt-run'), [
    'event.send',
    'by/link',
    '{x: 1}',
    '--sock-dir',
    dir.path,
  ])
  assert.equal(sent.stdout, 'True\n')
  await until(() => bus.received.length === 1, 'the event')
  assert.equal(Object(decode(bus.received[0]?.payload ?? Buffer.alloc(0)))['x'], 1)
  const help = await run(join(folder, 'salt-call'), ['--help'])
  assert.match(help.stdout, /Usage: virbus salt-call/)
  assert.deepEqual(withRole(['node', '/x/salt-run', 'a']), ['salt-run', 'a'])
  assert.deepEqual(withRole(['node', '/x/virbus', 'salt-run', 'a']), ['salt-run', 'a'])
})

test('links hide no Salt, wherever it stands in PATH, and replace no file', async () => {
  using dir = tempDir()
  const [salt, folder] = [join(dir.path, 'salt'), join(dir.path, 'bin')]
  mkdirSync(salt)
  writeFileSync(join(salt, 'salt-call'), '#!/bin/sh\n')
  chmodSync(join(salt, 'salt-call'), 0o755)
  const links = async (path: string, ...args: string[]): Promise<{ code: number | null; stderr: string }> => {
    await using call = new LineProcess(VIRBUS, ['links', folder, ...args], { PATH: path })
    return { code: await call.exit(), stderr: call.stderr.join('\n') }
  }
  const usual = process.env['PATH'] ?? ''
  for (const path of [`${salt}:${folder}:${usual}`, `${folder}:${usual}:${salt}`]) {
    const { code, stderr } = await links(path)
    assert.equal(code, 2)
    assert.match(stderr, new RegExp(`${salt}/salt-call is installed`))
    assert.equal(existsSync(folder), false)
  }
  assert.equal((await links(`${salt}:${usual}`, '--force')).code, 0)
  assert.match(readlinkSync(join(folder, 'salt-run')), /bin\/virbus$/)
  const other = join(dir.path, 'other')
  mkdirSync(other)
  symlinkSync('/nowhere', join(other, 'salt-run'))
  const { code, stderr } = await virbus('links', other, '--force')
  assert.equal(code, 2)
  assert.match(stderr, /is there already and is not virbus/)
  assert.deepEqual(readdirSync(other), ['salt-run'])
})

test(
  "tags match as Salt's expr_match has it, to the letter",
  needs(saltPython(SALT_RELEASES.split)),
  async () => {
    const tags = [
      'a',
      'b',
      'ab',
      'ac',
      'bc',
      'salt/a/b',
      'salt/b/c',
      'salt/job/1/ret/web1',
      'x[',
      '*[',
      'A',
      'ünï',
      'a.b',
      '(',
    ]
    const expressions = [
      ...[
        '*',
        '',
        'a',
        'salt/*',
        'salt/?/b',
        '[ab]',
        '[!a]*',
        '*[',
        '(',
        'a|b',
        'b|a',
        '(a|b)',
        'a|b|c$',
        '^a',
        'b$',
      ],
      ...[
        'salt/(?P<kind>a|b)/.+',
        '\\Aa\\Z',
        '\\Aa',
        'a\\Z',
        'a.*',
        '.',
        '..',
        'salt/.*/ret/\\w+',
        '.*(?=c)',
        '(?i)a',
        'a\\.b',
        '[a-c]{2}',
      ],
    ]
    const pairs = expressions.flatMap((expression) => tags.map((tag) => [tag, expression] as const))
    const theirs = await pythonFilter(
      saltPython(SALT_RELEASES.split),
      'salt_expr.py',
      pairs.map((pair) => JSON.stringify(pair)),
    )
    const ours = pairs.map(([tag, expression]) => String(saltExpression(expression)(tag)))
    assert.deepEqual(
      pairs.filter((_, index) => ours[index] !== theirs[index]),
      [],
    )
  },
)

test('completion knows the functions', async () => {
  const { stdout: script } = await virbus('completion', 'bash')
  const words = `${script}\nCOMP_WORDS=(virbus salt-run sta); COMP_CWORD=2; _virbus; echo "\${COMPREPLY[@]}"; COMP_WORDS=(virbus salt-call event.fire_); _virbus; echo "\${COMPREPLY[@]}"; COMP_WORDS=(virbus li); COMP_CWORD=1; _virbus; echo "\${COMPREPLY[@]}"`
  assert.equal((await run('bash', ['-c', words])).stdout, 'state.event\nevent.fire_master\nlinks\n')
  assert.match((await virbus('completion', 'fish')).stdout, /from salt-call' -a 'event\.send'/)
})
