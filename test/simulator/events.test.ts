import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EVENT_KINDS, enums, remote } from '../../src/libvirt/index.ts'
import { assertServes, callbackId, callPacket, decode, isMessage, RawClient } from './raw-client.ts'
import { TestSimulator } from './support.ts'

const { virErrorNumber: CODE, virDomainEventID } = enums
const LIFECYCLE = virDomainEventID.VIR_DOMAIN_EVENT_ID_LIFECYCLE

describe('events', () => {
  test('each registration gets its own message with its own callback id, filtered as asked', async () => {
    await using started = await TestSimulator.start()
    const { hypervisor, path, stats } = started.simulator
    await using first = await RawClient.open(path)
    await using second = await RawClient.open(path)
    const web = await first.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'web-1' })
    const register = remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
    const all = await first.call(register, { eventID: LIFECYCLE, dom: null })
    const one = await first.call(register, { eventID: LIFECYCLE, dom: web.dom })
    const other = await second.call(register, { eventID: LIFECYCLE, dom: null })
    assert.equal(new Set([all.callbackID, one.callbackID, other.callbackID]).size, 3)
    hypervisor.domains.suspend(hypervisor.domains.byName('web-1'))
    hypervisor.domains.suspend(hypervisor.domains.byName('db-1'))
    const ofFirst = await first.received(3, isMessage)
    const ofSecond = await second.received(2, isMessage)
    assert.deepEqual(ofFirst.map(callbackId), [all.callbackID, one.callbackID, all.callbackID])
    assert.deepEqual(ofSecond.map(callbackId), [other.callbackID, other.callbackID])
    assert.deepEqual([stats.events, stats.messages], [2, 5])
    const deregister = remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY
    await first.refused(deregister, { callbackID: other.callbackID })
    await first.call(deregister, { callbackID: all.callbackID })
    await first.refused(deregister, { callbackID: all.callbackID })
    hypervisor.domains.resume(hypervisor.domains.byName('web-1'))
    assert.deepEqual((await first.received(4, isMessage)).map(callbackId).at(-1), one.callbackID)
  })

  test('every kind that the release has can be registered and is sent, later ones are refused', async () => {
    await using started = await TestSimulator.start({ libVersion: '9.0.0' })
    await using client = await RawClient.open(started.simulator.path)
    const register = remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
    for (let eventID = 0; eventID <= 26; eventID++) await client.call(register, { eventID, dom: null })
    for (const eventID of [27, 28, 29, 1000, -1]) {
      const error = await client.refused(register, { eventID, dom: null })
      assert.equal(error.code, CODE.VIR_ERR_INVALID_ARG)
    }
    const { hypervisor } = started.simulator
    const dom = { name: 'x', uuid: '00000000-0000-4000-8000-000000000000', id: 3 }
    hypervisor.emit({
      object: 'domain',
      kind: 'nic_mac_change',
      dom,
      alias: 'net0',
      oldMAC: 'a',
      newMAC: 'b',
    })
    hypervisor.emit({
      object: 'domain',
      kind: 'block_threshold',
      dom,
      dev: 'vda',
      path: null,
      threshold: 2n ** 63n,
      excess: 1,
    })
    const [message] = await client.received(1, isMessage)
    assert.equal(message?.procedure, 385)
  })

  test('long messages and short ones come in their order', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.open(started.simulator.path)
    const register = remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
    const { callbackID } = await client.call(register, {
      eventID: virDomainEventID.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
      dom: null,
    })
    const dom = { name: 'x', uuid: '00000000-0000-4000-8000-000000000000', id: 3 }
    const lengths = [0, 900, 70_000, 1, 65_400, 3000, 60_000, 1_000_000, 2]
    for (const length of lengths)
      started.simulator.hypervisor.emit({
        object: 'domain',
        kind: 'metadata_change',
        dom,
        type: 2,
        nsuri: 'u'.repeat(length),
      })
    const messages = await client.received(lengths.length, isMessage)
    const type = EVENT_KINDS.find((kind) => kind.kind === 'metadata_change')?.type
    assert(type)
    const events = messages.map((packet) => decode(packet, type))
    assert.deepEqual(
      events.map((event) => event.kind === 'metadata_change' && event.nsuri?.length),
      lengths,
    )
    assert(events.every((event) => event.callbackID === callbackID))
  })

  test('a client that does not read is cut and counted; the others get everything', async () => {
    await using started = await TestSimulator.start({ unsentBytesMax: 200_000 })
    const { hypervisor, path, stats } = started.simulator
    const register = remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
    await using reader = await RawClient.open(path)
    await using sleeper = await RawClient.open(path)
    await reader.call(register, { eventID: LIFECYCLE, dom: null })
    await sleeper.call(register, { eventID: LIFECYCLE, dom: null })
    sleeper.socket.pause()
    const domain = hypervisor.domains.byName('web-1')
    let sent = 0
    while (stats.clientsCut === 0) {
      for (let round = 0; round < 100; round++) {
        hypervisor.domains.suspend(domain)
        hypervisor.domains.resume(domain)
        sent += 2
      }
      await reader.received(sent, isMessage)
    }
    assert.deepEqual([stats.clientsCut, stats.clients, stats.registrations], [1, 1, 1])
    sleeper.socket.resume()
    await sleeper.closed()
  })

  test('a client that asks and does not read gets its answers when it does, in order', async () => {
    await using started = await TestSimulator.start({
      domains: 2000,
      unsentBytesPause: 0,
      unsentBytesMax: 1_000_000,
    })
    await using client = await RawClient.open(started.simulator.path)
    client.socket.pause()
    const count = 300
    const list = { need_results: 1, flags: 0 }
    const calls = Array.from({ length: count }, (_, index) =>
      callPacket(remote.REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, list, 100 + index),
    )
    client.send(Buffer.concat(calls))
    await assertServes(started.simulator)
    client.socket.resume()
    const replies = await client.received(count, (packet) => packet.serial >= 100)
    assert.deepEqual(
      replies.map((packet) => packet.serial - 100),
      [...Array(count).keys()],
    )
    assert.equal(started.simulator.stats.clientsCut, 0)
  })
})
