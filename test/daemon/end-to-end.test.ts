import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { defineUntil, LIBVIRTD, startLibvirtd, type TestDaemon, VIRSH } from '../support/libvirtd.ts'
import { needs, SALT_RELEASES, saltPython, tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS } from '../support/processes.ts'

const run = promisify(execFile)
const SALT_BUS = join(import.meta.dirname, '../support/salt_bus.py')
const SALT_ENGINE = join(import.meta.dirname, '../support/salt_engine.py')
const TAG = 'salt/engines/libvirt_events/test+unix/default/domain/lifecycle'
const live = needs(LIBVIRTD, VIRSH, ...Object.values(SALT_RELEASES).map(saltPython))
let daemon: TestDaemon

before(async () => {
  if (!live.skip) daemon = await startLibvirtd()
})
after(() => daemon?.[Symbol.asyncDispose]())

interface Seen {
  tag: string
  data: Record<string, unknown>
}

function parsed(line: string): Seen {
  return JSON.parse(line)
}

/** Without the time, which each side sets itself. */
function unstamped({ tag, data: { _stamp, ...data } }: Seen): Seen {
  return { tag, data }
}

function seenByWatch(line: string): Seen {
  const [tag = '', json = ''] = line.split('\t')
  return { tag, data: JSON.parse(json) }
}

async function startVirbus(sockDir: string, wire: string): Promise<LineProcess> {
  const up = new LineProcess(VIRBUS, ['up', '--uri', daemon.uri, '--sock-dir', sockDir, '--wire', wire])
  await up.lines(/libvirt events registered/, 1, 'stderr')
  return up
}

