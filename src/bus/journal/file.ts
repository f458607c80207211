import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { globMatcher } from '../../core/glob.ts'
import { EntryPacker, unpackEntries } from './entry.ts'
import { type KnownTag, MergedTags } from './merge.ts'

/** Sequences that are set aside at a time: what a killed process has given and not written is never given again. */
const RESERVED = 1_000_000
const VERSION = 1
/** Tags that are remembered by number. */
const TAGS_CACHED = 65_536
/** Up to so many tags that a pattern fits are looked up each by itself; more are if they are the lesser part of all tags. */
const MERGED_ALWAYS = 1024
/** At most so many are; else events are gone through one by one. The newest come first without a look at each tag. */
const MERGED_MAX = { newestFirst: 65_536, oldestFirst: 16_384 }
/** Events gone through for one page, so that a search for little keeps no other waiting. */
const SCANNED_MAX = 20_000
/** Pages of the log before they go into the file: each event of another tag touches a page of the index, which is then written once for many. */
const LOGGED_PAGES = 8000
/** Events removed in one go, so that what is to be written never waits for long. */
const REMOVED_AT_ONCE = 2000
const PAGES_AT_ONCE = 2000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (reserved INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS tags (id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE, last INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, tag INTEGER NOT NULL, payload BLOB NOT NULL);
  CREATE INDEX IF NOT EXISTS events_by_tag ON events (tag);
  PRAGMA user_version = ${VERSION};`

/** How much is kept. */
export interface Retention {
  /** Events that are older go. */
  readonly ageMaxMs: number
  /** Beyond this size of the file, the oldest events go. */
  readonly bytesMax: number
}

/** Which events, and how many at a time. */
export interface JournalQuery {
  /** Events after this sequence; 0: from the first. */
  readonly after: number
  /** Events up to this sequence. */
  readonly upTo: number
  /** Glob over tags. */
  readonly pattern: string
  /** The newest first. */
  readonly newestFirst: boolean
  readonly countMax: number
  readonly bytesMax: number
}

/** A part of the answer. */
export interface JournalPage {
  readonly batch: Buffer
  readonly count: number
  /** Where to go on: `after`, or with the newest first `upTo`; undefined at the end. */
  readonly next: number | undefined
}

/** The journal's SQLite file, one thread's view of it. Calls return when the disk has answered, so it belongs into a thread of its own. */
export class JournalFile implements Disposable {
  readonly #database: DatabaseSync
  readonly #tagIds = new Map<string, number>()
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Makes what is missing. `durable`: each batch is on the disk, not only with the operating system, before it counts as written. */
  static prepare(database: DatabaseSync, durable: boolean): void {
    // Before the first table, or it has no effect.
    database.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
    database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}; PRAGMA busy_timeout = 1000`)
    database.exec(`PRAGMA wal_autocheckpoint = ${LOGGED_PAGES}`)
    const { user_version: version } = database.prepare('PRAGMA user_version').get() ?? {}
    if (Number(version) > VERSION) throw new Error(`made by a newer release of virbus (${version})`)
    database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
  }

  /** The first sequence of a new run, after all that any run before may have given. */
  reserve(): number {
    const last = Number(this.#get('SELECT max(reserved) AS value FROM meta')?.['value'] ?? 0)
    this.#database.exec('BEGIN')
    this.#run('DELETE FROM meta')
    this.#run('INSERT INTO meta VALUES (?)', last + RESERVED)
    this.#database.exec('COMMIT')
    return last + 1
  }

  /** Gives back what was set aside and not given, at an end in order. */
  release(sequence: number): void {
    this.#run('UPDATE meta SET reserved = ?', sequence)
  }

  /** The last sequence and time that were written; zeros in an empty journal. */
  get last(): { sequence: number; timeMs: number } {
    const row = this.#get('SELECT sequence, time FROM events ORDER BY sequence DESC LIMIT 1')
    return { sequence: Number(row?.['sequence'] ?? 0), timeMs: Number(row?.['time'] ?? 0) }
  }

  /** Writes packed entries, all or none; returns the last sequence. */
  append(batch: Uint8Array): number {
    const { last } = this
    this.#database.exec('BEGIN')
    try {
      const seen = new Map<number, number>()
      let sequence = last.sequence
      for (const entry of unpackEntries(batch)) {
        sequence = entry.sequence
        const tag = this.#tagId(entry.tag)
        this.#run('INSERT INTO events VALUES (?, ?, ?, ?)', sequence, entry.timeMs, tag, entry.payload)
        seen.set(tag, sequence)
      }
      for (const [tag, at] of seen) this.#run('UPDATE tags SET last = ? WHERE id = ?', at, tag)
      const reserved = Number(this.#get('SELECT reserved FROM meta')?.['reserved'])
      if (sequence > reserved - RESERVED / 2) this.#run('UPDATE meta SET reserved = ?', sequence + RESERVED)
      this.#database.exec('COMMIT')
      return sequence
    } catch (error) {
      this.#tagIds.clear()
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** The last sequence that was published before a time. */
  sequenceBefore(timeMs: number): number {
    let low = Number(this.#get('SELECT min(sequence) AS value FROM events')?.['value'] ?? 0)
    let high = this.last.sequence + 1
    // Times grow with sequences: the first event that is not before.
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#get('SELECT sequence, time FROM events WHERE sequence >= ? LIMIT 1', middle)
      if (!row || Number(row['time']) >= timeMs) high = middle
      else low = Number(row['sequence']) + 1
    }
    return low - 1
  }

  /** Tags that begin so, in their order; the last of a page is where to go on. */
  tags(prefix: string, countMax: number): string[] {
    const rows = this.#prepare('SELECT tag FROM tags WHERE tag >= ? AND tag <= ? ORDER BY tag LIMIT ?')
    return rows.all(prefix, lastWith(prefix), countMax).map(({ tag }) => String(tag))
  }

  /** One page of events. */
  read(query: JournalQuery): JournalPage {
    const packer = new EntryPacker()
    const { newestFirst } = query
    for (const row of this.#rows(query)) {
      const sequence = Number(row['sequence'])
      // The last of the many that were gone through.
      if (row['payload'] === undefined) return pageOf(packer, newestFirst ? sequence - 1 : sequence)
      if (packer.count >= query.countMax || packer.bytes >= query.bytesMax)
        // This one is the first of the next page.
        return pageOf(packer, newestFirst ? sequence : sequence - 1)
      const bytes = row['payload'] as Uint8Array // a BLOB column
      packer.add({
        sequence,
        timeMs: Number(row['time']),
        tag: String(row['tag']),
        payload: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      })
    }
    return pageOf(packer, undefined)
  }

  /** Removes a part of what is too old or too much; true when there is more to remove. */
  trim({ ageMaxMs, bytesMax }: Retention, nowMs: number): boolean {
    const old = this.sequenceBefore(nowMs - ageMaxMs)
    const pages = (name: string): number => Number(Object.values(this.#get(`PRAGMA ${name}`) ?? {})[0])
    const used = (pages('page_count') - pages('freelist_count')) * pages('page_size')
    const first = Number(this.#get('SELECT min(sequence) AS value FROM events')?.['value'] ?? 0)
    const isTooMuch = used > bytesMax && first > 0
    if (first > 0 && (first <= old || isTooMuch)) {
      const upTo = isTooMuch ? Number.MAX_SAFE_INTEGER : old
      this.#run(
        'DELETE FROM events WHERE sequence IN (SELECT sequence FROM events WHERE sequence <= ? ORDER BY sequence LIMIT ?)',
        upTo,
        REMOVED_AT_ONCE,
      )
      return true
    }
    this.#run('DELETE FROM tags WHERE last < ?', first)
    this.#tagIds.clear()
    this.#database.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`)
    return pages('freelist_count') > PAGES_AT_ONCE
  }

  /** Gives back the file. */
  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** A row without a payload: so far it was searched, and there is more. */
  #rows(query: JournalQuery): Iterable<Record<string, unknown>> {
    const { after, upTo, pattern, newestFirst } = query
    const order = newestFirst ? 'DESC' : 'ASC'
    const columns = 'SELECT e.sequence, e.time, t.tag, e.payload FROM events e JOIN tags t ON t.id = e.tag'
    const range = 'e.sequence > ? AND e.sequence <= ?'
    const tags = /^\*+$/.test(pattern) ? undefined : this.#tagsOf(query)
    if (tags === undefined)
      return this.#iterate(`${columns} WHERE ${range} ORDER BY e.sequence ${order}`, after, upTo)
    if (tags === 'many')
      return this.#filtered(`${columns} WHERE ${range} ORDER BY e.sequence ${order}`, query)
    const one = this.#prepare(`${columns} WHERE e.sequence = ?`)
    const step = this.#prepare(
      newestFirst
        ? 'SELECT max(sequence) AS sequence FROM events WHERE tag = ? AND sequence > ? AND sequence <= ?'
        : 'SELECT min(sequence) AS sequence FROM events WHERE tag = ? AND sequence > ? AND sequence <= ?',
    )
    const nextOf = (tag: number, from: number, to: number): number | undefined => {
      const found = step.get(tag, from, to)?.['sequence']
      return typeof found === 'number' ? found : undefined
    }
    return new MergedTags({ tags, after, upTo, newestFirst, nextOf, rowOf: (sequence) => one.get(sequence) })
  }

  *#filtered(sql: string, { after, upTo, pattern }: JournalQuery): Generator<Record<string, unknown>> {
    const matches = globMatcher(pattern)
    const prefix = literalPrefix(pattern)
    let scanned = 0
    for (const row of this.#iterate(sql, after, upTo)) {
      const tag = String(row['tag'])
      if (tag.startsWith(prefix) && matches(tag)) yield row
      else if (scanned >= SCANNED_MAX) yield { sequence: row['sequence'] }
      scanned++
    }
  }

  /** The tags that a pattern fits and that have events after some; 'many' when it is better to look at each event. */
  #tagsOf({ pattern, after, newestFirst }: JournalQuery): KnownTag[] | 'many' {
    const matches = globMatcher(pattern)
    const prefix = literalPrefix(pattern)
    const limit = newestFirst ? MERGED_MAX.newestFirst : MERGED_MAX.oldestFirst
    const found: KnownTag[] = []
    const rows = this.#iterate(
      'SELECT id, tag, last FROM tags WHERE tag >= ? AND tag <= ? AND last > ? AND instr(tag, ?) > 0',
      ...[prefix, lastWith(prefix), after, literalPart(pattern)],
    )
    for (const { id, tag, last } of rows) {
      if (!matches(String(tag))) continue
      found.push({ id: Number(id), last: Number(last) })
      if (found.length > limit) return 'many'
    }
    if (found.length <= MERGED_ALWAYS) return found
    const all = Number(this.#get('SELECT count(*) AS value FROM tags')?.['value'])
    return found.length * 2 > all ? 'many' : found
  }

  #tagId(tag: string): number {
    const known = this.#tagIds.get(tag)
    if (known !== undefined) return known
    this.#run('INSERT OR IGNORE INTO tags (tag, last) VALUES (?, 0)', tag)
    const id = Number(this.#get('SELECT id FROM tags WHERE tag = ?', tag)?.['id'])
    if (this.#tagIds.size >= TAGS_CACHED) this.#tagIds.clear()
    this.#tagIds.set(tag, id)
    return id
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values)
  }

  #get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values)
  }

  /** A statement of its own: one that is left in the middle is still busy. */
  #iterate(sql: string, ...values: SQLInputValue[]): Iterable<Record<string, unknown>> {
    return this.#database.prepare(sql).iterate(...values)
  }
}

/** What every tag that the pattern fits begins with. */
function literalPrefix(pattern: string): string {
  return /^[^*?[]*/.exec(pattern)?.[0] ?? ''
}

/** Behind everything that begins so: the prefix with the largest code point after it. */
function lastWith(prefix: string): string {
  return `${prefix}\u{10ffff}`
}

/** The longest part that every tag has that the pattern fits, as far as that is plain to see. */
function literalPart(pattern: string): string {
  if (pattern.includes('[')) return literalPrefix(pattern)
  return pattern.split(/[*?]/).reduce((a, b) => (b.length > a.length ? b : a))
}

function pageOf(packer: EntryPacker, next: number | undefined): JournalPage {
  const { count } = packer
  return { batch: packer.take(), count, next }
}
