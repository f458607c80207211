import { Ext } from '../msgpack/index.ts'

/** The extension type in which Salt packs a datetime (salt/payload.py). */
export const DATETIME_EXT = 78

const FORM = /^(\d{4})(\d\d)(\d\d)T(\d\d:\d\d:\d\d)\.(\d{1,6})$/

/**
 * The ISO text of a Python datetime that Salt packed, such as `2026-11-20T23:30:40.204668`: six digits of a second, and no
 * time zone, which Salt does not pack. `undefined` when the extension is something else.
 */
export function decodeDatetime(ext: Ext): string | undefined {
  if (ext.type !== DATETIME_EXT) return undefined
  const match = FORM.exec(ext.data.toString('latin1'))
  if (!match) return undefined
  const [, year, month, day, time, fraction] = match
  return `${year}-${month}-${day}T${time}.${fraction?.padEnd(6, '0')}`
}

/** Packs a date as Salt packs a datetime; Python gets a naive datetime in UTC, exact to the millisecond. */
export function encodeDatetime(date: Date): Ext {
  const iso = date.toISOString()
  return new Ext(DATETIME_EXT, Buffer.from(`${iso.slice(0, 23).replaceAll('-', '')}000`, 'latin1'))
}
