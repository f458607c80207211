import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { conditioned, parseInput } from '../../src/cli/salt-args.ts'
import type { MsgpackValue } from '../../src/msgpack/index.ts'
import { needs, SALT_RELEASES, saltPython } from '../support/peers.ts'
import { pythonFilter, sorted, typed } from '../support/python.ts'

const VALUES = [
  ...[
    'yes',
    'Yes',
    'YES',
    'no',
    'on',
    'Off',
    'true',
    'TRUE',
    'True',
    'tRue',
    'y',
    'n',
    'Y',
    'None',
    'null',
    'Null',
    '~',
    '',
  ],
  ...[
    '0',
    '00',
    '1',
    '-1',
    '+1',
    '007',
    '010',
    '-010',
    '+010',
    '08',
    '0x10',
    '0xfF',
    '-0x10',
    '0b101',
    '0o17',
    '0x',
    '0b',
    '0_7',
  ],
  ...[
    '1_000',
    '_1',
    '1_',
    '1__0',
    '-1_000',
    '1_000.5',
    '9223372036854775807',
    '-9223372036854775808',
    '18446744073709551616',
  ],
  ...[
    '1.0',
    '1.',
    '.5',
    '-.5',
    '1e5',
    '1.0e5',
    '1.0e+5',
    '1.5e-3',
    '1E+5',
    '.inf',
    '-.INF',
    '+.inf',
    '.nan',
    '.NaN',
    'inf',
    'nan',
  ],
  ...[
    '1:30',
    '1:30:15',
    '-1:30',
    '1:60',
    '0:30',
    '1:30.5',
    '12:34:56',
    '2026-11-20',
    '2026-11-20T23:30:40Z',
    '20261120233040204668',
  ],
  ...[
    'text',
    'two words',
    ' lead',
    'trail ',
    '"quoted"',
    "'single'",
    "'it''s'",
    '"a\\u263ab"',
    '"open',
    "'open",
    '"a\\tb"',
  ],
  ...[
    '{}',
    '[]',
    '{a: 1}',
    '{a:1}',
    '{a: 1, b: [1, 2, {c: null}]}',
    '{"a":"b"}',
    '{a: 1, a: 2}',
    '{1: x, true: y}',
    '{[1]: 2}',
    '{a}',
  ],
  ...[
    '[1, two, 3.0, yes, ~]',
    '[a',
    'a]',
    '{a: 1',
    '[1,]',
    '[,]',
    '[a, [b, c]]',
    '{a: {b: {c: d}}}',
    '[=]',
    '{=: 1}',
    '{a: =}',
  ],
  ...[
    'a: b',
    'a: b: c',
    'a:b',
    '- a',
    '-',
    '- ',
    '? a',
    ':',
    ': a',
    'key:',
    '|',
    '>',
    '!',
    '!!',
    '! a',
    '!foo',
    '!foo bar',
    '!!str 3',
  ],
  ...[
    '!!int "3"',
    '!!float 1',
    '!!bool yes',
    '*',
    '*a',
    '**',
    'salt/job/*',
    '&',
    '&a',
    '&a b',
    '[&a 1, *a]',
    '%',
    '%a',
    '@',
    '@a',
    '`a`',
  ],
  ...[
    '#',
    '# a',
    'a # b',
    'a#b',
    '[1] # c',
    '1 # c',
    '"a" # b',
    '{a: 1} #',
    ' #',
    '~ # x',
    '---',
    '...',
    '--- a',
    '--- 1',
    ' --- ',
  ],
  ...[
    '<<',
    '{<<: {a: 1}, b: 2}',
    '[<<]',
    '=',
    '==',
    '{a: "x\\ny"}',
    'ünï',
    '☃',
    '😀',
    '{ünï: ☃}',
    '\u0001',
    '\u001b[0m',
    'a\tb',
    'a\nb',
  ],
  ...[
    '[yes, no, on, off, y, n]',
    '[010, 0x10, 1_000, 1:30]',
    '[0_]',
    '[0b]',
    '[-0x_]',
    '[\'yes\', "1"]',
    '{yes: no}',
    '{1: 2}',
    '{1.5: 2}',
  ],
  ...[
    '{null: 1}',
    '{~: 1}',
    "{'': 1}",
    '[ ]',
    '{ }',
    '[[[]]]',
    '{a: , b: }',
    '[a, , b]',
    'a, b',
    "it's",
    'C:\\dir',
    '\\',
    '"\\x41"',
    '"\\q"',
  ],
  ...[
    '0.',
    '00.5',
    '1.5.5',
    '1..5',
    '+.5',
    '+5.',
    '1e',
    '-',
    '+',
    '--',
    '-a',
    '.',
    '..',
    '_',
    '__',
    '0x_',
    '1:2:3:4',
    '60:00',
    '1:5',
  ],
]

