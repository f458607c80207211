import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

/** The Salt releases that scripts/peers installs, by the framing of their local bus. */
export const SALT_RELEASES = { classic: '3006.24', prefixed: '3006.30', split: '3008.3' } as const

/** The emulator of guests that run without KVM. */
export const QEMU = '/usr/bin/qemu-system-x86_64'

/** Of util-linux: runs a program that the kernel ends with its parent, however that ends (`--pdeathsig`). */
export const SETPRIV = '/usr/bin/setpriv'

/** The system's Python, and the file of its libvirt binding. */
export const PYTHON = '/usr/bin/python3'
export const PYTHON_LIBVIRT = '/usr/lib/python3/dist-packages/libvirt.py'

/** The older Node that the published package runs on, too, and the tools that look at packages. */
export const NODE_22: string = join(ROOT, '.peers/node-22/bin/node')
export const PACKAGE_TOOLS: string = join(ROOT, '.peers/package-tools/node_modules/.bin')

/** The Python of the venv with this Salt release. */
export function saltPython(version: string): string {
  return join(ROOT, '.peers', `salt-${version}`, 'bin/python')
}

/**
 * Options of a live test: skips, naming what is missing, where a program is not installed.
 * With `CI=true` nothing is skipped, so that the missing program is a failure.
 */
export function needs(...programs: string[]): { skip: string | false } {
  const missing = programs.filter((program) => !existsSync(program))
  if (missing.length === 0 || process.env['CI'] === 'true') return { skip: false }
  return { skip: `live test left out, missing: ${missing.join(', ')} (npm run test:live installs them)` }
}

/** A new folder with a path short enough for UNIX sockets; removed when disposed. */
export function tempDir(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'vb-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
