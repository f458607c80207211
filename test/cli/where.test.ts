import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseTime } from '../../src/cli/time-arg.ts'
import { parseWhere, WhereError } from '../../src/cli/where.ts'
import { decode, encode } from '../../src/msgpack/index.ts'

const event = {
  tag: 'salt/engines/libvirt_events/qemu/system/domain/lifecycle',
  data: decode(
    encode({
      domain: { name: 'web1', id: 7, uuid: 'x' },
      event: 'started',
      list: ['a', { b: 2 }],
      'a name': true,
      nothing: null,
      zero: 0,
      big: 2n ** 60n,
      half: 0.5,
    }),
    { floats: 'exact' },
  ),
}

test('conditions hold or do not', () => {
  for (const [text, holds] of [
    ['data.domain.name == "web*"', true],
    ["data.domain.name == 'web?'", true],
    ['data.domain.name == "db*"', false],
    ['data.domain.name != "db*" and data.event == "started"', true],
    ['data.event == "stopped" or data.domain.id == 7', true],
    ['data.event == "stopped" or data.domain.id == 7 and data.zero', false],
    ['(data.event == "stopped" or data.domain.id == 7) and not data.zero', true],
    ['data.domain.id>=7&&data.domain.id<8||!tag', true],
    ['data.half < 1 and data.half > 0.4', true],
    ['data.big > 1e17', true],
    ['data.event > "s" and data.event <= "started"', true],
    ['data.event > 3', false],
    ['data.nothing == null and data.missing == null', true],
    ['data.nothing', false],
    ['data["a name"]', true],
    ['data["a name"] == true', true],
    ['data.list.0 == "a" and data.list.1.b == 2', true],
    ['data.constructor', false],
    ['data.domain.__proto__', false],
    ['tag == "*/lifecycle"', true],
    ['not not tag', true],
  ] as const)
    assert.equal(parseWhere(text)(event), holds, text)
})

test('what is no condition says where it is wrong', () => {
  for (const [text, message] of [
    ['', /expected a name such as data.event at the end \(character 1\)/],
    ['data.a = 1', /not understood at '= 1' \(character 7\)/],
    ['data.a == ', /expected a text in quotes.* at the end/],
    ['data.a == b', /a name begins with tag or data at 'b'/],
    ['data.a == "b', /not understood at '"b'/],
    ['(data.a', /expected \) at the end/],
    ['data.a data.b', /not understood at 'data.b'/],
    [`${'('.repeat(200)}tag`, /too deep/],
    [`${'!'.repeat(200)}tag`, /too deep/],
    ['x'.repeat(20_000), /over 10000 characters/],
  ] as const)
    assert.throws(() => parseWhere(text), { code: 'ERR_CLI_WHERE', message }, text.slice(0, 20))
})

test('any text is a condition or the typed error', () => {
  const parts = [
    'data',
    '.',
    'a',
    '==',
    '"x"',
    '(',
    ')',
    'and',
    ' ',
    '!',
    '1',
    '[',
    ']',
    '"',
    'tag',
    '<',
    '\\',
  ]
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 20 }), (words) => {
      try {
        parseWhere(words.join(''))(event)
      } catch (error) {
        assert.ok(error instanceof WhereError, String(error))
      }
    }),
    { numRuns: 5000 },
  )
})

test('times are read as people write them', () => {
  const now = Date.parse('2026-11-21T12:00:00Z')
  assert.equal(parseTime('10m', now), now - 600_000)
  assert.equal(parseTime('2d', now), now - 172_800_000)
  assert.equal(parseTime('@1795222845.5', now), 1_795_222_845_500)
  assert.equal(parseTime('2026-11-21T11:00Z', now), now - 3_600_000)
  assert.equal(parseTime('2026-11-21T13:00:00+01:00', now), now)
  assert.equal(parseTime('2026-11-21', now), new Date(2026, 10, 21).getTime())
  assert.equal(parseTime('2026-11-21 09:30', now), new Date(2026, 10, 21, 9, 30).getTime())
  for (const text of ['', '10', '10x', 'yesterday', '2026-13-01', '2026-11-21T25:00', '@', '1.5h'])
    assert.throws(() => parseTime(text, now), { code: 'ERR_CLI_TIME' }, text)
})
