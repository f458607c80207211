import { renameSync } from 'node:fs'

/** SQLITE_CORRUPT and SQLITE_NOTADB: the file is damaged, or no database. */
const DAMAGED: ReadonlySet<number | undefined> = new Set([11, 26])

/** The primary result code of SQLite behind an error of node:sqlite; undefined for other errors. */
export function sqliteCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
}

/** Whether another attempt to open the file would fail in the same way, so that a new one has to be made. */
export function isDamaged(error: unknown): boolean {
  return DAMAGED.has(sqliteCode(error))
}

/** Moves a file with its log aside, for people to look at; returns its new path. */
export function moveAside(path: string): string {
  const aside = `${path}.broken-${Date.now()}`
  for (const end of ['', '-wal', '-shm']) {
    try {
      renameSync(`${path}${end}`, `${aside}${end}`)
    } catch {
      // There is no such part of it, or the next attempt to open it says what is wrong.
    }
  }
  return aside
}
