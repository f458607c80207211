import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, connect, LibvirtError } from '../../src/libvirt/index.ts'
import { Random } from '../../src/simulator/random.ts'
import { LIBVIRTD, startLibvirtd } from '../support/libvirtd.ts'
import { needs } from '../support/peers.ts'
import { liveMb, openResources, seedOf } from './measure.ts'

const live = needs(LIBVIRTD)
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 100)
const BACK_MS = 2000

/** Calls until it is told to stop; counts what becomes of them. */
async function traffic(
  connection: Connection,
  stop: AbortSignal,
  fates: Record<string, number>,
): Promise<void> {
  while (!stop.aborted) {
    try {
      const { domains } = await connection.remote.connectListAllDomains({ need_results: 1, flags: 0 })
      const [dom] = domains
      if (dom) {
        await connection.remote.domainSuspend({ dom })
        await connection.remote.domainResume({ dom })
      }
      fates['ok'] = (fates['ok'] ?? 0) + 1
    } catch (error) {
      assert.ok(error instanceof LibvirtError, String(error))
      const fate =
        error.mayHaveExecuted === undefined ? error.code : `mayHaveExecuted ${error.mayHaveExecuted}`
      fates[fate] = (fates[fate] ?? 0) + 1
      // Two who suspend and resume one guest get into each other's way; a lost connection is waited for.
      if (error.code !== 'ERR_LIBVIRT_REMOTE') await connection.ready.catch(() => {})
    }
  }
}

test(
  'libvirtd is killed again and again: back within 2 s of its return, and nothing is left behind',
  live,
  async () => {
    const random = new Random(seedOf('kill libvirtd'))
    let daemon = await startLibvirtd()
    const stop = new AbortController()
    await using connection = await connect({ uri: daemon.uri })
    await using idle = await connect({ uri: daemon.uri, readOnly: true })
    const events = connection.events(undefined, { signal: stop.signal })
    await events.ready
    const told = { disconnected: 0, reconnected: 0, events: 0 }
    const consumer = (async () => {
      for await (const event of events)
        if (event.object === 'connection') told[event.kind]++
        else told.events++
    })()
    const fates: Record<string, number> = {}
    const callers = [traffic(connection, stop.signal, fates), traffic(connection, stop.signal, fates)]
    const backMs: number[] = []
    let before: Record<string, number> = {}
    let beforeMb = 0
    for (let round = 1; round <= ROUNDS; round++) {
      await delay(random.integer(150))
      daemon = await daemon.restart('SIGKILL')
      const upAt = performance.now()
      await Promise.all([connection.ready, idle.ready])
      // It may have been ready again before the signal was noticed.
      while (connection.state.state !== 'ready' || idle.state.state !== 'ready') {
        await delay(5)
        await Promise.all([connection.ready, idle.ready])
      }
      backMs.push(performance.now() - upAt)
      if (round === Math.min(10, ROUNDS)) {
        before = openResources()
        beforeMb = await liveMb()
      }
    }
    const after = openResources()
    const afterMb = await liveMb()
    const listeners = getEventListeners(stop.signal, 'abort').length
    stop.abort()
    await Promise.all([consumer, ...callers])
    await daemon[Symbol.asyncDispose]()
    backMs.sort((a, b) => a - b)
    const at = (share: number): string => (backMs[Math.floor(share * (backMs.length - 1))] ?? 0).toFixed(0)
    console.log(
      `kill libvirtd: ${ROUNDS} times; back after ${at(0.5)} ms (median), ${at(1)} ms (longest) of its return; ` +
        `${told.events} events, told ${told.disconnected} times of a loss and ${told.reconnected} times of its end`,
    )
    console.log('kill libvirtd: calls', fates)
    console.log(
      'kill libvirtd: open',
      before,
      '->',
      after,
      `live memory ${beforeMb.toFixed(1)} -> ${afterMb.toFixed(1)} MB`,
    )
    assert.ok(Number(at(1)) < BACK_MS)
    assert.equal(told.disconnected, told.reconnected)
    assert.ok(told.disconnected >= ROUNDS)
    assert.equal(listeners, 1)
    for (const [kind, count] of Object.entries(after))
      assert.ok(count <= (before[kind] ?? 0) + 2, `${kind}: ${before[kind]} -> ${count}`)
    assert.ok(afterMb - beforeMb < 8)
  },
)
