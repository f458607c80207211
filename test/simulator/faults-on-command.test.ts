import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Connection, connect, type LibvirtErrorCode } from '../../src/libvirt/index.ts'
import type { Fault, FaultTarget } from '../../src/simulator/index.ts'
import { TestSimulator } from './support.ts'

const TIMEOUT = { timeoutMs: 200 }

/** What one call comes to under a fault, on a connection that does not come back. */
async function under(
  fault: Fault,
  target: FaultTarget,
  use: (connection: Connection, there: TestSimulator) => Promise<void>,
): Promise<void> {
  await using there = await TestSimulator.start()
  await using connection = await connect({ uri: there.simulator.uri, reconnect: false })
  const active = there.simulator.faults.add(fault, target)
  await use(connection, there)
  assert.equal(active.hits > 0, true)
}

const ENDS: [what: string, fault: Fault, code: LibvirtErrorCode][] = [
  ['closing before the call', { kind: 'close', when: 'before' }, 'ERR_LIBVIRT_CLOSED'],
  ['closing after the call', { kind: 'close', when: 'after' }, 'ERR_LIBVIRT_CLOSED'],
  ['a packet cut short', { kind: 'truncate', bytes: 30 }, 'ERR_LIBVIRT_CLOSED'],
  ['a cut after some bytes', { kind: 'cut', afterBytes: 10 }, 'ERR_LIBVIRT_CLOSED'],
  ['a length of nothing', { kind: 'length', bytes: 0 }, 'ERR_LIBVIRT_FRAME'],
  ['a length of 4 GiB', { kind: 'length', bytes: 0xffff_ffff }, 'ERR_LIBVIRT_FRAME'],
  ['a serial that nobody used', { kind: 'serial', add: 1000 }, 'ERR_LIBVIRT_PROTOCOL'],
  ['a second reply', { kind: 'duplicate' }, 'ERR_LIBVIRT_PROTOCOL'],
  ['a stall', { kind: 'stall' }, 'ERR_LIBVIRT_TIMEOUT'],
  ['a swallowed reply', { kind: 'swallow' }, 'ERR_LIBVIRT_TIMEOUT'],
]

for (const [what, fault, code] of ENDS)
  test(`${what} is seen by a client as ${code}`, async () => {
    await under(fault, { procedure: 'connect_get_hostname' }, async (connection) => {
      const call = connection.getHostname(TIMEOUT)
      // A second reply comes after the first has been taken for what it is.
      if (fault.kind === 'duplicate') {
        await call
        assert.equal((await connection.ended)?.code, code)
      } else await assert.rejects(call, { code })
    })
  })

test('a call that is closed on before has not happened, one that is closed on after has', async () => {
  for (const when of ['before', 'after'] as const)
    await under(
      { kind: 'close', when },
      { procedure: 'domain_suspend' },
      async (connection, { simulator }) => {
        const dom = await connection.lookupByName('web-1')
        await assert.rejects(dom.suspend(), { code: 'ERR_LIBVIRT_CLOSED', mayHaveExecuted: true })
        await using second = await connect({ uri: simulator.uri })
        const { state } = await (await second.lookupByName('web-1')).state()
        assert.equal(state, when === 'before' ? 1 : 3)
      },
    )
})

test('a refusal has the number that was asked for', async () => {
  await under({ kind: 'refuse', code: 38, message: 'no room' }, {}, async (connection) => {
    await assert.rejects(connection.getHostname(), { remoteCode: 38, message: /no room/ })
    await connection.getHostname()
  })
})

test('replies that come out of their order each find their call', async () => {
  await under({ kind: 'reorder', count: 3 }, { procedure: 'domain_lookup_by_name' }, async (connection) => {
    const seen: string[] = []
    const ask = async (name: string): Promise<void> => {
      const domain = await connection.lookupByName(name)
      assert.equal(domain.name, name)
      seen.push(name)
    }
    const names = (await connection.listAllDomains()).slice(0, 3).map(({ name }) => name)
    await Promise.all(names.map(ask))
    assert.deepEqual(seen, names.toReversed())
  })
})

