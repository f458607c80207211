import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, Ext } from '../../src/msgpack/index.ts'
import {
  decodeDatetime,
  encodeDatetime,
  StampClock,
  socketNames,
  tagify,
  tagMatcher,
} from '../../src/salt/index.ts'
import { packTrimmed } from '../../src/salt/trim.ts'
import { coded } from './support.ts'

test('tags are joined as tagify does', () => {
  assert.equal(tagify('web1', 'minion'), 'salt/minion/web1')
  assert.equal(tagify(['2026', 'ret', 'web1'], 'job'), 'salt/job/2026/ret/web1')
  assert.equal(tagify('x', '', ''), 'x')
  assert.equal(tagify(), 'salt')
  assert.equal(tagify([1, '', 'a'], 'own', 'base'), 'base/own/1/a')
})

test('stamps have the form of each release, six digits, and do not run back', () => {
  const naive = new StampClock()
  const stamps = Array.from({ length: 10_000 }, () => naive.now())
  for (const stamp of stamps) assert.match(stamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/)
  assert.deepEqual(stamps, stamps.toSorted())
  assert.ok(Math.abs(Date.parse(`${stamps[0]}Z`) - Date.now()) < 5000)
  assert.match(new StampClock('offset').now(), /\.\d{6}\+00:00$/)
})

test('sockets have the names that Salt gives them', () => {
  assert.deepEqual(socketNames({}), { pub: 'master_event_pub.ipc', pull: 'master_event_pull.ipc' })
  // python3 -c "import hashlib; print(hashlib.sha256(b'web1').hexdigest()[:10])"
  assert.equal(socketNames({ node: 'minion', id: 'web1' }).pub, 'minion_event_659a7fb2af_pub.ipc')
  assert.equal(
    socketNames({ node: 'minion', id: 'web1', hashType: 'md5' }).pull,
    'minion_event_e694aa37ab_pull.ipc',
  )
})

test('tags match as in salt.utils.event', () => {
  const tag = 'salt/job/2026[1]/ret/web1'
  assert.ok(tagMatcher('salt/job', 'startswith')(tag))
  assert.ok(tagMatcher('web1', 'endswith')(tag))
  assert.ok(tagMatcher('ret', 'find')(tag))
  assert.ok(tagMatcher('salt/(?P<kind>job|run)/', 'regex')(tag))
  assert.ok(!tagMatcher('job', 'regex')(tag))
  assert.ok(tagMatcher('salt/*/web?', 'fnmatch')(tag))
  assert.ok(tagMatcher('salt/job/2026[[]1]/[!a-q]et/*', 'fnmatch')(tag))
  assert.ok(!tagMatcher('job', 'fnmatch')(tag))
  assert.ok(tagMatcher('a[b', 'fnmatch')('a[b'))
  assert.ok(tagMatcher('a.b\\', 'fnmatch')('a.b\\'))
  assert.throws(() => tagMatcher('(', 'regex'), coded('ERR_SALT_MATCH'))
})

test('datetimes are the extension that Salt packs', () => {
  const ext = encodeDatetime(new Date('2026-11-20T23:30:40.204Z'))
  assert.deepEqual(ext, new Ext(78, Buffer.from('20261120T23:30:40.204000')))
  assert.equal(decodeDatetime(ext), '2026-11-20T23:30:40.204000')
  assert.equal(decodeDatetime(new Ext(79, ext.data)), undefined)
  assert.equal(decodeDatetime(new Ext(78, Buffer.from('x'))), undefined)
})

test('large values are trimmed, in inner maps too, and what was given is left as it is', () => {
  const data = { large: 'x'.repeat(700), inner: { large: Buffer.alloc(600), list: [1] }, small: 'y' }
  assert.deepEqual(decode(packTrimmed(data, 1000)), {
    large: 'VALUE_TRIMMED',
    inner: { large: 'VALUE_TRIMMED', list: [1] },
    small: 'y',
  })
  assert.equal(data.inner.large.length, 600)
  assert.deepEqual(decode(packTrimmed({ a: 'x'.repeat(300), b: 'y' }, 1000)), { a: 'x'.repeat(300), b: 'y' })
})
