export { XdrError } from './errors.ts'
export { XdrReader } from './reader.ts'
export type { XdrType } from './type.ts'
export { XdrWriter } from './writer.ts'
