import type { JournalQuery, Retention } from './file.ts'

/** What a thread of the journal is started with. */
export interface JournalThreadData {
  readonly role: 'writer' | 'reader'
  readonly path: string
  readonly durable: boolean
  readonly retention: Retention
}

/** What the threads are asked. */
export type JournalRequest =
  | { readonly kind: 'append'; readonly batch: Uint8Array }
  | { readonly kind: 'read'; readonly id: number; readonly query: JournalQuery }
  | { readonly kind: 'before'; readonly id: number; readonly timeMs: number }
  | { readonly kind: 'tags'; readonly id: number; readonly prefix: string; readonly countMax: number }
  | { readonly kind: 'close'; readonly sequence: number }

/** An error as another thread tells it. */
export interface JournalTrouble {
  readonly message: string
  readonly code: string | undefined
}

/** What the threads answer. */
export type JournalReply =
  /** `first`: the first sequence of this run; `aside`: where a broken file was moved. */
  | {
      readonly kind: 'opened'
      readonly first: number
      readonly timeMs: number
      readonly aside: string | undefined
    }
  | { readonly kind: 'written'; readonly sequence: number; readonly bytes: number }
  | {
      readonly kind: 'page'
      readonly id: number
      readonly batch: Uint8Array
      readonly next: number | undefined
    }
  | { readonly kind: 'before'; readonly id: number; readonly sequence: number }
  | { readonly kind: 'tags'; readonly id: number; readonly tags: readonly string[] }
  | { readonly kind: 'failed'; readonly id: number; readonly trouble: JournalTrouble }
  | { readonly kind: 'broken'; readonly trouble: JournalTrouble }
