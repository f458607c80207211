import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventData, selectKinds } from '../../src/bridges/index.ts'
import type { LibvirtEvent } from '../../src/libvirt/index.ts'
import { PROVOKED } from '../bridges/parity/kinds.ts'
import { variations } from '../bridges/parity/variations.ts'

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/engine.md'), 'utf8')
const ROWS = [...PAGE.matchAll(/^\| `([a-z]+\/[a-z_]+)` \| (.*?) \| `(.*?)` \| (.*?) \|$/gm)].map(
  ([, kind = '', fields = '', example = '', provoked = '']) => ({ kind, fields, example, provoked }),
)

const dom = { name: 'n', uuid: '1e000000-0000-4000-8000-00000000000a', id: 1 }
const net = { name: dom.name, uuid: dom.uuid }
/** Kinds that the Salt engine does not have, so that they are not among the variations. */
const NEWER: readonly LibvirtEvent[] = [
  { callbackID: 1, object: 'domain', kind: 'memory_failure', dom, recipient: 1, action: 1, flags: 1 },
  {
    callbackID: 1,
    object: 'domain',
    kind: 'memory_device_size_change',
    dom,
    alias: 'virtiomem0',
    size: 131072,
  },
  {
    ...{ callbackID: 1, object: 'domain', kind: 'nic_mac_change', dom, alias: 'net0' },
    ...{ oldMAC: '52:54:00:00:00:01', newMAC: '52:54:00:00:00:02' },
  },
  { callbackID: 1, object: 'domain', kind: 'vcpu_removed', dom, vcpuid: 1 },
  {
    callbackID: 1,
    object: 'domain',
    kind: 'channel_lifecycle',
    dom,
    channelName: 'org.example.port',
    state: 1,
    reason: 2,
  },
  { callbackID: 1, object: 'network', kind: 'metadata_change', net, type: 1, nsuri: null },
]

const NAMES = new Map(selectKinds().map(({ object, name, kind }) => [`${object}/${kind.kind}`, name]))

/** Names of the fields beside `uri` and the object, by kind. */
function fieldsByKind(): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>()
  const events: LibvirtEvent[] = [...variations().map((body) => ({ callbackID: 1, ...body })), ...NEWER]
  for (const event of events) {
    const name = NAMES.get(`${event.object}/${event.kind}`)
    if (name === undefined) continue
    const { uri: _, [event.object]: __, ...data } = eventData(event, 'test:///default', name)
    all.set(`${event.object}/${name}`, new Set(Object.keys(data)))
  }
  return all
}

test('docs/engine.md has every kind, with an example that has exactly its fields', () => {
  const fields = fieldsByKind()
  assert.deepEqual(ROWS.map(({ kind }) => kind).sort(), [...fields.keys()].sort())
  assert.deepEqual(
    [...fields.keys()].sort(),
    selectKinds()
      .map(({ object, name }) => `${object}/${name}`)
      .sort(),
  )
  for (const row of ROWS) {
    const example: Record<string, unknown> = JSON.parse(row.example)
    assert.deepEqual(Object.keys(example), [...(fields.get(row.kind) ?? [])], row.kind)
    for (const name of Object.keys(example))
      assert.ok(
        name === 'event' || row.fields.includes(`\`${name}\``) || row.fields.startsWith('as of'),
        `${row.kind} ${name}`,
      )
    assert.equal(row.provoked, PROVOKED[row.kind] ?? row.provoked)
    assert.equal(row.provoked.startsWith('not here'), !(row.kind in PROVOKED), row.kind)
  }
})

test('the words of newer events are those of their examples', () => {
  for (const event of NEWER) {
    const name = NAMES.get(`${event.object}/${event.kind}`) ?? ''
    const { uri: _, [event.object]: __, ...data } = eventData(event, 'test:///default', name)
    const row = ROWS.find(({ kind }) => kind === `${event.object}/${name}`)
    assert.deepEqual(JSON.parse(row?.example ?? '{}'), data)
  }
})
