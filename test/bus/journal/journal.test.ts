import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import fc from 'fast-check'
import { Journal, type JournalEntry, type JournalOptions } from '../../../src/bus/index.ts'
import { globMatcher } from '../../../src/core/glob.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { tempDir } from '../../support/peers.ts'

const KEEP = { ageMaxMs: 86_400_000, bytesMax: 1 << 30 }

function open(dir: string, more: Partial<JournalOptions> = {}): Promise<Journal> {
  return Journal.open({ path: join(dir, 'journal.sqlite'), log: silentLogger, ...KEEP, ...more })
}

async function all(journal: Journal, ...args: Parameters<Journal['history']>): Promise<JournalEntry[]> {
  return await Array.fromAsync(journal.history(...args))
}

test('what was appended is read back in order, also by the next run, which gives other sequences', async () => {
  using dir = tempDir()
  const payloads = [Buffer.alloc(0), Buffer.from([0, 255, 128]), Buffer.alloc(2_000_000, 7)]
  {
    await using journal = await open(dir.path)
    for (const [n, payload] of payloads.entries())
      assert.equal(journal.append(`tag/${n}/zoë`, payload), n + 1)
    const entries = await all(journal)
    assert.deepEqual(
      entries.map(({ sequence, tag, payload }) => [sequence, tag, payload]),
      payloads.map((payload, n) => [n + 1, `tag/${n}/zoë`, payload]),
    )
    const times = entries.map(({ timeMs }) => timeMs)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok(Math.abs(Date.now() - (times[0] ?? 0)) < 60_000)
  }
  await using journal = await open(dir.path)
  assert.equal(journal.append('later', Buffer.alloc(0)), 4)
  assert.deepEqual(
    (await all(journal)).map(({ sequence }) => sequence),
    [1, 2, 3, 4],
  )
})

test('a question gives what going through all would give', async () => {
  using dir = tempDir()
  await using journal = await open(dir.path)
  const parts = ['salt', 'job', 'qemu', 'ret', 'ä', '[x]', '2026']
  const tagOf = (n: number): string => [parts[n % 7], parts[(n * 3) % 5], parts[n % 2], n % 11].join('/')
  for (let n = 0; n < 6000; n++) journal.append(tagOf(n), Buffer.from(String(n)))
  const everything = await all(journal)
  assert.equal(everything.length, 6000)
  const patterns = [
    '*',
    'salt/*',
    '*ret*',
    'salt/job/?al*',
    'ä/*',
    'nothing/*',
    '[sq]*/1',
    '**',
    'salt/salt/salt/0',
  ]
  const range = fc.tuple(fc.constantFrom(...patterns), fc.nat(6100), fc.nat(6100), fc.boolean())
  await fc.assert(
    fc.asyncProperty(range, async ([pattern, after, upTo, newestFirst]) => {
      const matches = globMatcher(pattern)
      const expected = everything.filter(
        ({ sequence, tag }) => sequence > after && sequence <= upTo && matches(tag),
      )
      if (newestFirst) expected.reverse()
      assert.deepEqual(await all(journal, { pattern, after, upTo, newestFirst }), expected)
    }),
    { numRuns: 60 },
  )
})

test('of many tags and long stretches without any of them nothing is missing', async () => {
  using dir = tempDir()
  await using journal = await open(dir.path)
  for (let n = 1; n <= 25_000; n++) journal.append(`other/${n % 10}`, Buffer.alloc(0))
  for (let n = 1; n <= 18_000; n++)
    journal.append(`salt/job/${n}/${n % 3 === 0 ? 'ret' : 'new'}`, Buffer.alloc(0))
  const everything = await all(journal)
  const ranges = [
    [0, 43_000],
    [0, 25_000],
    [20_000, 40_000],
    [42_990, 43_000],
  ] as const
  // A lesser part of all tags, and most of them.
  for (const pattern of ['salt/job/*/ret', 'salt/job/*'])
    for (const newestFirst of [false, true])
      for (const [after, upTo] of ranges) {
        const matches = globMatcher(pattern)
        const expected = everything.filter(
          ({ sequence, tag }) => sequence > after && sequence <= upTo && matches(tag),
        )
        if (newestFirst) expected.reverse()
        assert.deepEqual(await all(journal, { pattern, after, upTo, newestFirst }), expected)
      }
  assert.equal((await all(journal, { pattern: 'other/3' })).length, 2500)
})

