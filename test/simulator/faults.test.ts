import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { enums, remote, rpc, VOID } from '../../src/libvirt/index.ts'
import { Simulator, SimulatorError } from '../../src/simulator/index.ts'
import { assertServes, barePacket, callPacket, decode, isMessage, RawClient } from './raw-client.ts'
import { TestSimulator } from './support.ts'

const { virErrorNumber: CODE, virErrorDomain: DOMAIN } = enums
const lookup = callPacket(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'web-1' }, 9)

describe('bytes that cannot be', () => {
  const wrong: Record<string, Buffer> = {
    'a length of zero': Buffer.alloc(4),
    'a length shorter than a header': Buffer.from('0000001b', 'hex'),
    'a length over the limit': Buffer.from('02000005', 'hex'),
    text: Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    'an unknown type of packet': barePacket({ type: 7 }),
    'a reply': barePacket({ type: rpc.VIR_NET_REPLY }),
    'a message': barePacket({ type: rpc.VIR_NET_MESSAGE }),
    'a stream': barePacket({ type: rpc.VIR_NET_STREAM }),
    'a call with descriptors': barePacket({ type: rpc.VIR_NET_CALL_WITH_FDS }),
    'an unknown status': barePacket({ status: 3 }),
    'an unknown keepalive': barePacket({
      program: rpc.KEEPALIVE_PROGRAM,
      procedure: 3,
      type: rpc.VIR_NET_MESSAGE,
    }),
    'a keepalive that is a call': barePacket({ program: rpc.KEEPALIVE_PROGRAM, procedure: 1 }),
  }
  for (const [what, bytes] of Object.entries(wrong))
    test(`${what} ends the connection and is counted, what came before is answered`, async () => {
      await using started = await TestSimulator.start()
      const { simulator } = started
      await using other = await RawClient.open(simulator.path)
      await using client = await RawClient.open(simulator.path)
      client.send(Buffer.concat([lookup, bytes]))
      await client.closed()
      assert.equal(client.packets.at(-1)?.serial, 9)
      assert.equal(simulator.stats.protocolErrors, 1)
      assert.equal(simulator.stats.clients, 1)
      await other.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
    })

  test('a client that leaves anywhere in a packet disturbs nobody', async () => {
    await using started = await TestSimulator.start()
    const { simulator } = started
    for (let length = 0; length <= lookup.length; length++) {
      await using client = await RawClient.open(simulator.path)
      client.socket.end(lookup.subarray(0, length))
      await client.closed()
    }
    assert.equal(simulator.stats.protocolErrors, 0)
    await assertServes(simulator)
  })

  test('however a packet is cut, it is answered', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.open(started.simulator.path)
    client.socket.setNoDelay(true)
    for (const byte of lookup) client.send(Buffer.from([byte]))
    const [reply] = await client.received(1, (packet) => packet.serial === 9)
    assert(reply)
    assert.equal(decode(reply, remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME.result).dom.name, 'web-1')
  })

  test('any bytes end in an answer or a closed connection', async () => {
    await using started = await TestSimulator.start({ domains: 2, packetBytesMax: 4096 })
    const { simulator } = started
    const body = fc.uint8Array({ maxLength: 120 })
    const numbers = fc.oneof(fc.integer({ min: 0, max: 460 }), fc.constantFrom(9, 11, 264, 273, 316, 344))
    const call = fc.tuple(numbers, body).map(([procedure, bytes]) => {
      const head = barePacket({ procedure })
      head.writeUInt32BE(28 + bytes.length, 0)
      return Buffer.concat([head, bytes])
    })
    const chunk = fc.oneof(
      { weight: 4, arbitrary: call },
      { weight: 1, arbitrary: body.map((bytes) => Buffer.from(bytes)) },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(chunk, { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (chunks, isOpen) => {
          await using client = isOpen
            ? await RawClient.open(simulator.path)
            : await RawClient.connect(simulator.path)
          client.socket.end(Buffer.concat(chunks))
          await client.closed()
          await assertServes(simulator)
        },
      ),
      { numRuns: 150 },
    )
    assert.equal(simulator.stats.registrations, 0)
  })
})

