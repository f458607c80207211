import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ext, Float, type MsgpackValue } from '../../src/msgpack/index.ts'
import type { Dialect } from '../../src/salt/index.ts'
import { needs, SALT_RELEASES, saltPython, tempDir } from '../support/peers.ts'
import { PythonScript, sorted, typed } from '../support/python.ts'
import { saltProgram, startSaltMaster } from '../support/salt-master.ts'
import { startBus } from './support.ts'
import { type Answer, perform, type Step } from './twin.ts'

/** Two starts of a salt-master and four times the scenario. */
const LIMIT_MS = 180_000

/** For what is not coming: how long it is waited for makes no difference. */
const SHORT_S = 0.3

const data = (value: MsgpackValue): unknown => typed(value)
const fire = (...tags: string[]): Step[] =>
  tags.map((tag) => ({ do: 'fire', as: 'f', tag, data: data({ of: tag }) }))
const get = (tag: string, more: Partial<Step> = {}): Step => ({
  do: 'get',
  as: 'w',
  tag,
  full: true,
  wait: 30,
  ...more,
})
/** Fires an event and reads up to it: whatever came before has been looked at then. */
const mark = (name: string): Step[] => [...fire(`mark/${name}`), get(`mark/${name}`)]
const pending: Step = { do: 'pending', as: 'w' }
const revive = (tag: string): Step => ({ do: 'revive', as: 'w', by: 'f', tag, full: true, data: data({}) })

const MATCHING = ['a/b', 'a/bc', 'x/a/b', 'a[b', 'salt/job/1/ret/web1', 'end', 'ünï/b']
/** Kind of matching, what is matched, and how many are asked for: the second of one match comes to nothing. */
const PATTERNS: Step[] = (
  [
    ['startswith', 'a/bc', 1],
    ['endswith', '/b', 2],
    ['find', '/a', 1],
    ['regex', 'a.b|end', 2],
    ['regex', '(?P<x>a).bc$', 1],
    ['fnmatch', '*a[!b]b*', 2],
    ['fnmatch', 'x/?/[a-c]', 1],
    ['fnmatch', 'a[[]b', 1],
  ] as const
).flatMap(([match_type, tag, matches], index) => [
  ...fire(...MATCHING),
  get(tag, { match_type }),
  get(tag, { match_type, wait: matches === 2 ? 30 : SHORT_S }),
  ...mark(`match${index}`),
])

const VALUES: MsgpackValue[] = [
  {},
  { text: 'zoë ☃ 😀 \u0000 \n\n', '': 'empty key', ünï: 1 },
  { bytes: Buffer.from([0, 0xff, 0x80, 10, 10]), utf8: Buffer.from('é') },
  { nested: { list: [1, [2, { three: null }], true, false], empty: {}, none: [] } },
  { max: 2n ** 63n - 1n, min: -(2n ** 63n), unsigned: 2n ** 64n - 1n, safe: Number.MAX_SAFE_INTEGER },
  { whole: new Float(1), third: 1 / 3, large: new Float(1e300), zero: new Float(-0) },
  {
    keys: new Map<MsgpackValue, MsgpackValue>([[1, 'one']]),
    when: new Ext(78, Buffer.from('20261120T23:30:40.204668')),
  },
  { _stamp: 7, large: 'x'.repeat(200_000) },
]