test('a time leads to the last event before it', async () => {
  using dir = tempDir()
  await using journal = await open(dir.path)
  const before = Date.now()
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 100; n++) journal.append('t', Buffer.alloc(0))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const entries = await all(journal)
  assert.equal(await journal.sequenceBefore(before), 0)
  assert.equal(await journal.sequenceBefore(Date.now() + 1000), 500)
  for (const { timeMs } of entries.filter((_, n) => n % 50 === 0)) {
    const expected = entries.findLast((entry) => entry.timeMs < timeMs)?.sequence ?? 0
    assert.equal(await journal.sequenceBefore(timeMs), expected)
  }
})

test('what is too much is removed, the oldest first, and the file becomes smaller', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'journal.sqlite')
  {
    await using journal = await open(dir.path)
    for (let n = 0; n < 60_000; n++) journal.append(`tag/${n}`, Buffer.alloc(200))
    await journal.flush()
  }
  const sizeOf = (): number => {
    using database = new DatabaseSync(path)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return statSync(path).size
  }
  const before = sizeOf()
  const { JournalFile } = await import('../../../src/bus/journal/file.ts')
  using file = new JournalFile(new DatabaseSync(path))
  const bytesMax = 5_000_000
  while (file.trim({ ageMaxMs: 86_400_000, bytesMax }, Date.now()));
  const left = file.read({
    after: 0,
    upTo: 1e9,
    pattern: '*',
    newestFirst: false,
    countMax: 1,
    bytesMax: 1e9,
  })
  assert.equal(left.count, 1)
  assert.equal(file.last.sequence, 60_000)
  while (file.trim({ ageMaxMs: 0, bytesMax: 1e9 }, Date.now() + 60_000));
  assert.equal(file.last.sequence, 0)
  const after = sizeOf()
  assert.ok(after < before / 4, `${before} → ${after}`)
})

test('a damaged file is moved aside with a log line, one of a newer release is refused', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'journal.sqlite')
  writeFileSync(path, 'no database at all'.repeat(1000))
  const errors: string[] = []
  const log = { ...silentLogger, error: (_: object, message: string) => errors.push(message) }
  {
    await using journal = await open(dir.path, { log })
    assert.equal(journal.append('t', Buffer.alloc(0)), 1)
  }
  assert.equal(errors.length, 1)
  assert.equal(readdirSync(dir.path).filter((name) => name.includes('.broken-')).length, 1)
  {
    using database = new DatabaseSync(path)
    database.exec('PRAGMA user_version = 99')
  }
  await assert.rejects(open(dir.path), { code: 'ERR_JOURNAL_OPEN', message: /newer release/ })
  await assert.rejects(open(join(dir.path, 'nowhere')), { code: 'ERR_JOURNAL_OPEN' })
})

test('a full disk stops the journal once and loudly, and what was written can be read', {
  skip: process.getuid?.() !== 0 && 'needs root: mounts a small file system',
}, async () => {
  using dir = tempDir()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', dir.path])
  try {
    const told = Promise.withResolvers<unknown>()
    await using journal = await open(dir.path, { onBroken: told.resolve })
    for (let n = 0; n < 100; n++) journal.append('t', Buffer.alloc(100))
    await journal.flush()
    for (let n = 0; n < 30_000; n++) journal.append('t', Buffer.alloc(500))
    await assert.rejects(journal.flush(), { code: 'ERR_JOURNAL_CLOSED' })
    await told.promise
    const { isBroken, lost, written } = journal.stats
    assert.equal(isBroken, true)
    assert.ok(lost > 0 && written >= 100)
    assert.equal(journal.append('t', Buffer.alloc(0)), undefined)
    assert.equal((await all(journal)).length, written)
  } finally {
    execFileSync('umount', ['-l', dir.path])
  }
})

test('killed in a flood ten times, it misses nothing that it acknowledged and gives no sequence twice', async () => {
  using dir = tempDir()
  const path = join(dir.path, 'journal.sqlite')
  const acknowledged = new Map<number, string>()
  for (let run = 0; run < 10; run++) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'flood.ts'), path, String(run)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    while (text.split('\n').length < 5 + run) await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'close')
    for (const line of text.split('\n').slice(0, -1)) {
      const [from = 0, to = 0] = line.split(' ').map(Number)
      for (let sequence = from; sequence <= to; sequence++) {
        assert.ok(!acknowledged.has(sequence), `sequence ${sequence} twice`)
        acknowledged.set(sequence, `run/${run}`)
      }
    }
  }
  await using journal = await open(dir.path)
  const kept = new Map((await all(journal)).map(({ sequence, tag }) => [sequence, tag]))
  for (const [sequence, tag] of acknowledged) assert.equal(kept.get(sequence), tag)
  assert.ok(acknowledged.size > 1000)
  assert.ok((journal.append('t', Buffer.alloc(0)) ?? 0) > Math.max(...kept.keys()))
  assert.ok(existsSync(path) && readFileSync(path).length > 0)
})