describe('calls that are refused', () => {
  test('unknown programs, versions and procedures get the code and words that clients go by', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.open(started.simulator.path)
    const strange = { ...remote.REMOTE_PROC_CONNECT_GET_TYPE, result: VOID }
    const cases = [
      {
        procedure: { ...strange, program: 0x20008087 },
        message: /^Cannot find program 536903815 version 1$/,
      },
      { procedure: { ...strange, version: 2 }, message: /^Cannot find program 536903814 version 2$/ },
      { procedure: { ...strange, number: 9999 }, message: /^unknown procedure/ },
      { procedure: { ...strange, number: -1 }, message: /^unknown procedure/ },
      {
        procedure: remote.REMOTE_PROC_CONNECT_LIST_ALL_INTERFACES,
        args: { need_results: 1, flags: 3 },
        message: /^unknown procedure/,
      },
    ]
    for (const { procedure, args, message } of cases) {
      const error = await client.refused<unknown, unknown>(procedure, args)
      assert.deepEqual(
        { code: error.code, domain: error.domain, level: error.level },
        { code: CODE.VIR_ERR_RPC, domain: DOMAIN.VIR_FROM_RPC, level: 2 },
      )
      assert.match(error.message ?? '', message)
    }
    assert.equal(started.simulator.stats.refusals, cases.length)
  })

  test('a body that is not its procedure’s is refused and the connection stays', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.open(started.simulator.path)
    const long = Buffer.concat([lookup, Buffer.alloc(4)])
    long.writeUInt32BE(long.length, 0)
    const short = Buffer.from(lookup.subarray(0, 28))
    short.writeUInt32BE(short.length, 0)
    for (const bytes of [long, short]) {
      const before = client.packets.length
      client.send(bytes)
      await client.received(before + 1, () => true)
      const reply = client.packets.at(-1)
      assert(reply)
      const error = decode(reply, rpc.VirNetMessageError)
      assert.equal(error.code, CODE.VIR_ERR_RPC)
      assert.match(error.message ?? '', /unable to decode the arguments of domain_lookup_by_name/)
    }
    await client.call(remote.REMOTE_PROC_CONNECT_GET_TYPE, undefined)
  })

  test('nothing but opening is answered before the hypervisor is open, and it is opened once', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.connect(started.simulator.path)
    assert.deepEqual((await client.call(remote.REMOTE_PROC_AUTH_LIST, undefined)).types, [0])
    const early = await client.refused(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
    assert.equal(early.code, CODE.VIR_ERR_INTERNAL_ERROR)
    const name = 'test:///other'
    const other = await client.refused(remote.REMOTE_PROC_CONNECT_OPEN, { name, flags: 0 })
    assert.equal(other.code, CODE.VIR_ERR_NO_CONNECT)
    await client.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: '', flags: 0 })
    const twice = await client.refused(remote.REMOTE_PROC_CONNECT_OPEN, { name: null, flags: 0 })
    assert.equal(twice.code, CODE.VIR_ERR_INTERNAL_ERROR)
    assert.equal((await client.call(remote.REMOTE_PROC_CONNECT_GET_URI, undefined)).uri, 'test:///default')
  })

  test('a read-only connection changes nothing', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.open(started.simulator.path, 1)
    const { dom } = await client.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'web-1' })
    const error = await client.refused(remote.REMOTE_PROC_DOMAIN_DESTROY, { dom })
    assert.equal(error.code, CODE.VIR_ERR_OPERATION_DENIED)
    assert.equal((await client.call(remote.REMOTE_PROC_DOMAIN_GET_STATE, { dom, flags: 0 })).state, 1)
  })

  test('wrong states and unknown objects have the codes of the test driver', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.open(started.simulator.path)
    const uuid = '00000000-0000-4000-8000-000000000000'
    const noDomain = await client.refused(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, { uuid })
    assert.deepEqual([noDomain.code, noDomain.domain], [CODE.VIR_ERR_NO_DOMAIN, DOMAIN.VIR_FROM_TEST])
    const noNetwork = await client.refused(remote.REMOTE_PROC_NETWORK_LOOKUP_BY_NAME, { name: 'x' })
    assert.equal(noNetwork.code, CODE.VIR_ERR_NO_NETWORK)
    const noPool = await client.refused(remote.REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_NAME, { name: 'x' })
    assert.equal(noPool.code, CODE.VIR_ERR_NO_STORAGE_POOL)
    const noSecret = await client.refused(remote.REMOTE_PROC_SECRET_LOOKUP_BY_UUID, { uuid })
    assert.equal(noSecret.code, CODE.VIR_ERR_NO_SECRET)
    const noDevice = await client.refused(remote.REMOTE_PROC_NODE_DEVICE_LOOKUP_BY_NAME, { name: 'x' })
    assert.equal(noDevice.code, CODE.VIR_ERR_NO_NODE_DEVICE)
    const { dom } = await client.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'web-1' })
    const running = await client.refused(remote.REMOTE_PROC_DOMAIN_CREATE, { dom })
    assert.equal(running.code, CODE.VIR_ERR_OPERATION_INVALID)
    const noTitle = await client.refused(remote.REMOTE_PROC_DOMAIN_GET_METADATA, {
      dom,
      type: 1,
      uri: null,
      flags: 0,
    })
    assert.equal(noTitle.code, CODE.VIR_ERR_NO_DOMAIN_METADATA)
  })

  test('descriptions that are broken or over a limit are refused and change nothing', async () => {
    await using started = await TestSimulator.start({ domains: 0 })
    await using client = await RawClient.open(started.simulator.path)
    const xmls = [
      '',
      'x',
      '<',
      '<domain',
      '<domain>',
      '<domain/>',
      '<pool><name>x</name></pool>',
      '<domain><name></name></domain>',
      '<domain><name>a/b</name></domain>',
      '<domain><name>a</name><uuid>1</uuid></domain>',
      '<domain><name>a</name><vcpu>0</vcpu></domain>',
      '<domain><name>a</name><memory>-1</memory></domain>',
      '<domain><name>a</name><memory unit="x">1</memory></domain>',
      '<domain><name>a</name></domain><b/>',
      '<domain><name>&b;</name></domain>',
      '<domain><name>&#0;</name></domain>',
      `<domain><name>${'a'.repeat(256)}</name></domain>`,
      '<a>'.repeat(100_000),
      `<domain>${'<a/>'.repeat(20_001)}</domain>`,
      `<domain ${'a="" '.repeat(50_000)}`,
      `<domain>${' '.repeat(1_048_577)}</domain>`,
      '<domain><name>a</nam></domain>',
      '<!-- ',
      '<![CDATA[',
      '<?xml',
    ]
    for (const xml of xmls) {
      const error = await client.refused(remote.REMOTE_PROC_DOMAIN_DEFINE_XML, { xml })
      assert.equal(error.code, CODE.VIR_ERR_XML_ERROR, xml.slice(0, 80))
    }
    assert.equal(started.simulator.hypervisor.domains.size, 0)
  })
})

