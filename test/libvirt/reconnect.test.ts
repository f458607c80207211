import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { type ConnectionState, connect, type LibvirtError } from '../../src/libvirt/index.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { LIBVIRTD, startLibvirtd, VIRSH } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'

const run = promisify(execFile)
const live = needs(LIBVIRTD, VIRSH)

/** A relay to a socket whose connections can be cut, stopped and looked at. */
class Relay implements AsyncDisposable {
  readonly sockets = new Set<Socket>()
  readonly path: string
  /** Bytes towards the daemon are kept back. */
  mute = false
  readonly #server: Server = createServer((socket) => this.#join(socket))
  readonly #to: string

  private constructor(path: string, to: string) {
    this.path = path
    this.#to = to
  }

  static async start(path: string, to: string): Promise<Relay> {
    const relay = new Relay(path, to)
    await relay.listen()
    return relay
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve))
  }

  async stopListening(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy()
    this.sockets.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stopListening()
  }

  #join(socket: Socket): void {
    const daemon = createConnection(this.#to)
    for (const each of [socket, daemon]) {
      this.sockets.add(each)
      each.on('error', () => {})
    }
    socket.on('data', (chunk) => {
      if (!this.mute) daemon.write(chunk)
    })
    daemon.on('data', (chunk) => socket.write(chunk))
    socket.on('close', () => daemon.destroy())
    daemon.on('close', () => socket.destroy())
  }
}

test(
  'a killed libvirtd: events tell it, go on after its return, and calls say what became of them',
  live,
  async () => {
    const first = await startLibvirtd()
    const states: ConnectionState['state'][] = []
    await using connection = await connect({ uri: first.uri, onState: ({ state }) => states.push(state) })
    const events = connection.events({ domain: ['lifecycle'] })
    await events.ready
    const inFlight = Array.from({ length: 8 }, () => connection.remote.connectGetHostname().then(() => {}))
    const outcomes = Promise.allSettled(inFlight)
    const restarted = first.restart('SIGKILL')
    for (const outcome of await outcomes)
      if (outcome.status === 'rejected')
        assert.equal(typeof (outcome.reason as LibvirtError).mayHaveExecuted, 'boolean')
    const told = await events.next()
    assert.deepEqual([told.value.object, told.value.kind], ['connection', 'disconnected'])
    await assert.rejects(connection.remote.connectGetHostname(), {
      code: 'ERR_LIBVIRT_DISCONNECTED',
      mayHaveExecuted: false,
    })
    await using second = await restarted
    await connection.ready
    await run(VIRSH, ['-c', second.uri, 'suspend', 'test'])
    const back = await events.next()
    assert.deepEqual([back.value.object, back.value.kind], ['connection', 'reconnected'])
    assert.ok(back.value.kind === 'reconnected' && back.value.gapMs > 0)
    const event = await events.next()
    assert.equal(event.value.object === 'domain' && event.value.dom.name, 'test')
    assert.equal(connection.stats.reconnects, 1)
    assert.deepEqual(states.slice(0, 4), ['connecting', 'ready', 'waiting', 'connecting'])
    assert.equal(states.at(-1), 'ready')
  },
)

async function simulated(): Promise<{ uri: string; relay: Relay; simulator: Simulator } & AsyncDisposable> {
  const dir = tempDir()
  const path = join(dir.path, 'daemon')
  const simulator = await Simulator.listen({ path })
  const relay = await Relay.start(join(dir.path, 'relay'), path)
  return {
    uri: `test+unix:///default?socket=${relay.path}`,
    relay,
    simulator,
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]()
      await simulator[Symbol.asyncDispose]()
      dir[Symbol.dispose]()
    },
  }
}

test('whatever was in flight says whether it may have been executed', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  there.relay.mute = true
  // Four are with the daemon, as far as this side can know; the others wait.
  const calls = Array.from({ length: 6 }, () => connection.remote.connectGetCapabilities())
  const outcomes = Promise.allSettled(calls)
  there.relay.mute = false
  there.relay.cut()
  const fates = (await outcomes).map(
    (outcome) => outcome.status === 'rejected' && (outcome.reason as LibvirtError).mayHaveExecuted,
  )
  assert.deepEqual(fates, [true, true, true, true, false, false])
})