const SCENARIO: Step[] = [
  { do: 'connect', as: 'w' },
  { do: 'connect', as: 'f', listen: false },
  revive('sync/first'),
  ...mark('first'),
  ...VALUES.flatMap((value, index): Step[] => [
    { do: 'fire', as: 'f', tag: `value/${index}`, data: data(value) },
    get(`value/${index}`, { full: index % 2 === 0 }),
  ]),
  // What is no event.
  { do: 'fire', as: 'f', tag: '', data: data({}) },
  ...[null, [1], 'text', 7].map((value): Step => ({ do: 'fire', as: 'f', tag: 'no', data: data(value) })),
  ...PATTERNS,
  ...fire('z/1'),
  get('(', { match_type: 'regex' }),
  ...mark('regex'),
  // The empty tag matches everything; what another tag is asked for is thrown away unless subscribed to.
  ...fire('any/1', 'any/2', 'any/3'),
  get(''),
  get('any/3'),
  get('any/2', { wait: SHORT_S }),
  { do: 'get', as: 'w', no_block: true },
  { do: 'subscribe', as: 'w', tag: 'p/' },
  { do: 'subscribe', as: 'w', tag: 'p/' },
  { do: 'subscribe', as: 'w', tag: '/q', match_type: 'endswith' },
  { do: 'subscribe', as: 'w' },
  ...fire('p/1', 'x/q', 'n/1', 'p/2', 'p/q', 'p/3'),
  ...mark('pending'),
  pending,
  get('p/2'),
  pending,
  get('n/', { wait: SHORT_S }),
  get('x', { match_type: 'find', full: false }),
  get('p/*', { match_type: 'fnmatch', no_block: true }),
  pending,
  { do: 'unsubscribe', as: 'w', tag: 'p/' },
  { do: 'unsubscribe', as: 'w', tag: 'never' },
  pending,
  { do: 'unsubscribe', as: 'w', tag: 'p/' },
  pending,
  { do: 'unsubscribe', as: 'w', tag: '/q', match_type: 'startswith' },
  pending,
  get('', { wait: 0 }),
  { do: 'unsubscribe', as: 'w', tag: '/q', match_type: 'endswith' },
  pending,
  ...fire('p/4'),
  ...mark('unsubscribed'),
  pending,
  // Each look without waiting is at one event.
  ...fire('poll/1', 'poll/2', 'poll/3'),
  { do: 'poll', as: 'w', tag: 'poll/2', full: true },
  { do: 'poll', as: 'w', tag: 'poll/' },
  { do: 'get', as: 'w', no_block: true, tag: 'poll/' },
  ...fire('wait/1'),
  get('wait/', { wait: 0 }),
  ...fire('i/1', 'j/1', 'i/2', 'i/3', 'i/4'),
  { do: 'iterate', as: 'w', tag: 'i/', n: 2, full: true },
  { do: 'iterate', as: 'w', tag: 'i/[3-4]', match_type: 'fnmatch', n: 2 },
  { do: 'get', as: 'f', wait: SHORT_S, tag: 'none' },
  // Closing forgets what was kept, not what is subscribed to.
  { do: 'subscribe', as: 'w', tag: 'c/' },
  ...fire('c/1'),
  ...mark('close'),
  pending,
  { do: 'close', as: 'w' },
  pending,
  revive('sync/closed'),
  ...fire('c/2'),
  ...mark('closed'),
  pending,
  { do: 'restart' },
  revive('sync/restarted'),
  ...mark('restarted'),
  pending,
  ...(
    [
      ['x', 'job'],
      [['1', 'ret', 'web1'], 'job'],
      ['', '', ''],
      [['a', '', 'b'], 'own', 'base'],
    ] as const
  ).map(
    ([suffix, ...others]): Step => ({
      do: 'tagify',
      args: [typeof suffix === 'string' ? suffix : [...suffix], ...others],
    }),
  ),
]

const END: Step = { do: 'destroy', as: 'w' }

/** What is asked for raw. `get_event_noblock` and `get_event_block` of 3006 raise AttributeError on every event. */
const RAW: Step[] = [
  { do: 'subscribe', as: 'w', tag: 'r/' },
  ...fire('r/1', 's/1', 'r/2', 'r/3'),
  { do: 'block', as: 'w' },
  { do: 'raw', as: 'w' },
  get('r/3'),
  ...fire('r/4'),
  { do: 'block', as: 'w' },
  pending,
  END,
]

async function performInPython(
  version: string,
  steps: readonly Step[],
  sockDir: string,
  restart: () => Promise<void>,
): Promise<Answer[]> {
  await using script = new PythonScript(saltPython(version), 'salt_twin.py', [sockDir])
  script.send(JSON.stringify(steps))
  const answers: Answer[] = []
  while (answers.length < steps.length) {
    const line = (await script.json()) as { result?: unknown; error?: string; restart?: true } // salt_twin.py says so
    if (line.restart) {
      await restart()
      script.send('')
    } else answers.push(line.error === undefined ? { result: inOrder(line.result) } : { error: line.error })
  }
  return answers
}

/** The entries of maps in one order, wherever a form stands in what a step gave. */
function inOrder(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return value[0] === 'map' ? sorted(value) : value.map(inOrder)
}

/** Compares step by step, so that a difference names its step. */
function assertSame(steps: readonly Step[], answers: readonly Answer[], expected: readonly Answer[]): void {
  for (const [index, step] of steps.entries())
    assert.deepEqual(answers[index], expected[index], `step ${index}: ${JSON.stringify(step).slice(0, 200)}`)
}

for (const [dialect, version] of Object.entries(SALT_RELEASES)) {
  const start = async (): Promise<{ sockDir: string; restart: () => Promise<void> } & AsyncDisposable> => {
    const dir = tempDir()
    const { path: sockDir } = dir
    let bus = await startBus(dialect as Dialect, { sockDir }) // the keys of SALT_RELEASES are dialects
    return {
      sockDir,
      restart: async () => {
        await bus[Symbol.asyncDispose]()
        bus = await startBus(dialect as Dialect, { sockDir })
      },
      [Symbol.asyncDispose]: async () => {
        await bus[Symbol.asyncDispose]()
        dir[Symbol.dispose]()
      },
    }
  }

  test(`on a real bus of Salt ${version} and on ours, salt.utils.event and this library give the same`, {
    ...needs(saltProgram(version, 'salt-master')),
    timeout: LIMIT_MS,
  }, async () => {
    await using master = await startSaltMaster(version)
    const steps: Step[] = [...SCENARIO, ...(version === SALT_RELEASES.split ? RAW : [END])]
    const real = await performInPython(version, steps, master.sockDir, master.restart)
    assertSame(steps, await perform(steps, master.sockDir, master.restart), real)
    await using ours = await start()
    assertSame(steps, await performInPython(version, steps, ours.sockDir, ours.restart), real)
    assertSame(steps, await perform(steps, ours.sockDir, ours.restart), real)
  })
}
