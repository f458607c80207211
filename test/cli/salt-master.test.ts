import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs, SALT_RELEASES } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'
import { saltProgram, startSaltMaster } from '../support/salt-master.ts'

for (const version of [SALT_RELEASES.prefixed, SALT_RELEASES.split])
  test(
    `virbus watch and fire work on the sockets of a real salt-master ${version}`,
    needs(saltProgram(version, 'salt-master')),
    async () => {
      await using master = await startSaltMaster(version)
      await using watch = new LineProcess(VIRBUS, ['watch', 'my/*', '--json', '--sock-dir', master.sockDir])
      await watch.lines(/^virbus: watching/, 1, 'stderr')
      const fired = await virbus('fire', 'my/tag', '{"n": 9223372036854775807}', '--sock-dir', master.sockDir)
      assert.equal(fired.code, 0, fired.stderr)
      const [line = ''] = await watch.lines(/"my\/tag"/)
      assert.match(line, /^\{"tag": "my\/tag", "data": \{"n": 9223372036854775807, "_stamp": "[^"]+"\}\}$/)
    },
  )
