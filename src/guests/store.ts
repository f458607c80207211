import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { isDamaged, moveAside, sqliteCode } from '../core/damaged-sqlite.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { GuestsError } from './errors.ts'
import type { Guest } from './guest.ts'

/**
 * How long after a change it is taken for told, in milliseconds. A process that is killed sooner leaves the guest uncertain: its
 * last event may have reached nobody.
 */
const TOLD_MS = 100
/** How often it is written down that a host is still watched, in milliseconds. */
const HEARTBEAT_MS = 10_000
const VERSION = 1
/** Result code of SQLite. */
const SQLITE_BUSY = 5

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS hosts (key TEXT PRIMARY KEY, uri TEXT NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS guests (
    host TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL, id INTEGER NOT NULL, state INTEGER NOT NULL,
    persistent INTEGER NOT NULL, event INTEGER NOT NULL, certain INTEGER NOT NULL, PRIMARY KEY (host, uuid)) WITHOUT ROWID;
  PRAGMA user_version = ${VERSION};`

/** The guests of a host as they were told last, before this process began. */
export interface Remembered {
  readonly guests: readonly Guest[]
  /** When they were last known to be so, in milliseconds since 1970. */
  readonly seenMs: number
  /** Guests whose last event, a number of virDomainEventType, may have been told to nobody. */
  readonly uncertain: ReadonlyMap<string, number>
}

/** What is kept of one host. */
export interface HostMemory {
  /** What was kept for this URI; undefined, and forgotten, when that was of another one. */
  recall(uri: string): Remembered | undefined
  /** Keeps what is known of a guest after an event, before that is told; undefined when it is no more. */
  note(uuid: string, guest: Guest | undefined, event: number): void
  /** Whether the host is watched: while it is, what is kept is true of now. */
  watched(is: boolean): void
}

/** Where stores are and whom they tell of trouble. */
export interface StoreOptions {
  readonly path: string
  readonly log: Logger
}

interface Kept {
  uri: string
  isWatched: boolean
  /** Guests that are uncertain; false for those that are no more. */
  readonly uncertain: Map<string, boolean>
}

/**
 * The guests of all hosts in one SQLite file, so that what happens while no virbus runs is noticed by the next one.
 * Each change is written before it is told, some 13 µs, and can be lost with the machine's power but not with the process. It is a memory and no
 * journal: when it cannot be written any more, that is logged once, and the process goes on without it.
 */
export class GuestStore implements Disposable {
  readonly #database: DatabaseSync
  readonly #options: StoreOptions
  readonly #hosts = new Map<string, Kept>()
  readonly #heartbeat: NodeJS.Timeout
  readonly #statements: Readonly<Record<'host' | 'guest' | 'doubt' | 'told' | 'gone', StatementSync>>
  #flush: NodeJS.Timeout | undefined
  #isBroken = false

  private constructor(database: DatabaseSync, options: StoreOptions) {
    this.#database = database
    this.#options = options
    this.#statements = {
      host: database.prepare('INSERT OR REPLACE INTO hosts VALUES (?, ?, ?)'),
      guest: database.prepare('INSERT OR REPLACE INTO guests VALUES (?, ?, ?, ?, ?, ?, ?, 0)'),
      doubt: database.prepare('UPDATE guests SET certain = 0, event = ? WHERE host = ? AND uuid = ?'),
      told: database.prepare('UPDATE guests SET certain = 1 WHERE host = ? AND uuid = ?'),
      gone: database.prepare('DELETE FROM guests WHERE host = ? AND uuid = ?'),
    }
    this.#heartbeat = setInterval(() => this.#write(), HEARTBEAT_MS)
    this.#heartbeat.unref()
  }

  /**
   * Opens or makes the file; its folder exists. A file that is no database is moved aside, with a log line.
   *
   * @throws {GuestsError} `ERR_GUESTS_STORE`, `ERR_GUESTS_STORE_IN_USE`.
   */
  static async open(options: StoreOptions): Promise<GuestStore> {
    const { path, log } = options
    // Loaded when there is something to keep: Node 22 warns that it is experimental.
    const { DatabaseSync: Database } = await import('node:sqlite')
    const open = (): GuestStore => new GuestStore(prepared(new Database(path), path), options)
    try {
      return open()
    } catch (error) {
      if (sqliteCode(error) === SQLITE_BUSY)
        throw new GuestsError('ERR_GUESTS_STORE_IN_USE', `${path} is in use by another process`, {
          cause: error,
        })
      if (!isDamaged(error)) throw noStore(path, error)
      const aside = moveAside(path)
      log.error({ path, aside, error: messageOf(error) }, 'kept guests cannot be read; moved aside')
      try {
        return open()
      } catch (again) {
        throw noStore(path, again)
      }
    }
  }

  /** Guests whose last event a killed process may not have told, and whether writing was given up. */
  get stats(): { readonly uncertain: number; readonly isBroken: boolean } {
    const uncertain = [...this.#hosts.values()].reduce((sum, host) => sum + host.uncertain.size, 0)
    return { uncertain, isBroken: this.#isBroken }
  }

  /** The memory of one host; `key` names it over restarts. */
  host(key: string): HostMemory {
    const kept: Kept = { uri: '', isWatched: false, uncertain: new Map() }
    return {
      recall: (uri) => {
        // What the one before it has told is certain.
        this.#write()
        this.#hosts.set(key, kept)
        kept.uri = uri
        return this.#recall(key, uri)
      },
      note: (uuid, guest, event) => {
        this.#note(key, uuid, guest, event)
        kept.uncertain.set(uuid, guest !== undefined)
        this.#flush ??= setTimeout(() => this.#write(), TOLD_MS).unref()
      },
      watched: (is) => {
        // The end of the time that was watched is the beginning of the gap.
        if (kept.isWatched) this.#write()
        kept.isWatched = is
        if (is) this.#write()
      },
    }
  }

  /** Writes what is left and closes the file. */
  [Symbol.dispose](): void {
    this.#write()
    clearInterval(this.#heartbeat)
    this.#database.close()
  }

  #recall(key: string, uri: string): Remembered | undefined {
    if (this.#isBroken) return undefined
    const host = this.#database.prepare('SELECT uri, seen FROM hosts WHERE key = ?').get(key)
    if (!host) return undefined
    if (host['uri'] !== uri) {
      this.#database.prepare('DELETE FROM guests WHERE host = ?').run(key)
      return undefined
    }
    const rows = this.#database
      .prepare('SELECT uuid, name, id, state, persistent, event, certain FROM guests WHERE host = ?')
      .all(key)
    const uncertain = new Map<string, number>()
    for (const { uuid, event, certain } of rows) if (certain === 0) uncertain.set(String(uuid), Number(event))
    const guests = rows.map(({ uuid, name, id, state, persistent }) => ({
      uuid: String(uuid),
      name: String(name),
      id: Number(id),
      state: Number(state),
      persistent: persistent !== 0,
    }))
    return { guests, uncertain, seenMs: Number(host['seen']) }
  }

  #note(key: string, uuid: string, guest: Guest | undefined, event: number): void {
    this.#try(() => {
      // One that is no more stays until that is told.
      if (!guest) this.#statements.doubt.run(event, key, uuid)
      else {
        const { name, id, state, persistent } = guest
        this.#statements.guest.run(key, uuid, name, id, state, persistent ? 1 : 0, event)
      }
    })
  }

  #write(): void {
    clearTimeout(this.#flush)
    this.#flush = undefined
    this.#try(() => {
      this.#database.exec('BEGIN')
      for (const [key, kept] of this.#hosts) this.#writeHost(key, kept)
      this.#database.exec('COMMIT')
    })
  }

  #writeHost(key: string, { uri, isWatched, uncertain }: Kept): void {
    const { host, told, gone } = this.#statements
    if (isWatched) host.run(key, uri, Date.now())
    for (const [uuid, isThere] of uncertain) (isThere ? told : gone).run(key, uuid)
    uncertain.clear()
  }

  #try(write: () => void): void {
    if (this.#isBroken) return
    try {
      write()
    } catch (error) {
      this.#isBroken = true
      const { path, log } = this.#options
      log.error(
        { path, error: messageOf(error) },
        'guests are not kept any more: what happens while no virbus runs will not be noticed',
      )
    }
  }
}

/** Locked for this process alone, with its tables. */
function prepared(database: DatabaseSync, path: string): DatabaseSync {
  try {
    // In this order: with the lock taken first, the write-ahead log needs no shared memory.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    database.exec('BEGIN EXCLUSIVE')
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > VERSION)
      throw new GuestsError('ERR_GUESTS_STORE', `${path} is of a newer release of virbus (${version})`)
    database.exec(`${SCHEMA} COMMIT`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function noStore(path: string, cause: unknown): GuestsError {
  if (cause instanceof GuestsError) return cause
  return new GuestsError('ERR_GUESTS_STORE', `guests cannot be kept in ${path}: ${messageOf(cause)}`, {
    cause,
  })
}
