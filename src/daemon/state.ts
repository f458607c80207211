import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Journal, type JournalOptions } from '../bus/index.ts'
import type { JournalConfig } from '../config/index.ts'
import { codeOf, messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { GuestStore } from '../guests/index.ts'

const AGE_MAX_MS = 7 * 86_400_000
const BYTES_MAX = 1024 ** 3

/** What is kept over restarts, and where. */
export interface StateOptions {
  /** Made where it is missing; without it nothing is kept. */
  readonly stateDir?: string | undefined
  readonly journal?: JournalConfig | undefined
  readonly log: Logger
  readonly onBroken: NonNullable<JournalOptions['onBroken']>
}

/** What could be opened. */
export interface State {
  readonly store: GuestStore | undefined
  readonly journal: Journal | undefined
}

/** A process that cannot keep anything runs without: it says so, because what happens while none runs goes unnoticed. */
export async function openState(options: StateOptions): Promise<State> {
  const { stateDir, log } = options
  const nothing = { store: undefined, journal: undefined }
  if (!stateDir) return nothing
  let store: GuestStore
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o750 })
    store = await GuestStore.open({ path: join(stateDir, 'guests.sqlite'), log })
  } catch (error) {
    log.error(
      { stateDir, code: codeOf(error), error: messageOf(error) },
      'nothing is kept: what happens while no virbus runs will not be noticed',
    )
    return nothing
  }
  // The store is locked for this process, so the folder is its own.
  return { store, journal: await openJournal(stateDir, options) }
}

async function openJournal(
  stateDir: string,
  { journal: config = {}, log, onBroken }: StateOptions,
): Promise<Journal | undefined> {
  const { enabled = true, max_age: ageMaxMs = AGE_MAX_MS, max_size: bytesMax = BYTES_MAX, durable } = config
  if (!enabled) return undefined
  const path = join(stateDir, 'journal.sqlite')
  try {
    return await Journal.open({ path, ageMaxMs, bytesMax, durable, log, onBroken })
  } catch (error) {
    log.error({ path, code: codeOf(error), error: messageOf(error) }, 'events are not kept')
    return undefined
  }
}
