import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../support/peers.ts'

const ROOT = join(import.meta.dirname, '../..')
const BIOME = join(ROOT, 'node_modules/.bin/biome')

const AGAINST = {
  'src/core/x.ts': '../bus/index.ts',
  'src/xdr/x.ts': '../libvirt/index.ts',
  'src/libvirt/x.ts': '../bus/index.ts',
  'src/libvirt/transports/x.ts': '../../salt/index.ts',
  'src/salt/ipc/x.ts': '../../bus/index.ts',
  'src/salt/x.ts': '../msgpack/decode.ts',
  'src/simulator/x.ts': '../libvirt/packets.ts',
  'src/bus/x.ts': '../msgpack/index.ts',
  'src/bridges/x.ts': '../daemon/index.ts',
  'src/daemon/x.ts': '../cli/index.ts',
  'src/cli/x.ts': '../bus/bus.ts',
}

const ALONG = {
  'src/xdr/y.ts': '../core/errors.ts',
  'src/libvirt/transports/y.ts': '../../xdr/index.ts',
  'src/salt/ipc/y.ts': '../../msgpack/index.ts',
  'src/bridges/y.ts': '../libvirt/index.ts',
  'src/daemon/y.ts': '../bridges/index.ts',
  'src/cli/y.ts': '../bus/index.ts',
}

test('the linter refuses imports against the arrows, and only those', () => {
  using dir = tempDir()
  for (const name of ['biome.json', '.gitignore']) copyFileSync(join(ROOT, name), join(dir.path, name))
  for (const [file, imported] of Object.entries({ ...AGAINST, ...ALONG })) {
    mkdirSync(join(dir.path, dirname(file)), { recursive: true })
    writeFileSync(join(dir.path, file), `import { x } from '${imported}'\n\nexport const y: unknown = x\n`)
  }
  const { stdout, stderr } = spawnSync(BIOME, ['lint', '--colors=off', '--max-diagnostics=none'], {
    cwd: dir.path,
    encoding: 'utf8',
  })
  const refused = `${stdout}${stderr}`.matchAll(/^(src\/\S+?):\d+:\d+ lint\/style\/noRestrictedImports/gm)
  assert.deepEqual([...refused].map((match) => match[1]).sort(), Object.keys(AGAINST).sort())
})
