import type { XdrReader } from './reader.ts'
import type { XdrWriter } from './writer.ts'

/** One XDR type: how a value of it is read and written. */
export interface XdrType<T> {
  decode(reader: XdrReader): T
  encode(writer: XdrWriter, value: T): void
}