test('a delayed reply is overtaken', async () => {
  await under({ kind: 'delay', ms: 50 }, { procedure: 'connect_get_hostname' }, async (connection) => {
    const seen: string[] = []
    await Promise.all([
      connection.getHostname().then(() => seen.push('late')),
      connection.getType().then(() => seen.push('early')),
    ])
    assert.deepEqual(seen, ['early', 'late'])
  })
})

test('turned bits follow from their seed', async () => {
  const outcome = async (seed: number): Promise<string> => {
    let text = ''
    await under({ kind: 'flip', bits: 8, seed }, {}, async (connection) => {
      text = await connection.getHostname(TIMEOUT).catch(({ code, message }) => `${code} ${message}`)
    })
    return text
  }
  assert.equal(await outcome(7), await outcome(7))
})

test('events can be forgotten, and given to a callback that nobody has', async () => {
  await under({ kind: 'forget' }, { procedure: 'domain/lifecycle', times: 2 }, async (connection) => {
    const events = connection.events({ domain: ['lifecycle'] })
    await events.ready
    const domain = await connection.lookupByName('web-1')
    for (const step of ['suspend', 'resume', 'suspend'] as const) await domain[step]()
    const { value } = await events.next()
    // Two are forgotten, the third is a suspension.
    assert.equal(value.object === 'domain' && value.event, 3)
    assert.equal(events.dropped, 0)
  })
})

test('an event under a wrong callback id ends the connection', async () => {
  await under({ kind: 'callback', add: 99 }, { procedure: 'domain/lifecycle' }, async (connection) => {
    await connection.events({ domain: ['lifecycle'] }).ready
    await (await connection.lookupByName('web-1')).suspend().catch(() => {})
    assert.equal((await connection.ended)?.code, 'ERR_LIBVIRT_PROTOCOL')
  })
})

test('keepalive that is not answered ends the connection, connections can be refused, and all comes back', async () => {
  await using there = await TestSimulator.start()
  const { faults, uri } = there.simulator
  await using connection = await connect({ uri, keepalive: { intervalMs: 20, count: 2 } })
  const events = connection.events()
  await events.ready
  using _silence = faults.add({ kind: 'no-pong' }, { connection: 1, times: Number.POSITIVE_INFINITY })
  using refused = faults.add({ kind: 'reject' }, { times: 2 })
  const lost = (await events.next()).value
  assert.equal(lost.kind === 'disconnected' && lost.error.code, 'ERR_LIBVIRT_KEEPALIVE')
  assert.equal((await events.next()).value.kind, 'reconnected')
  assert.equal(refused.hits, 2)
})

test('a fault is for one connection, lets some pass, and is gone when it is taken back', async () => {
  await using there = await TestSimulator.start()
  const { faults, uri } = there.simulator
  await using first = await connect({ uri })
  await using second = await connect({ uri })
  const fault = faults.add({ kind: 'refuse', code: 1 }, { connection: 2, skip: 1, times: 9 })
  await first.getHostname()
  await second.getHostname()
  await assert.rejects(second.getHostname(), { remoteCode: 1 })
  fault[Symbol.dispose]()
  await second.getHostname()
  assert.deepEqual([fault.hits, faults.isActive, faults.hits], [1, false, 1])
  faults.add({ kind: 'stall' })
  faults.clear()
  await first.getHostname()
})

test('any event kind can be sent on demand', async () => {
  await using there = await TestSimulator.start()
  await using connection = await connect({ uri: there.simulator.uri })
  const events = connection.events({ domain: ['nic_mac_change', 'channel_lifecycle'], secret: 'all' })
  await events.ready
  const { dom } = await connection.lookupByName('web-1')
  const macs = { alias: 'net0', oldMAC: '52:54:00:00:00:01', newMAC: '52:54:00:00:00:02' }
  there.simulator.hypervisor.emit({ object: 'domain', kind: 'nic_mac_change', dom, ...macs })
  const secret = { uuid: dom.uuid, usageType: 0, usageID: '' }
  there.simulator.hypervisor.emit({ object: 'secret', kind: 'value_changed', secret })
  const { callbackID: _, ...first } = Object((await events.next()).value)
  assert.deepEqual(first, { object: 'domain', kind: 'nic_mac_change', dom, ...macs })
  assert.equal((await events.next()).value.kind, 'value_changed')
})
