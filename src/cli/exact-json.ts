import { Float } from '../msgpack/index.ts'

/**
 * `JSON.parse` that keeps numbers: integers outside the safe range become bigints, numbers written as floats stay floats
 * (`1.0` is a `Float`, which goes out as a double).
 *
 * @throws {SyntaxError} when the text is not JSON.
 */
export function parseExactJson(text: string): unknown {
  const revive = (_key: string, value: unknown, context?: { source?: string }): unknown => {
    const source = context?.source
    if (typeof value !== 'number' || source === undefined) return value
    if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source)
    return new Float(value)
  }
  return JSON.parse(text, revive)
}
