import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { OUTPUTTERS } from '../../src/cli/salt-names.ts'
import { localText, returnText } from '../../src/cli/salt-output.ts'
import { decode, Ext, Float } from '../../src/msgpack/index.ts'
import { type Dialect, getEvent, type SaltEvent, type WireEvent } from '../../src/salt/index.ts'
import { onBus } from '../salt/support.ts'
import { needs, SALT_RELEASES, saltPython } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'
import { pythonFilter } from '../support/python.ts'
import { saltProgram, startSaltMaster } from '../support/salt-master.ts'
import { minionConfig, startSaltMinion } from '../support/salt-minion.ts'

const LIMIT_MS = 180_000
const SYNC_MS = 200

type Data = Record<string, unknown> | Map<unknown, unknown>

/** What the recorded events do not have: order, numbers, bytes, keys and texts that print in ways of their own. */
const SAMPLES: Data[] = [
  new Map<unknown, unknown>([
    ['b', 1],
    ['10', 2],
    ['9', 3],
    ['ä', 4],
    [
      'Z',
      new Map([
        ['2', 0],
        ['1', 0],
      ]),
    ],
  ]),
  { text: 'zoë ☃ 😀 \u0000 \u001f \u007f \u2028 "quoted" \\ / \n\t\r\b\f', empty: '', tag: '<&>' },
  { utf8: Buffer.from('é'), bytes: Buffer.from([0, 0xff]), list: [Buffer.from('a'), [Buffer.from([0x80])]] },
  { max: 2n ** 63n - 1n, min: -(2n ** 63n), unsigned: 2n ** 64n - 1n, unsafe: 2n ** 53n + 1n },
  {
    floats: [
      1.5,
      new Float(1),
      1 / 3,
      new Float(1e16),
      new Float(1e22),
      1e-5,
      5e-324,
      new Float(-0),
      123456789.125,
    ],
  },
  {
    special: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    none: null,
    yes: true,
    no: false,
  },
  { nothing: {}, list: [], nested: [[], {}, [{}], { a: [] }] },
  {
    keys: new Map<unknown, unknown>([
      [10, 'ten'],
      [9, 'nine'],
      [-1, 'minus'],
    ]),
    bytes: new Map([[Buffer.from('k'), 1]]),
  },
  {
    when: new Ext(78, Buffer.from('20261120T23:30:40.204668')),
    whole: new Ext(78, Buffer.from('20261120T23:30:40.000000')),
  },
]

const RECORDED: [tag: string, data: Data][] = readFileSync(
  join(import.meta.dirname, '../fixtures/salt-master-events.jsonl'),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))

/** Fires events of one tag, again and again, until it holds. */
async function fireUntil(bus: SaltEvent, tag: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MS / 3
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`nobody prints ${tag}`)
    await bus.fireEvent({ of: tag }, tag, 10_000)
    await bus.getEvent({ tag: 'none', wait: SYNC_MS / 1000 })
  }
}

const prints = (watcher: LineProcess, tag: string): boolean =>
  watcher.stdout.some((line) => line.startsWith(`${tag}\t`))

function between(watcher: LineProcess, from: string, to: string): string[] {
  const lines = watcher.stdout
  return lines.slice(
    lines.findLastIndex((line) => line.startsWith(`${from}\t`)),
    lines.findIndex((line) => line.startsWith(`${to}\t`)),
  )
}

