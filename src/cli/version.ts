import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The version in package.json, which lies beside src/ and beside dist/. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown'
}
