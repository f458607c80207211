import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { LibvirtToBus } from '../../src/bridges/index.ts'
import { Bus } from '../../src/bus/index.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { msgpackCodec } from '../../src/daemon/index.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { tempDir } from '../support/peers.ts'

test('a daemon that is not there is tried again and again, and that is logged once', async () => {
  using dir = tempDir()
  const path = join(dir.path, 's')
  await using bus = new Bus()
  const warned: Record<string, unknown>[] = []
  const tried = Promise.withResolvers<void>()
  await using engine = new LibvirtToBus({
    bus,
    codec: msgpackCodec,
    stamp: () => '',
    log: {
      ...silentLogger,
      warn: (fields) => warned.push(fields),
      debug: ({ failures }) => {
        if (failures === 3) tried.resolve()
      },
    },
    uri: `test+unix:///default?socket=${path}`,
  })
  engine.start()
  await tried.promise
  assert.deepEqual(
    warned.map(({ code, failures }) => [code, failures]),
    [['ERR_LIBVIRT_CONNECT', 1]],
  )
  await using _simulator = await Simulator.listen({ path })
  await engine.ready
})
