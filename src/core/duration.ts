const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `10m`, `12h`, `7d` in milliseconds; NaN for anything else. */
export function parseDuration(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  return number === '' ? Number.NaN : Number(number) * (UNITS[unit] ?? Number.NaN)
}
