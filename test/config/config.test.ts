import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/index.ts'

test("Salt's own form for engines is taken, with and without settings", () => {
  const config = parseConfig(
    `engines:
  - libvirt_events:
      uri: lxc:///
      tag_prefix: libvirt
      filters:
        - domain/lifecycle
        - pool
  - libvirt_events
  - libvirt_events:
`,
    'c.yml',
  )
  assert.deepEqual(config, {
    engines: [
      { libvirt_events: { uri: 'lxc:///', tag_prefix: 'libvirt', filters: ['domain/lifecycle', 'pool'] } },
      { libvirt_events: {} },
      { libvirt_events: {} },
    ],
  })
})

test('an empty file is an empty configuration', () => {
  assert.deepEqual(parseConfig('', 'c.yml'), {})
  assert.deepEqual(parseConfig('# nothing\n', 'c.yml'), {})
})

for (const [what, text, message] of [
  ['an unknown key', 'sock_dir: /run\nwyre: classic\n', /^c\.yml:2: wyre: unknown key$/],
  ['a wrong value', 'wire: old\n', /^c\.yml:1: wire: Invalid option/],
  [
    'an unknown key of an engine',
    'engines:\n  - libvirt_events:\n      url: x\n',
    /^c\.yml:3: engines\.0\.libvirt_events\.url: unknown key$/,
  ],
  [
    'a wrong type in an engine',
    'engines:\n  - libvirt_events:\n      filters: all\n',
    /^c\.yml:3: engines\.0\.libvirt_events\.filters: .*expected array/,
  ],
  ['another engine', 'engines:\n  - docker_events\n', /^c\.yml:2: engines\.0: expected 'libvirt_events'/],
  [
    'a UUID that is none',
    'engines:\n  - libvirt_events:\n      guests:\n        uuids: [web1]\n',
    /^c\.yml:4: engines\.0\.libvirt_events\.guests\.uuids\.0: not a UUID$/,
  ],
  [
    'a guest filter of nothing',
    'engines:\n  - libvirt_events:\n      guests: {}\n',
    /^c\.yml:3: engines\.0\.libvirt_events\.guests: expected names, uuids or metadata$/,
  ],
  [
    'a metadata filter of another form',
    'engines:\n  - libvirt_events:\n      guests:\n        metadata: [5]\n',
    /^c\.yml:4: engines\.0\.libvirt_events\.guests\.metadata\.0: .*expected string.*, or .*expected object/,
  ],
  [
    'a mode without quotes, which YAML reads as another number,',
    'access:\n  pull: {mode: 0660}\n',
    /^c\.yml:2: access\.pull\.mode: expected a mode in quotes, such as '0660'$/,
  ],
  [
    'a mode that is none',
    "access:\n  control: {mode: '0680'}\n",
    /^c\.yml:2: access\.control\.mode: expected a mode in quotes/,
  ],
  [
    'a reserved tag that would reserve nothing',
    'access:\n  reserved:\n    tags: [my/]\n',
    /^c\.yml:3: access\.reserved\.tags\.0: expected a tag that does not end with \/$/,
  ],
  [
    'a limit of nothing',
    'access:\n  limits: {bytes_per_second: 0KiB}\n',
    /^c\.yml:2: access\.limits\.bytes_per_second: expected at least 1KiB$/,
  ],
  ['a list at the top', '- a\n', /^c\.yml:1: the file: .*expected object/],
] as const)
  test(`${what} is named with its line`, () => {
    assert.throws(() => parseConfig(text, 'c.yml'), { code: 'ERR_CONFIG_INVALID', message })
  })

test('access is taken with names and numbers', () => {
  const text = `access:
  pub: {mode: '0660', owner: 5, group: ops}
  pull: {mode: '666'}
  reserved: {users: [salt, 7], tags: [salt]}
  limits: {events_per_second: 10, bytes_per_second: 2KiB}
`
  assert.deepEqual(parseConfig(text, 'c.yml').access, {
    pub: { mode: 0o660, owner: 5, group: 'ops' },
    pull: { mode: 0o666 },
    reserved: { users: ['salt', 7], tags: ['salt'] },
    limits: { events_per_second: 10, bytes_per_second: 2048 },
  })
  assert.deepEqual(parseConfig('access: {reserved: {users: any}}\n', 'c.yml').access, {
    reserved: { users: 'any' },
  })
})

test('what is not YAML is named with line and column', () => {
  assert.throws(() => parseConfig('a: [1\nb: 2\n', 'c.yml'), {
    code: 'ERR_CONFIG_SYNTAX',
    message: /^c\.yml:2:1: /,
  })
})

test('a document that multiplies itself by aliases is refused', () => {
  const rows = ['a0: &a0 [x,x,x,x,x,x,x,x,x]']
  for (let n = 1; n < 9; n++)
    rows.push(`a${n}: &a${n} [${Array.from({ length: 9 }, () => `*a${n - 1}`).join(',')}]`)
  assert.throws(() => parseConfig(rows.join('\n'), 'c.yml'), { code: 'ERR_CONFIG_SYNTAX' })
})