for (const version of [SALT_RELEASES.prefixed, SALT_RELEASES.split]) {
  const needed = { ...needs(saltProgram(version, 'salt-master')), timeout: LIMIT_MS }
  const saltRun = (confDir: string, ...args: string[]): LineProcess =>
    new LineProcess(saltProgram(version, 'salt-run'), ['-c', confDir, ...args])

  test(
    `state.event of Salt ${version} and ours print 200 recorded events and odd ones byte for byte alike`,
    needed,
    async () => {
      await using master = await startSaltMaster(version)
      const { confDir, sockDir } = master
      await using stack = new AsyncDisposableStack()
      const watchers = [[], ['pretty=True']].map((more) => ({
        real: stack.use(saltRun(confDir, 'state.event', ...more)),
        ours: stack.use(new LineProcess(VIRBUS, ['salt-run', '-c', confDir, 'state.event', ...more])),
      }))
      const all = watchers.flatMap(({ real, ours }) => [real, ours])
      await using bus = await getEvent('master', { sockDir })
      await fireUntil(bus, 'sync', () => all.every((watcher) => prints(watcher, 'sync')))
      await bus.fireEvent({}, 'begin')
      for (const [tag, data] of RECORDED) await bus.fireEvent(data, tag, 10_000)
      for (const data of SAMPLES) await bus.fireEvent(data, 'odd/ünï', 10_000)
      await bus.fireEvent({}, 'end')
      await Promise.all(all.map((watcher) => watcher.lines(/^end\t/)))
      for (const { real, ours } of watchers) {
        const expected = between(real, 'begin', 'end')
        assert.deepEqual(between(ours, 'begin', 'end'), expected)
        assert.ok(expected.filter((line) => line.includes('\t')).length >= RECORDED.length + SAMPLES.length)
      }
    },
  )

  test(`state.event of Salt ${version} and ours count, keep quiet and end alike`, needed, async () => {
    await using master = await startSaltMaster(version)
    const { confDir, sockDir } = master
    await using bus = await getEvent('master', { sockDir })
    for (const args of [
      ['my/*', 'count=1'],
      ['tagmatch=m[ay]/(one|two)', 'count=0', 'pretty=yes'],
      ['my/|x', 'count=1', 'quiet=True', '--out=json'],
      ['my/one', 'count=1', '--quiet'],
      ['my/one', 'count=0x1', 'quiet=1', '--out=yaml'],
    ]) {
      await using real = saltRun(confDir, 'state.event', ...args)
      await using ours = new LineProcess(VIRBUS, ['salt-run', '-c', confDir, 'state.event', ...args])
      await fireUntil(bus, 'my/one', () => [real, ours].every(({ child }) => child.exitCode !== null))
      const [expected, found] = [real, ours].map(({ stdout }) =>
        stdout.join('\n').replace(/"_stamp": "[^"]+"/, ''),
      )
      assert.equal(found, expected, args.join(' '))
      assert.equal(await ours.exit(), 0)
    }
  })

  test(`event.send of salt-run ${version} and ours fire alike and print alike`, needed, async () => {
    await using master = await startSaltMaster(version)
    await using bus = await getEvent('master', { sockDir: master.sockDir })
    for (const args of [
      ['my/a', '{foo: bar, n: [1, 2.0, yes, 010, 1_000]}'],
      ['my/b'],
      ['data={a: {b: c}}', 'tag=my/c', '--out=json'],
      ['my/20261120233040204668', '{}', '--out=txt'],
      ['--no-parse=tag', 'tag=my/d', 'data={x: 1}', '--quiet'],
    ]) {
      const find = async (): Promise<unknown> =>
        contentOf(await bus.getEvent({ tag: 'my/', full: true, wait: 60 }))
      await using real = saltRun(master.confDir, 'event.send', ...args)
      const expected = await find()
      assert.equal(await real.exit(), 0)
      const ours = await virbus('salt-run', '-c', master.confDir, 'event.send', ...args)
      assert.deepEqual(await find(), expected)
      assert.deepEqual([ours.code, ours.stdout], [0, real.stdout.join('\n')], ours.stderr)
    }
  })

  test(
    `salt-call --local ${version} and ours fire alike on a minion's bus, and print alike`,
    needed,
    async () => {
      using config = minionConfig('web1', { file_client: 'local' })
      const dialect = version === SALT_RELEASES.split ? 'split' : 'prefixed'
      await using bus = await onBus(config.sockDir, { node: 'minion', id: 'web1' }, dialect satisfies Dialect)
      await using event = await getEvent('minion', { sockDir: bus.sockDir, id: 'web1' })
      for (const args of [
        ['event.fire', '{load: 3, list: [~, 1.5]}', 'my/a'],
        ['event.fire', 'tag=my/b', 'data={a: b}', '--out=json'],
        ['event.send', 'my/c', 'a=1', 'b=yes', '{b: no, c: d}', '--out=yaml'],
        ['event.send', 'my/d', 'with_env=[LANG, HOME]', 'with_env_opts=True', '--out=raw'],
        ['event.send', 'my/e', 'data=text', '--no-parse=x,y', 'x=010', '--out=pprint'],
      ]) {
        const find = async (): Promise<unknown> =>
          contentOf(await event.getEvent({ tag: 'my/', full: true, wait: 60 }))
        const options = ['-c', config.confDir, '--local']
        await using real = new LineProcess(saltProgram(version, 'salt-call'), [...options, ...args])
        const expected = await find()
        assert.equal(await real.exit(), 0)
        const ours = await virbus('salt-call', ...options, ...args)
        assert.deepEqual(await find(), expected)
        assert.deepEqual([ours.code, ours.stdout], [0, real.stdout.join('\n')], ours.stderr)
      }
    },
  )

  test(
    `a real minion ${version} sends on what salt-call asks it to, as if its own salt-call had sent it`,
    needed,
    async () => {
      await using master = await startSaltMaster(version, { auto_accept: true })
      await using bus = await getEvent('master', { sockDir: master.sockDir })
      await using minion = await startSaltMinion(version, master, 'web1')
      assert.notEqual(await bus.getEvent({ tag: 'salt/minion/web1/start', wait: 60 }), null)
      for (const args of [
        ['event.fire_master', '{load: 3}', 'my/a'],
        ['event.send', 'my/b', 'a=1', '{c: d}'],
      ]) {
        const find = async (): Promise<[string, Record<string, unknown>]> =>
          contentOf(await bus.getEvent({ tag: 'my/', full: true, wait: 60 }))
        await using real = new LineProcess(saltProgram(version, 'salt-call'), ['-c', minion.confDir, ...args])
        const expected = await find()
        assert.equal(await real.exit(), 0)
        const ours = await virbus('salt-call', '-c', minion.confDir, ...args)
        // The one trace of the way over the minion, which its own modules in a job leave, too.
        const [tag, { pretag, ...data }] = await find()
        assert.deepEqual([pretag, tag, data], [null, ...expected])
        assert.deepEqual([ours.code, ours.stdout], [0, real.stdout.join('\n')], ours.stderr)
      }
    },
  )
}

/** Tag and data, without what differs from one call to the next: times, process and job ids. */
function contentOf(event: WireEvent | null): [string, Record<string, unknown>] {
  assert.ok(event)
  const data = decode(event.payload, { floats: 'exact' })
  const seen = JSON.stringify(data, (key, value: unknown) =>
    ['_stamp', 'ts', '__pub_pid', '__pub_jid'].includes(key) ? typeof value : value,
  )
  return [event.tag, JSON.parse(seen)]
}

for (const version of [SALT_RELEASES.prefixed, SALT_RELEASES.split])
  test(
    `a return is printed as by each outputter of Salt ${version}`,
    needs(saltPython(version)),
    async () => {
      const theirs = await pythonFilter(saltPython(version), 'salt_output.py', OUTPUTTERS)
      for (const [index, out] of OUTPUTTERS.entries()) {
        const isUnknown = version === SALT_RELEASES.split && ['newline_values_only', 'quiet'].includes(out)
        const taken = isUnknown ? 'nested' : out
        const ours = [
          ...[null, true, false].map((value) => returnText(value, taken)),
          ...[true, false].map((value) => localText(value, taken)),
        ]
        assert.deepEqual(ours, JSON.parse(theirs[index] ?? ''), out)
      }
    },
  )
