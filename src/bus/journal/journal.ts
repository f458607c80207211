import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { EntryPacker, type JournalEntry, unpackEntries } from './entry.ts'
import { JournalError } from './errors.ts'
import type { JournalQuery, Retention } from './file.ts'
import type { JournalReply, JournalRequest, JournalThreadData, JournalTrouble } from './messages.ts'

/** Events wait for others to be written with them: this long, in milliseconds, or until they are this many bytes. */
const BATCH_MS = 10
const BATCH_BYTES = 256 * 1024
/** What may wait for the disk; beyond, events are not kept, which is counted and told. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024
const WAITING_MAX = 250_000
/** How often a loss is logged, in milliseconds. */
const LOSS_TOLD_MS = 60_000
/** Events of the first page of an answer, how many times more those after it have, and events and bytes of a page at most. */
const PAGE_FIRST = 128
const PAGE_GROWTH = 4
const PAGE_EVENTS = 2000
const PAGE_BYTES = 1024 * 1024

/** Memory of each thread, in MiB: it copies short-lived buffers, for which V8 would otherwise take far more. */
const THREAD_MEMORY = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 }

/** How a journal is kept. */
export interface JournalOptions extends Retention {
  /** The SQLite file, in a folder that exists. No other process may write it. */
  readonly path: string
  /** Each batch is on the disk, not only with the operating system, before it counts as written. Default false. */
  readonly durable?: boolean | undefined
  readonly log: Logger
  /** Told once when nothing more can be written; the journal keeps what it has. */
  readonly onBroken?: ((trouble: JournalTrouble) => void) | undefined
}

