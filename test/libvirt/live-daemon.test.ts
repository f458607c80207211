import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { type ConnectionEvent, connect, enums, type LibvirtEvent, remote } from '../../src/libvirt/index.ts'
import { LIBVIRTD, startLibvirtd, type TestDaemon, VIRSH } from '../support/libvirtd.ts'
import { needs } from '../support/peers.ts'

const run = promisify(execFile)
const live = needs(LIBVIRTD, VIRSH)
let daemon: TestDaemon

before(async () => {
  if (!live.skip) daemon = await startLibvirtd()
})
after(() => daemon?.[Symbol.asyncDispose]())

function virsh(...args: string[]): Promise<{ stdout: string }> {
  return run(VIRSH, ['-c', daemon.uri, ...args])
}

test('lists the domain of the test driver over the read-only socket', live, async () => {
  await using connection = await connect({
    uri: `test+unix:///default?socket=${daemon.readOnlySocketPath}`,
    readOnly: true,
  })
  const { domains } = await connection.call(remote.REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, {
    need_results: 1,
    flags: 0,
  })
  assert.deepEqual(
    domains.map((dom) => [dom.name, dom.id, dom.uuid]),
    [['test', 1, '6695eb01-f6a4-8304-79aa-97f2502e193f']],
  )
  const [dom] = domains
  assert.ok(dom)
  await assert.rejects(connection.call(remote.REMOTE_PROC_DOMAIN_SUSPEND, { dom }), {
    code: 'ERR_LIBVIRT_REMOTE',
    remoteCode: enums.virErrorNumber.VIR_ERR_OPERATION_DENIED,
  })
})

test('an error of the daemon carries its code, domain, level and message', live, async () => {
  await using connection = await connect({ uri: daemon.uri })
  await assert.rejects(connection.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'no-such' }), {
    code: 'ERR_LIBVIRT_REMOTE',
    remoteCode: enums.virErrorNumber.VIR_ERR_NO_DOMAIN,
    remoteDomain: enums.virErrorDomain.VIR_FROM_TEST,
    remoteLevel: enums.virErrorLevel.VIR_ERR_ERROR,
    message: /Domain not found/,
  })
})

test('events of real virsh arrive, and kinds that the driver lacks are named', live, async () => {
  await using connection = await connect({ uri: daemon.uri, readOnly: true })
  await using events = connection.events()
  await events.ready
  const skipped = events.skipped.map(({ kind }) => `${kind.object}/${kind.kind}`)
  assert.ok(skipped.includes('secret/lifecycle') && skipped.includes('secret/value_changed'), String(skipped))
  assert.ok(!skipped.includes('domain/lifecycle'))
  await virsh('suspend', 'test')
  await virsh('resume', 'test')
  const seen: (LibvirtEvent | ConnectionEvent)[] = []
  for await (const event of events) {
    seen.push(event)
    if (seen.length === 2) break
  }
  const { VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_RESUMED } = enums.virDomainEventType
  assert.deepEqual(
    seen.map(
      (event) =>
        event.object === 'domain' &&
        event.kind === 'lifecycle' && [event.dom.name, event.event, event.detail],
    ),
    [
      ['test', VIR_DOMAIN_EVENT_SUSPENDED, 0],
      ['test', VIR_DOMAIN_EVENT_RESUMED, 0],
    ],
  )
})

test('many calls at once come back each with its own result', live, async () => {
  await using connection = await connect({ uri: daemon.uri })
  const names = await Promise.all(
    Array.from({ length: 200 }, () =>
      connection.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'test' }),
    ),
  )
  assert.ok(names.every(({ dom }) => dom.name === 'test'))
  assert.equal(connection.stats.protocolErrors, 0)
})

test('two subscriptions of one connection each get every event, and closing ends both', live, async () => {
  const connection = await connect({ uri: daemon.uri })
  const streams = [connection.events({ domain: ['lifecycle'] }), connection.events({ domain: ['lifecycle'] })]
  await Promise.all(streams.map(({ ready }) => ready))
  await virsh('suspend', 'test')
  await virsh('resume', 'test')
  const counts = streams.map(async (stream) => {
    let count = 0
    for await (const _ of stream) count++
    return count
  })
  await connection.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
  await connection.close()
  assert.deepEqual(await Promise.all(counts), [2, 2])
  assert.equal(await connection.ended, undefined)
})

test('without reconnecting, a daemon that is killed ends the iterator with a typed error', live, async () => {
  await using other = await startLibvirtd()
  const connection = await connect({ uri: other.uri, reconnect: false })
  const events = connection.events()
  await events.ready
  const next = events.next()
  other.process.kill('SIGKILL')
  await assert.rejects(next, { code: 'ERR_LIBVIRT_CLOSED' })
  assert.equal((await connection.ended)?.code, 'ERR_LIBVIRT_CLOSED')
  await assert.rejects(connection.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined), {
    code: 'ERR_LIBVIRT_CLOSED',
  })
})
