import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode } from '../../src/msgpack/index.ts'
import { type Dialect, SaltEventClient } from '../../src/salt/index.ts'
import { needs, SALT_RELEASES, saltPython } from '../support/peers.ts'
import { PythonScript, sorted, type TypedForm, typed } from '../support/python.ts'
import { saltProgram, startSaltMaster } from '../support/salt-master.ts'

interface Shown {
  readonly tag: string
  readonly data: TypedForm
}

for (const dialect of ['classic', 'prefixed', 'split'] as const satisfies Dialect[]) {
  const version = SALT_RELEASES[dialect]
  const python = saltPython(version)

  test(
    `a real salt-master ${version}: what we and Python fire, both see`,
    needs(saltProgram(version, 'salt-master')),
    async () => {
      await using master = await startSaltMaster(version)
      await using peer = new PythonScript(python, 'salt_peer.py', [
        master.sockDir,
        'listen',
        'get_event',
        'my/',
        '3',
      ])
      assert.equal(await peer.line(), 'ready')

      await using client = await SaltEventClient.connect({ sockDir: master.sockDir, node: 'master' })
      await using ours = client.events({ tag: 'my/' })
      const samples = [
        { text: 'zoë', list: [1, { a: null }] },
        { big: 2n ** 63n - 1n, half: 0.5 },
        { large: 'x'.repeat(900_000) },
      ]
      for (const [index, sample] of samples.entries()) await client.fire(`my/${index}`, sample)
      assert.equal(client.dialect, dialect)
      // The wrong guess of the probe leaves no trace.
      assert.doesNotMatch(master.log(), /stream|unpack|IPC/i)
      for (const [index, sample] of samples.entries()) {
        const { value: event } = await ours.next()
        assert.equal(event?.tag, `my/${index}`)
        assert.deepEqual({ ...Object(event?.data), _stamp: 0 }, { ...sample, _stamp: 0 })
        const shown = (await peer.json()) as Shown // the form that salt_peer.py prints
        assert.equal(shown.tag, `my/${index}`)
        assert.deepEqual(
          sorted(shown.data),
          sorted(typed(decode(event?.payload ?? Buffer.alloc(0), { floats: 'exact' }))),
        )
      }

      await using theirs = client.events({ tag: 'python/' })
      await using firer = new PythonScript(python, 'salt_peer.py', [master.sockDir, 'fire', 'python/tag'])
      for (let index = 0; index < 9; index++) {
        const shown = (await firer.json()) as Shown // the form that salt_peer.py prints
        const { value: event } = await theirs.next()
        assert.ok(event)
        assert.deepEqual(sorted(typed(decode(event.payload, { floats: 'exact' }))), sorted(shown.data))
      }
      await using told = await SaltEventClient.connect({ sockDir: master.sockDir, dialect, listen: false })
      await using again = client.events({ tag: 'told' })
      await told.fire('told', {})
      assert.equal((await again.next()).value?.tag, 'told')
    },
  )

  test(
    `a real salt-master ${version} that ends is a lost connection`,
    needs(saltProgram(version, 'salt-master')),
    async () => {
      const master = await startSaltMaster(version)
      await using client = await SaltEventClient.connect({ sockDir: master.sockDir })
      const ended = assert.rejects(
        async () => {
          for await (const _ of client.events()) {
            // The master's own events.
          }
        },
        { code: 'ERR_SALT_CONNECTION_LOST' },
      )
      await master[Symbol.asyncDispose]()
      await ended
    },
  )
}