/** Which events of the past. */
export interface HistoryOptions {
  /** Glob over tags; all by default. */
  readonly pattern?: string | undefined
  /** Events after this sequence; 0, the default: from the first that is kept. */
  readonly after?: number | undefined
  /** Events up to this sequence; by default the last that was published. */
  readonly upTo?: number | undefined
  /** The newest first; by default the oldest. */
  readonly newestFirst?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Counters of a journal; they only grow, but for `waiting`. */
export interface JournalStats {
  /** The last sequence that was given. */
  readonly sequence: number
  /** The last one that was written. */
  readonly written: number
  /** Events that wait for the disk. */
  readonly waiting: number
  /** Events that were not kept: too many waited, or writing was given up. */
  readonly lost: number
  readonly isBroken: boolean
}

// The sources run as they are; what is published has been compiled.
const THREAD = new URL(`./thread.${import.meta.filename.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
/** With the cache, nothing has to be stripped of its types and compiled again: half of a thread's memory. */
const ENTRY = `require('node:module').enableCompileCache?.(); import(${JSON.stringify(THREAD.href)})`

type Answer = Extract<JournalReply, { id: number }>

/**
 * Every event of the bus, in order, in one SQLite file that two threads of their own write and read. `append` costs a copy of the
 * event's bytes and never waits.
 */
export class Journal implements AsyncDisposable {
  readonly #options: JournalOptions
  readonly #writer: Worker
  /** Started by the first question. */
  #reader: Promise<Worker> | undefined
  readonly #packer = new EntryPacker()
  readonly #asked = new Map<number, PromiseWithResolvers<Answer>>()
  readonly #flushes: { sequence: number; done: PromiseWithResolvers<void> }[] = []
  readonly #exited: Promise<unknown>
  #timer: NodeJS.Timeout | undefined
  #sequence: number
  #written: number
  #timeMs: number
  #waitingBytes = 0
  #lost = 0
  #nextId = 1
  #lossToldMs = Number.NEGATIVE_INFINITY
  #state: 'open' | 'broken' | 'closed' = 'open'

  private constructor(
    options: JournalOptions,
    writer: Worker,
    { first, timeMs }: { first: number; timeMs: number },
  ) {
    this.#options = options
    this.#writer = writer
    this.#sequence = first - 1
    this.#written = first - 1
    this.#timeMs = timeMs
    this.#exited = once(writer, 'exit').catch(() => {})
    writer.on('message', (reply: JournalReply) => this.#take(reply))
    writer.on('error', (error) => this.#break({ message: messageOf(error), code: undefined }))
    // The process ends when all else has.
    writer.unref()
  }

  /**
   * Opens or makes the journal. A file that is damaged is moved aside, with a log line.
   *
   * @throws {JournalError} `ERR_JOURNAL_OPEN`.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { path, log } = options
    const { thread, opened } = await startThread('writer', options)
    if (opened.aside !== undefined)
      log.error({ path, aside: opened.aside }, 'the journal was damaged; moved aside, a new one begins')
    return new Journal(options, thread, opened)
  }

  get stats(): JournalStats {
    return {
      sequence: this.#sequence,
      written: this.#written,
      waiting: this.#sequence - this.#written,
      lost: this.#lost,
      isBroken: this.#state === 'broken',
    }
  }

  /** Keeps an event and returns its sequence; undefined when it is not kept, which is counted. */
  append(tag: string, payload: Buffer): number | undefined {
    const waits = this.#sequence - this.#written
    const isFull = this.#waitingBytes + this.#packer.bytes > WAITING_BYTES_MAX || waits >= WAITING_MAX
    if (this.#state !== 'open' || isFull) {
      this.#lose()
      return undefined
    }
    // A clock that was set back must not break the order of times.
    this.#timeMs = Math.max(this.#timeMs, Date.now())
    const sequence = ++this.#sequence
    this.#packer.add({ sequence, timeMs: this.#timeMs, tag, payload })
    if (this.#packer.bytes >= BATCH_BYTES) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), BATCH_MS)
    return sequence
  }

  /**
   * Waits until all that was appended is written.
   *
   * @throws {JournalError} `ERR_JOURNAL_CLOSED` when that does not happen any more.
   */
  async flush(): Promise<void> {
    this.#send()
    if (this.#written >= this.#sequence) return
    if (this.#state !== 'open') throw closed()
    const done = Promise.withResolvers<void>()
    this.#flushes.push({ sequence: this.#sequence, done })
    this.#writer.ref()
    await done.promise
  }

  /** The last sequence that was published before a time, in milliseconds since 1970. */
  async sequenceBefore(timeMs: number): Promise<number> {
    await this.#settle()
    const answer = await this.#ask((id) => ({ kind: 'before', id, timeMs }))
    return answer.kind === 'before' ? answer.sequence : 0
  }

  /** Tags of the events that are kept that begin so, in their order; at most `countMax`. */
  async tags(prefix: string, countMax: number): Promise<readonly string[]> {
    await this.#settle()
    const answer = await this.#ask((id) => ({ kind: 'tags', id, prefix, countMax }))
    return answer.kind === 'tags' ? answer.tags : []
  }

  /**
   * Events of the past, in order, page by page; those that are removed meanwhile are left out.
   *
   * @throws {JournalError} `ERR_JOURNAL_READ`, `ERR_JOURNAL_CLOSED`.
   */
  async *history(options: HistoryOptions = {}): AsyncGenerator<JournalEntry> {
    const { pattern = '*', newestFirst = false, signal } = options
    await this.#settle()
    let { after = 0, upTo = this.#sequence } = options
    for (let countMax = PAGE_FIRST; ; countMax = Math.min(countMax * PAGE_GROWTH, PAGE_EVENTS)) {
      signal?.throwIfAborted()
      const query: JournalQuery = {
        ...{ after, upTo, pattern, newestFirst },
        ...{ countMax, bytesMax: PAGE_BYTES },
      }
      const page = await this.#ask((id) => ({ kind: 'read', id, query }))
      if (page.kind !== 'page') return
      yield* unpackEntries(page.batch)
      if (page.next === undefined) return
      if (newestFirst) upTo = page.next
      else after = page.next
    }
  }

  /** Writes what waits and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'closed') return
    await this.flush().catch(() => {}) // what cannot be written was told
    this.#state = 'closed'
    clearTimeout(this.#timer)
    const close: JournalRequest = { kind: 'close', sequence: this.#sequence }
    this.#writer.ref()
    this.#writer.postMessage(close)
    await this.#exited
    // Only a thread that could not be started fails here, and whoever asked was told.
    const reader = await this.#reader?.catch(() => undefined)
    await reader?.terminate()
    this.#failAll()
  }

  #lose(): void {
    this.#lost++
    if (this.#state !== 'open' || performance.now() - this.#lossToldMs < LOSS_TOLD_MS) return
    this.#lossToldMs = performance.now()
    const { path, log } = this.#options
    log.error({ path, lost: this.#lost }, 'events are not kept: the disk is slower than they come')
  }

  /** What is asked for may be among what waits. */
  async #settle(): Promise<void> {
    if (this.#state === 'closed') throw closed()
    await this.flush().catch(() => {}) // what is written can still be read
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#packer.count === 0 || this.#state !== 'open') return
    const batch = this.#packer.take()
    this.#waitingBytes += batch.length
    const request: JournalRequest = { kind: 'append', batch }
    this.#writer.postMessage(request, [batch.buffer as ArrayBuffer]) // allocated by the packer for this batch alone
  }

  async #ask(make: (id: number) => JournalRequest): Promise<Answer> {
    this.#reader ??= this.#startReader()
    const reader = await this.#reader
    const id = this.#nextId++
    const asked = Promise.withResolvers<Answer>()
    this.#asked.set(id, asked)
    reader.ref()
    reader.postMessage(make(id))
    try {
      const answer = await asked.promise
      if (answer.kind === 'failed') throw new JournalError('ERR_JOURNAL_READ', answer.trouble.message)
      return answer
    } finally {
      this.#asked.delete(id)
      if (this.#asked.size === 0) reader.unref()
    }
  }

  async #startReader(): Promise<Worker> {
    const { thread } = await startThread('reader', this.#options)
    const gone = (): void => {
      this.#reader = undefined
      for (const asked of this.#asked.values())
        asked.reject(new JournalError('ERR_JOURNAL_READ', 'the thread that reads the journal has ended'))
    }
    thread.on('message', (reply: JournalReply) => this.#take(reply))
    thread.on('error', (error) =>
      this.#options.log.error({ path: this.#options.path, error: messageOf(error) }, 'journal not read'),
    )
    thread.once('exit', gone)
    thread.unref()
    return thread
  }

  #take(reply: JournalReply): void {
    switch (reply.kind) {
      case 'opened':
        return
      case 'written':
        this.#waitingBytes -= reply.bytes
        this.#written = reply.sequence
        while (this.#flushes[0] && this.#flushes[0].sequence <= this.#written)
          this.#flushes.shift()?.done.resolve()
        if (this.#flushes.length === 0) this.#writer.unref()
        return
      case 'broken':
        this.#break(reply.trouble)
        return
      default:
        this.#asked.get(reply.id)?.resolve(reply)
    }
  }

  #break(trouble: JournalTrouble): void {
    if (this.#state !== 'open') return
    this.#state = 'broken'
    clearTimeout(this.#timer)
    this.#lost += this.#sequence - this.#written
    for (const { done } of this.#flushes.splice(0)) done.reject(closed())
    const { path, log, onBroken } = this.#options
    log.error({ path, ...trouble }, 'the journal is not written any more; the bus goes on without it')
    onBroken?.(trouble)
  }

  #failAll(): void {
    for (const asked of this.#asked.values()) asked.reject(closed())
    this.#asked.clear()
    for (const { done } of this.#flushes.splice(0)) done.reject(closed())
  }
}

function closed(): JournalError {
  return new JournalError('ERR_JOURNAL_CLOSED', 'the journal is closed, or was given up after an error')
}

async function startThread(
  role: JournalThreadData['role'],
  { path, durable = false, ageMaxMs, bytesMax }: JournalOptions,
): Promise<{ thread: Worker; opened: Extract<JournalReply, { kind: 'opened' }> }> {
  const data: JournalThreadData = { role, path, durable, retention: { ageMaxMs, bytesMax } }
  const thread = new Worker(ENTRY, { eval: true, workerData: data, resourceLimits: THREAD_MEMORY })
  const { promise, resolve, reject } = Promise.withResolvers<JournalReply>()
  thread.once('message', resolve)
  thread.once('error', reject)
  try {
    const reply = await promise
    if (reply.kind === 'opened') return { thread, opened: reply }
    const reason = reply.kind === 'broken' ? reply.trouble.message : reply.kind
    throw new JournalError('ERR_JOURNAL_OPEN', `no journal in ${data.path}: ${reason}`)
  } catch (error) {
    thread.on('error', () => {}) // it has said what is wrong
    await thread.terminate()
    if (error instanceof JournalError) throw error
    throw new JournalError('ERR_JOURNAL_OPEN', `no journal in ${data.path}: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    thread.off('error', reject)
  }
}