test('a subscription that begins during an outage is registered at its end, and nothing is listed before', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  const early = connection.events({ domain: ['lifecycle'] })
  await early.ready
  await there.relay.stopListening()
  assert.equal((await early.next()).value.kind, 'disconnected')
  const late = connection.events({ domain: ['lifecycle'] })
  await there.relay.listen()
  await Promise.all([late.ready, connection.ready])
  const { domains } = await connection.remote.connectListAllDomains({ need_results: 1, flags: 0 })
  const dom = domains.find(({ id }) => id > 0)
  assert.ok(dom)
  await connection.remote.domainSuspend({ dom })
  const seen = [await early.next(), await early.next(), await late.next()].map(({ value }) => value.kind)
  assert.deepEqual(seen.slice(0, 2), ['reconnected', 'lifecycle'])
  // One that began in the outage has nothing to be told of it but its end.
  assert.deepEqual(seen[2], 'reconnected')
})

test('more calls are with the daemon when it answers all of them at once', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  const quick = (): Promise<unknown> => connection.remote.connectGetHostname()
  const slow = (): Promise<unknown> => connection.remote.connectGetCapabilities()
  const sentOf = async (...calls: (() => Promise<unknown>)[]): Promise<number> => {
    await connection.ready
    there.relay.mute = true
    const outcomes = Promise.allSettled(calls.map((call) => call()))
    there.relay.cut()
    there.relay.mute = false
    const isSent = (outcome: PromiseSettledResult<unknown>): boolean =>
      outcome.status === 'rejected' && outcome.reason.mayHaveExecuted === true
    return (await outcomes).filter(isSent).length
  }
  assert.equal(await sentOf(...Array(20).fill(quick)), 16)
  assert.equal(await sentOf(quick, quick, slow, quick, quick, quick), 4)
  assert.equal(await sentOf(...Array(6).fill(slow)), 4)
})

test('a deadline and a signal give up one call, and the connection goes on', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  there.relay.mute = true
  await assert.rejects(connection.remote.connectGetHostname({ timeoutMs: 20 }), {
    code: 'ERR_LIBVIRT_TIMEOUT',
    mayHaveExecuted: true,
  })
  await assert.rejects(connection.remote.connectGetHostname({ signal: AbortSignal.timeout(20) }), {
    name: 'TimeoutError',
  })
  assert.equal(connection.state.state, 'ready')
  await assert.rejects(
    connection.remote.connectGetHostname({ signal: AbortSignal.abort(new Error('no')) }),
    /no/,
  )
})

test('a daemon that answers none of the calls it has is left, and another connection is made', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  there.relay.mute = true
  const calls = Array.from({ length: 7 }, () => connection.remote.connectGetCapabilities({ timeoutMs: 30 }))
  const outcomes = await Promise.allSettled(calls)
  assert.ok(outcomes.every((outcome) => outcome.status === 'rejected'))
  there.relay.mute = false
  await connection.ready
  assert.equal((await connection.remote.connectGetHostname()).hostname.length > 0, true)
  assert.equal(connection.stats.reconnects, 1)
})

test('a subscription that was given up, before or while it is registered, is no burden', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  const never = connection.events(undefined, { signal: AbortSignal.abort(new Error('never')) })
  await assert.rejects(never.ready, /never/)
  assert.deepEqual(await never.next(), { done: true, value: undefined })
  const abort = new AbortController()
  there.relay.mute = true
  const late = connection.events(undefined, { signal: abort.signal })
  abort.abort()
  await assert.rejects(late.ready, { code: 'ERR_LIBVIRT_CLOSED' })
  assert.deepEqual(await late.next(), { done: true, value: undefined })
  there.relay.mute = false
})

test('closing during an outage ends everything at once', async () => {
  await using there = await simulated()
  const connection = await connect({ uri: there.uri })
  const events = connection.events()
  await events.ready
  await there.relay.stopListening()
  await events.next()
  const ready = assert.rejects(connection.ready, { code: 'ERR_LIBVIRT_CLOSED' })
  await connection.close()
  await ready
  assert.deepEqual(await events.next(), { done: true, value: undefined })
  assert.equal(await connection.ended, undefined)
  await assert.rejects(connection.remote.connectGetHostname(), { code: 'ERR_LIBVIRT_CLOSED' })
})

test('a consumer that does not read its events delays no reply, and is told how many it lost', async () => {
  await using there = await simulated()
  await using connection = await connect({ uri: there.uri })
  const events = connection.events({ domain: ['lifecycle'] }, { limit: 4 })
  await events.ready
  const { domains } = await connection.remote.connectListAllDomains({ need_results: 1, flags: 0 })
  const dom = domains.find(({ id }) => id > 0)
  assert.ok(dom)
  for (let round = 0; round < 10; round++) {
    await connection.remote.domainSuspend({ dom })
    await connection.remote.domainResume({ dom })
  }
  assert.equal(events.dropped, 16)
})