for (const [wire, release] of Object.entries(SALT_RELEASES)) {
  test(
    `virsh suspend and resume reach virbus watch and Salt ${release}, equal to the real engine's events`,
    live,
    async () => {
      using dir = tempDir()
      await using up = await startVirbus(dir.path, wire)
      const python = saltPython(release)
      const TOP = 'salt/engines/libvirt_events/'
      await using watch = new LineProcess(VIRBUS, ['watch', `${TOP}*`, '--sock-dir', dir.path])
      await using getEvent = new LineProcess(python, [SALT_BUS, dir.path, 'get_event', TOP, '100'])
      await using iterEvents = new LineProcess(python, [SALT_BUS, dir.path, 'iter_events', TOP, '100'])
      await using engine = new LineProcess(saltPython(SALT_RELEASES.prefixed), [
        SALT_ENGINE,
        daemon.uri,
        'domain',
      ])
      await Promise.all([
        getEvent.lines(/^ready$/),
        iterEvents.lines(/^ready$/),
        engine.lines(/Opened libvirt uri/, 1, 'stderr'),
      ])
      await untilSubscribed(dir.path, watch)
      await defineUntil(daemon, 'marker', () => engine.stdout.some((line) => line.includes('marker')))
      await run(VIRSH, ['-c', daemon.uri, 'suspend', 'test'])
      await run(VIRSH, ['-c', daemon.uri, 'resume', 'test'])
      const lifecycle = (event: string): RegExp => new RegExp(`"event": "${event}"`)
      await engine.lines(lifecycle('resumed'))
      const expected = [
        ...(await engine.lines(lifecycle('suspended'))),
        ...(await engine.lines(lifecycle('resumed'))),
      ].map(parsed)
      assert.deepEqual(
        expected.map(({ tag, data }) => [tag, data['event'], data['detail']]),
        [
          [TAG, 'suspended', 'paused'],
          [TAG, 'resumed', 'unpaused'],
        ],
      )
      const events = /lifecycle.*"(suspended|resumed)"/
      assert.deepEqual((await watch.lines(events, 2)).map(seenByWatch).map(unstamped), expected)
      for (const subscriber of [getEvent, iterEvents]) {
        const seen = (await subscriber.lines(events, 2)).map(parsed)
        assert.deepEqual(seen.map(unstamped), expected)
        for (const { data } of seen)
          assert.match(String(data['_stamp']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/)
      }
      assert.equal(await up.end('SIGTERM'), 0)
      assert.deepEqual(readdirSync(dir.path), [])
    },
  )

  test(
    `what fire_event of Salt ${release} sends is printed exactly by virbus watch --json`,
    live,
    async () => {
      using dir = tempDir()
      await using _up = await startVirbus(dir.path, wire)
      await using watch = new LineProcess(VIRBUS, [
        'watch',
        'from/python/*',
        '--json',
        '--sock-dir',
        dir.path,
      ])
      await untilSubscribed(dir.path, watch)
      await using fire = new LineProcess(saltPython(release), [SALT_BUS, dir.path, 'fire', 'from/python'])
      const lines = await watch.lines(/from\/python\/\d/, 6)
      const text = (n: number): string =>
        (lines[n] ?? '').replace(/"_stamp": "[^"]*"(, )?/, '').replace(/, }/, '}')
      assert.deepEqual(unstamped(parsed(lines[0] ?? '')), {
        tag: 'from/python/0',
        data: { nested: { list: [1, [2, { three: null }], true, false], empty: {}, none: [] } },
      })
      assert.equal(parsed(lines[1] ?? '').data['text'], 'zoë ☃ 😀 \u0000 "quoted" back\\slash')
      assert.deepEqual(unstamped(parsed(lines[2] ?? '')).data, {
        bytes: { __bytes__: Buffer.from('00ff8062696e617279', 'hex').toString('base64') },
        'utf8 bytes': { __bytes__: Buffer.from('é').toString('base64') },
      })
      const { max, min, unsigned, safe, small } = {
        max: '9223372036854775807',
        min: '-9223372036854775808',
        unsigned: '18446744073709551615',
        safe: '9007199254740992',
        small: '-1',
      }
      assert.match(
        text(3),
        new RegExp(
          `"max": ${max}, "min": ${min}, "unsigned": ${unsigned}, "safe": ${safe}, "small": ${small}`,
        ),
      )
      assert.match(
        text(4),
        /"whole": 1\.0, "third": 0\.3333333333333333, "large": 1e\+300, "tiny": 5e-324, "negative zero": -0\.0/,
      )
      assert.equal(parsed(lines[5] ?? '').data['big'], 'x'.repeat(1_000_000))
      await fire.lines(/^fired$/)
      fire.child.stdin?.end()
      assert.equal(await fire.exit(), 0)
    },
  )

  test(`what virbus fire sends is received by Salt ${release}`, live, async () => {
    using dir = tempDir()
    await using _up = await startVirbus(dir.path, wire)
    await using python = new LineProcess(saltPython(release), [
      SALT_BUS,
      dir.path,
      'get_event',
      'from/virbus',
      '2',
    ])
    await python.lines(/^ready$/)
    const data =
      '{"text": "zoë ☃", "big": 9223372036854775807, "float": 1.0, "list": [null, true, {"a": -1}]}'
    await using first = new LineProcess(VIRBUS, ['fire', 'from/virbus/1', data, '--sock-dir', dir.path])
    assert.equal(await first.exit(), 0, first.stderr.join('\n'))
    await using second = new LineProcess(VIRBUS, ['fire', 'from/virbus/2', '-', '--sock-dir', dir.path])
    second.child.stdin?.end('{"from": "stdin"}')
    assert.equal(await second.exit(), 0, second.stderr.join('\n'))
    const [one = '', two = ''] = await python.lines(/from\/virbus/, 2)
    assert.match(one, /"big": 9223372036854775807, "float": 1\.0/)
    assert.deepEqual(unstamped(parsed(one)), { tag: 'from/virbus/1', data: JSON.parse(data) })
    assert.deepEqual(unstamped(parsed(two)), { tag: 'from/virbus/2', data: { from: 'stdin' } })
  })
}

test('events go on after libvirtd was killed and started again', live, async () => {
  using dir = tempDir()
  const first = await startLibvirtd()
  await using up = new LineProcess(VIRBUS, ['up', '--uri', first.uri, '--sock-dir', dir.path])
  await up.lines(/libvirt events registered/, 1, 'stderr')
  await using watch = new LineProcess(VIRBUS, ['watch', 'salt/engines/*', '--sock-dir', dir.path])
  await untilSubscribed(dir.path, watch)
  await using second = await first.restart('SIGKILL')
  await up.lines(/libvirt connection failed/, 1, 'stderr')
  await up.lines(/libvirt events registered/, 2, 'stderr')
  await run(VIRSH, ['-c', second.uri, 'suspend', 'test'])
  await watch.lines(/"event": "suspended"/)
  assert.ok(existsSync(join(dir.path, 'master_event_pub.ipc')))
})

test('a libvirtd that has stopped answering does not keep virbus from ending in order', live, async () => {
  using dir = tempDir()
  await using frozen = await startLibvirtd()
  await using up = new LineProcess(VIRBUS, ['up', '--uri', frozen.uri, '--sock-dir', dir.path])
  await up.lines(/libvirt events registered/, 1, 'stderr')
  frozen.process.kill('SIGSTOP')
  try {
    assert.equal(await up.end('SIGTERM'), 0)
    assert.deepEqual(readdirSync(dir.path), [])
  } finally {
    frozen.process.kill('SIGCONT')
  }
})

/** Fires until the watcher sees it: a subscriber of a Salt bus gets no word that it is connected. */
async function untilSubscribed(sockDir: string, watch: LineProcess): Promise<void> {
  await watch.lines(/^virbus: watching /, 1, 'stderr')
  assert.ok(existsSync(sockDir))
}