describe('connections', () => {
  test('a ping is answered at once, also before the hypervisor is open', async () => {
    await using started = await TestSimulator.start()
    await using client = await RawClient.connect(started.simulator.path)
    client.send(barePacket({ program: rpc.KEEPALIVE_PROGRAM, procedure: 1, type: rpc.VIR_NET_MESSAGE }))
    const [pong] = await client.received(1, (packet) => packet.program === rpc.KEEPALIVE_PROGRAM)
    assert.deepEqual([pong?.procedure, pong?.type, pong?.serial], [2, rpc.VIR_NET_MESSAGE, 0])
  })

  test('a client that asked for keepalive and does not answer it is cut', async () => {
    await using started = await TestSimulator.start({ keepaliveIntervalMs: 20, keepaliveCount: 2 })
    await using client = await RawClient.connect(started.simulator.path)
    await client.call(remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, { feature: 10 })
    await client.closed()
    const pings = client.packets.filter((packet) => packet.program === rpc.KEEPALIVE_PROGRAM)
    assert.equal(pings.length, 2)
    assert.equal(started.simulator.stats.keepaliveTimeouts, 1)
  })

  test('more clients than allowed are turned away', async () => {
    await using started = await TestSimulator.start({ clientsMax: 2 })
    const { simulator } = started
    await using first = await RawClient.open(simulator.path)
    await using second = await RawClient.open(simulator.path)
    await using third = await RawClient.connect(simulator.path)
    await third.closed()
    assert.equal(simulator.stats.clientsRefused, 1)
    await first.call(remote.REMOTE_PROC_CONNECT_CLOSE, undefined)
    await first.closed()
    await second.call(remote.REMOTE_PROC_CONNECT_GET_TYPE, undefined)
    await assertServes(simulator)
  })

  test('going away is told to those who asked, dropping is not', async () => {
    await using started = await TestSimulator.start()
    const { simulator } = started
    await using dropped = await RawClient.open(simulator.path)
    await dropped.call(remote.REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, undefined)
    assert.equal(simulator.dropClients(), 1)
    await dropped.closed()
    assert.equal(dropped.packets.filter(isMessage).length, 0)
    await using told = await RawClient.open(simulator.path)
    await told.call(remote.REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, undefined)
    await told.refused(remote.REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, undefined)
    await simulator[Symbol.asyncDispose]()
    await told.closed()
    assert.equal(told.packets.at(-1)?.procedure, remote.REMOTE_PROC_CONNECT_EVENT_CONNECTION_CLOSED.number)
  })

  test('a socket that somebody serves is not taken, other files neither, a stale one is', async () => {
    await using started = await TestSimulator.start()
    const { path } = started.simulator
    await assert.rejects(Simulator.listen({ path }), isListenError)
    await writeFile(`${path}.file`, '')
    await assert.rejects(Simulator.listen({ path: `${path}.file` }), isListenError)
    await assert.rejects(Simulator.listen({ path: `/${'x'.repeat(107)}` }), isListenError)
    await assert.rejects(Simulator.listen({ path: `${path}.many`, domains: 16_385 }), isListenError)
    await assert.rejects(Simulator.listen({ path: `${path}.old`, libVersion: 'nine' }), isListenError)
    await assertServes(started.simulator)
    // A process that dies leaves its socket behind.
    const script = `import net from 'node:net'; net.createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, `${path}.stale`])
    await once(child, 'close')
    await using again = await Simulator.listen({ path: `${path}.stale` })
    await assertServes(again)
  })
})

function isListenError(error: unknown): boolean {
  return error instanceof SimulatorError && error.code === 'ERR_SIMULATOR_LISTEN'
}
