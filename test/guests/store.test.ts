import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { Logger } from '../../src/core/logger.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { type Guest, GuestStore } from '../../src/guests/index.ts'
import { tempDir } from '../support/peers.ts'

const URI = 'qemu:///system'
const guest = (n: number): Guest => ({
  uuid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  name: `gäst ${n}`,
  id: n % 3 === 0 ? -1 : n,
  state: n % 3 === 0 ? 5 : 1,
  persistent: n % 2 === 0,
})
const byName = (guests: readonly Guest[] = []): Guest[] =>
  guests.toSorted((a, b) => (a.name < b.name ? -1 : 1))

/** Keeps the errors that are logged. */
function errorsOf(): { log: Logger; errors: string[] } {
  const errors: string[] = []
  return { errors, log: { ...silentLogger, error: (_fields, message) => errors.push(message) } }
}

test('what was noted is recalled by the next store, and only for the same URI', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'guests.sqlite')
  {
    using store = await GuestStore.open({ path, log: silentLogger })
    const memory = store.host('a')
    assert.equal(memory.recall(URI), undefined)
    for (let n = 0; n < 10; n++) memory.note(guest(n).uuid, guest(n), 2)
    memory.note(guest(4).uuid, undefined, 1)
    memory.note(guest(5).uuid, { ...guest(5), state: 3 }, 3)
    memory.watched(true)
    assert.deepEqual(store.stats, { uncertain: 0, isBroken: false })
  }
  const before = Date.now()
  using store = await GuestStore.open({ path, log: silentLogger })
  const recalled = store.host('a').recall(URI)
  const expected = Array.from({ length: 10 }, (_, n) => guest(n)).filter((_, n) => n !== 4)
  expected[4] = { ...guest(5), state: 3 }
  assert.deepEqual(byName(recalled?.guests), byName(expected))
  assert.ok(recalled && recalled.seenMs <= before && recalled.seenMs > before - 60_000)
  assert.equal(store.host('b').recall(URI), undefined)
  assert.equal(store.host('a').recall('xen:///system'), undefined)
})

test('what a killed process noted last is uncertain', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'guests.sqlite')
  const program = `
    const { GuestStore } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/guests/index.ts'))})
    const store = await GuestStore.open({ path: ${JSON.stringify(path)}, log: console })
    const memory = store.host('a')
    memory.recall('${URI}')
    memory.note('told', ${JSON.stringify({ ...guest(1), uuid: 'told' })}, 2)
    memory.note('gone', ${JSON.stringify({ ...guest(2), uuid: 'gone' })}, 2)
    memory.watched(true)
    memory.watched(true)
    memory.note('untold', ${JSON.stringify({ ...guest(3), uuid: 'untold' })}, 0)
    memory.note('gone', undefined, 1)
    process.kill(process.pid, 'SIGKILL')`
  assert.equal(spawnSync(process.execPath, ['-e', program]).signal, 'SIGKILL')
  using store = await GuestStore.open({ path, log: silentLogger })
  const recalled = store.host('a').recall(URI)
  assert.deepEqual(
    recalled?.guests.map(({ uuid }) => uuid),
    ['gone', 'told', 'untold'],
  )
  assert.deepEqual(
    [...(recalled?.uncertain ?? [])],
    [
      ['gone', 1],
      ['untold', 0],
    ],
  )
})

test('a second process is told that the store is in use', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'guests.sqlite')
  using _store = await GuestStore.open({ path, log: silentLogger })
  await assert.rejects(GuestStore.open({ path, log: silentLogger }), { code: 'ERR_GUESTS_STORE_IN_USE' })
})

test('a file that is no database is moved aside, one of a newer release is left alone', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'guests.sqlite')
  writeFileSync(path, 'no database at all'.repeat(100))
  const { log, errors } = errorsOf()
  {
    using store = await GuestStore.open({ path, log })
    store.host('a').recall(URI)
  }
  assert.equal(errors.length, 1)
  assert.equal(readdirSync(dir.path).filter((name) => name.includes('.broken-')).length, 1)
  {
    using database = new DatabaseSync(path)
    database.exec('PRAGMA user_version = 99')
  }
  await assert.rejects(GuestStore.open({ path, log }), { code: 'ERR_GUESTS_STORE', message: /newer release/ })
  await assert.rejects(GuestStore.open({ path: join(dir.path, 'no/such/folder/x'), log }), {
    code: 'ERR_GUESTS_STORE',
  })
})

test('a full disk stops the store once and loudly, and nothing else', {
  skip: process.getuid?.() !== 0 && 'needs root: mounts a small file system',
}, async () => {
  using dir = tempDir()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', dir.path])
  try {
    const { log, errors } = errorsOf()
    using store = await GuestStore.open({ path: join(dir.path, 'guests.sqlite'), log })
    const memory = store.host('a')
    memory.recall(URI)
    memory.watched(true)
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 5000; n++) memory.note(guest(n).uuid, guest(n), 2)
      memory.watched(true)
    }
    assert.equal(store.stats.isBroken, true)
    assert.equal(errors.length, 1)
    assert.match(errors[0] ?? '', /not kept any more/)
  } finally {
    execFileSync('umount', ['-l', dir.path])
  }
})
