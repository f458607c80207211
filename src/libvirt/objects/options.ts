import type { CallOptions } from '../caller.ts'
import { LibvirtError } from '../errors.ts'

/** What functions of objects take last: flags of libvirt's enums, and how long to wait. */
export interface FlagOptions extends CallOptions {
  /** 0 by default; the enum is named at each function. */
  readonly flags?: number | undefined
}

/** The flags to send. */
export function flagsOf(options: FlagOptions | undefined): number {
  return options?.flags ?? 0
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

/** A UUID in the form that libvirt shows. @throws {LibvirtError} `ERR_LIBVIRT_ARGUMENT` when the text is none. */
export function uuidOf(text: string): string {
  if (!UUID.test(text)) throw new LibvirtError('ERR_LIBVIRT_ARGUMENT', `'${text}' is no UUID`)
  const hex = text.replaceAll('-', '').toLowerCase()
  return [0, 8, 12, 16, 20].map((from, n) => hex.slice(from, [8, 12, 16, 20, 32][n])).join('-')
}