const LINES: string[][] = [
  ...VALUES.map((value) => [value]),
  ...VALUES.map((value) => [`key=${value}`]),
  ['a', 'b=c', 'd=[1, 2]', 'e', 'b=last'],
  [
    'a==b',
    '1a=b',
    '_a=b',
    'a.b-c=1',
    'é=1',
    'a b=c',
    '=b',
    '-a=b',
    'a=b=c',
    'a=',
    "a='x=y'",
    'a-=1',
    '٣a=1',
    'a٣=1',
    'x²=2',
    '²x=1',
  ],
  ['a=1\n', 'a=1\nb', 'a\n=1', 'a=\n', 'kept=010', 'kept=[1'],
]

interface Difference {
  readonly args: readonly string[]
  readonly expected: string | undefined
  readonly found: string | undefined
}

async function differences(version: string, lines: readonly string[][]): Promise<Difference[]> {
  const requests = lines.map((args) => JSON.stringify({ args, no_parse: ['kept'] }))
  const theirs = await pythonFilter(saltPython(version), 'salt_args.py', requests)
  return lines.flatMap((args, index) => {
    const { positional, keywords } = parseInput(args, ['kept'])
    // What YAML gives has a MessagePack form.
    const ours = [typed(positional as MsgpackValue[]), typed(keywords as Map<string, MsgpackValue>)]
    const [expected, found] = [JSON.parse(theirs[index] ?? ''), ours].map((one) =>
      JSON.stringify(one.map(sorted)),
    )
    return expected === found ? [] : [{ args, expected, found }]
  })
}

for (const version of [SALT_RELEASES.prefixed, SALT_RELEASES.split])
  test(`arguments mean what they mean to Salt ${version}`, needs(saltPython(version)), async () => {
    assert.deepEqual(await differences(version, LINES), [])
  })

test(
  'arguments put together at random mean what they mean to Salt, or stay text',
  needs(saltPython(SALT_RELEASES.split)),
  async () => {
    const plain = VALUES.filter((value) => !value.includes('!'))
    const piece = fc.constantFrom(...plain, ...' :,-[]{}\'"#&*|>%@~_.0123456789abxe+=?')
    const text = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''))
    const nested = fc
      .tuple(fc.constantFrom('[', '{a: '), text, fc.constantFrom(', ', ''), text)
      .map(([open, one, comma, two]) => `${open}${one}${comma}${comma ? two : ''}${open === '[' ? ']' : '}'}`)
    const lines = fc.sample(fc.oneof(text, nested), { numRuns: 3000, seed: 7 }).map((one) => [one])
    const all = await differences(SALT_RELEASES.split, lines)
    const asText = ([arg = '']: readonly string[]): string => JSON.stringify([typed([arg]), typed({})])
    assert.deepEqual(
      all.filter(({ args, found }) => found !== asText(args)),
      [],
    )
    assert.ok(all.length < 30, `${all.length} of 3000 stay text here and not there`)
  },
)

test('a quoted keyword is one all the same, and the id of a job stays text', () => {
  const { positional, keywords } = conditioned(parseInput(['20261120233040204668', '"a=[1]"', 'b=2', '7']))
  assert.deepEqual(positional, ['20261120233040204668', 7])
  assert.deepEqual(
    [...keywords],
    [
      ['a', [1]],
      ['b', 2],
    ],
  )
})
