/** A thread of the journal: one writes and removes, one reads, so that a long search keeps no event waiting. */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { isDamaged, moveAside } from '../../core/damaged-sqlite.ts'
import { codeOf, messageOf } from '../../core/errors.ts'
import { JournalFile } from './file.ts'
import type { JournalReply, JournalRequest, JournalThreadData, JournalTrouble } from './messages.ts'

/** How often it is looked whether there is something to remove, in milliseconds. */
const TRIM_MS = 5000

const data = workerData as JournalThreadData // what Journal starts its threads with
const port = parentPort
if (!port) throw new Error('a thread, not a program')

function reply(message: JournalReply, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

function troubleOf(error: unknown): JournalTrouble {
  return { message: messageOf(error), code: codeOf(error) }
}

/** Opens the file; a damaged one is moved aside, and a new one made. */
function open(): { file: JournalFile; aside: string | undefined } {
  const make = (): JournalFile => {
    const database = new DatabaseSync(data.path, { readOnly: data.role === 'reader' })
    try {
      if (data.role === 'writer') JournalFile.prepare(database, data.durable)
      else database.exec('PRAGMA busy_timeout = 1000')
    } catch (error) {
      database.close()
      throw error
    }
    return new JournalFile(database)
  }
  try {
    return { file: make(), aside: undefined }
  } catch (error) {
    if (data.role === 'reader' || !isDamaged(error)) throw error
    const aside = moveAside(data.path)
    return { file: make(), aside }
  }
}

let file: JournalFile
try {
  const opened = open()
  file = opened.file
  const isWriter = data.role === 'writer'
  const { timeMs } = file.last
  reply({ kind: 'opened', first: isWriter ? file.reserve() : 0, timeMs, aside: opened.aside })
} catch (error) {
  reply({ kind: 'broken', trouble: troubleOf(error) })
  port.close()
  throw error
}

const trimming = data.role === 'writer' ? setInterval(trim, TRIM_MS).unref() : undefined

/** Removes in small steps, with room for what is to be written between them. */
function trim(): void {
  guarded(() => {
    if (file.trim(data.retention, Date.now())) setImmediate(trim)
  })
}

/** After the first error of writing nothing more is written: what is kept has no holes. */
function guarded(action: () => void): void {
  try {
    action()
  } catch (error) {
    clearInterval(trimming)
    reply({ kind: 'broken', trouble: troubleOf(error) })
    port?.close()
    file[Symbol.dispose]()
  }
}

function answer(id: number, ask: () => void): void {
  try {
    ask()
  } catch (error) {
    reply({ kind: 'failed', id, trouble: troubleOf(error) })
  }
}

port.on('message', (request: JournalRequest) => {
  switch (request.kind) {
    case 'append':
      return guarded(() => {
        const { batch } = request
        const bytes = batch.byteLength
        const sequence = file.append(batch)
        // Given back at once: until this thread's next collection they would come to many megabytes.
        if (batch.buffer instanceof ArrayBuffer) batch.buffer.transfer(0)
        reply({ kind: 'written', sequence, bytes })
      })
    case 'read':
      return answer(request.id, () => {
        const { batch, next } = file.read(request.query)
        // Of a page without events there is nothing to transfer.
        const transfer = batch.length > 0 ? [batch.buffer as ArrayBuffer] : [] // allocated for this page alone
        reply({ kind: 'page', id: request.id, batch, next }, transfer)
      })
    case 'before':
      return answer(request.id, () => {
        reply({ kind: 'before', id: request.id, sequence: file.sequenceBefore(request.timeMs) })
      })
    case 'tags':
      return answer(request.id, () => {
        const tags = file.tags(request.prefix, request.countMax)
        reply({ kind: 'tags', id: request.id, tags })
      })
    case 'close':
      return guarded(() => {
        clearInterval(trimming)
        if (data.role === 'writer') file.release(request.sequence)
        file[Symbol.dispose]()
        port?.close()
      })
  }
})
