import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type Connection,
  connect,
  encodePacket,
  enums,
  type Packet,
  PacketDecoder,
  type PacketHeader,
  remote,
  rpc,
  VOID,
} from '../../src/libvirt/index.ts'
import type { XdrType } from '../../src/xdr/index.ts'
import { tempDir } from '../support/peers.ts'

/** What a daemon of raw bytes does with the first call after the connection is open. */
type Answer = (socket: Socket, call: Packet) => void

const INT: XdrType<number> = { decode: (r) => r.int(), encode: (w, v) => w.int(v) }

function reply<T>(
  call: PacketHeader,
  type: XdrType<T>,
  value: T,
  header: Partial<PacketHeader> = {},
): Buffer {
  const { program, version, procedure, serial } = call
  return encodePacket(
    { program, version, procedure, serial, type: rpc.VIR_NET_REPLY, status: rpc.VIR_NET_OK, ...header },
    type,
    value,
  )
}

function opening(call: Packet): Buffer | undefined {
  if (call.program !== remote.REMOTE_PROGRAM) return undefined
  if (call.procedure === remote.REMOTE_PROC_AUTH_LIST.number)
    return reply(call, remote.RemoteAuthListRet, { types: [0] })
  if (call.procedure === remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE.number) return reply(call, INT, 1)
  if (call.procedure === remote.REMOTE_PROC_CONNECT_OPEN.number) return reply(call, VOID, undefined)
  if (call.procedure === remote.REMOTE_PROC_CONNECT_CLOSE.number) return reply(call, VOID, undefined)
  return undefined
}

async function withDaemon(answer: Answer, use: (connection: Connection) => Promise<void>): Promise<void> {
  using dir = tempDir()
  const path = join(dir.path, 's')
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const decoder = new PacketDecoder()
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) =>
      decoder.push(chunk, (call) => {
        const known = opening(call)
        if (known) socket.write(known)
        else answer(socket, call)
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    const connection = await connect({
      uri: `test+unix:///default?socket=${path}`,
      keepalive: { intervalMs: 40, count: 2 },
      reconnect: false,
    })
    await use(connection)
    await connection.close()
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

function hostname(connection: Connection): Promise<unknown> {
  return connection.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
}

const NAME = remote.RemoteConnectGetHostnameRet
const faults: [what: string, code: string, answer: Answer][] = [
  ['a length below a header', 'ERR_LIBVIRT_FRAME', (s) => s.write(Buffer.from([0, 0, 0, 8]))],
  ['a length above the limit', 'ERR_LIBVIRT_FRAME', (s) => s.write(Buffer.from([0x7f, 0, 0, 0]))],
  [
    'a reply to no call',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => s.write(reply(c, NAME, { hostname: 'x' }, { serial: 9999 })),
  ],
  [
    'a reply of another procedure',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => s.write(reply(c, NAME, { hostname: 'x' }, { procedure: 1 })),
  ],
  [
    'a reply of another program',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => s.write(reply(c, NAME, { hostname: 'x' }, { program: 7 })),
  ],
  [
    'a reply of another version',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => s.write(reply(c, NAME, { hostname: 'x' }, { version: 2 })),
  ],
  [
    'a stream packet nobody asked for',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => s.write(reply(c, VOID, undefined, { type: rpc.VIR_NET_STREAM })),
  ],
  [
    'an unknown event',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => s.write(reply(c, VOID, undefined, { type: rpc.VIR_NET_MESSAGE, procedure: 9000 })),
  ],
  [
    'an event that nobody registered',
    'ERR_LIBVIRT_PROTOCOL',
    (s, c) => {
      const dom = { name: 'x', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 1 }
      const message = remote.REMOTE_PROC_DOMAIN_EVENT_CALLBACK_REBOOT
      s.write(
        reply(
          c,
          message.message,
          { callbackID: 1, msg: { dom } },
          { type: rpc.VIR_NET_MESSAGE, procedure: message.number },
        ),
      )
    },
  ],
  ['a body that is too short', 'ERR_LIBVIRT_BODY', (s, c) => s.write(reply(c, VOID, undefined))],
  [
    'a body with more behind it',
    'ERR_LIBVIRT_BODY',
    (s, c) => s.write(reply(c, remote.RemoteConnectOpenArgs, { name: 'abcd', flags: 0 })),
  ],
  [
    'the end in the middle of a packet',
    'ERR_LIBVIRT_CLOSED',
    (s, c) => s.end(reply(c, NAME, { hostname: 'x' }).subarray(0, 20)),
  ],
  ['silence', 'ERR_LIBVIRT_KEEPALIVE', () => {}],
]

for (const [what, code, answer] of faults)
  test(`${what}: typed error, connection closed, counted, process alive`, async () => {
    await withDaemon(answer, async (connection) => {
      await assert.rejects(hostname(connection), { name: 'LibvirtError', code })
      assert.equal((await connection.ended)?.code, code)
      assert.equal(
        connection.stats.protocolErrors,
        ['ERR_LIBVIRT_CLOSED', 'ERR_LIBVIRT_KEEPALIVE'].includes(code) ? 0 : 1,
      )
      await assert.rejects(hostname(connection), { code })
    })
  })

test('replies in another order reach their own calls, and no more than five calls are sent at a time', async () => {
  const held: Packet[] = []
  let most = 0
  await withDaemon(
    (socket, call) => {
      held.push(call)
      most = Math.max(most, held.length)
      if (held.length < 5) return
      for (const one of held.splice(0).reverse())
        socket.write(reply(one, NAME, { hostname: `host-${one.serial}` }))
    },
    async (connection) => {
      const names = await Promise.all(Array.from({ length: 20 }, () => hostname(connection)))
      const serials = names.map((name) => Number((name as { hostname: string }).hostname.slice(5)))
      assert.deepEqual(
        serials,
        serials.toSorted((a, b) => a - b),
      )
      assert.equal(most, 5)
    },
  )
})

test('aborting a call gives up waiting; its late reply is no error', async () => {
  const abort = new AbortController()
  let first: Packet | undefined
  await withDaemon(
    (socket, call) => {
      if (first) {
        socket.write(reply(first, NAME, { hostname: 'late' }))
        socket.write(reply(call, NAME, { hostname: 'second' }))
      } else {
        first = call
        abort.abort(new Error('given up'))
      }
    },
    async (connection) => {
      await assert.rejects(
        connection.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined, { signal: abort.signal }),
        /given up/,
      )
      assert.deepEqual(await hostname(connection), { hostname: 'second' })
    },
  )
})

test('a ping is answered by a pong', async () => {
  let pong: Packet | undefined
  await withDaemon(
    (socket, call) => {
      if (call.program === rpc.KEEPALIVE_PROGRAM) {
        if (call.procedure === rpc.KEEPALIVE_PROC_PONG) pong = call
        return
      }
      const ping = {
        program: rpc.KEEPALIVE_PROGRAM,
        version: 1,
        procedure: rpc.KEEPALIVE_PROC_PING,
        serial: 0,
        status: 0,
      }
      socket.write(encodePacket({ ...ping, type: rpc.VIR_NET_MESSAGE }, VOID, undefined))
      const wait = setInterval(() => {
        if (!pong) return
        clearInterval(wait)
        socket.write(reply(call, NAME, { hostname: 'x' }))
      }, 1)
    },
    async (connection) => {
      await hostname(connection)
      assert.deepEqual([pong?.type, pong?.serial, pong?.status], [rpc.VIR_NET_MESSAGE, 0, 0])
    },
  )
})

function refusal(code: number, message: string): Answer {
  const fields = {
    code,
    domain: 7,
    message,
    level: 2,
    dom: null,
    str1: message,
    str2: null,
    str3: null,
    int1: -1,
    int2: -1,
    net: null,
  }
  return (socket, call) =>
    socket.write(reply(call, rpc.VirNetMessageError, fields, { status: rpc.VIR_NET_ERROR }))
}

test('a missing polkit agent is told with the way out', async () => {
  const text =
    "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.monitor'"
  await withDaemon(refusal(enums.virErrorNumber.VIR_ERR_AUTH_UNAVAILABLE, text), async (connection) => {
    await assert.rejects(hostname(connection), {
      code: 'ERR_LIBVIRT_AUTH_DENIED',
      remoteCode: 94,
      message: /no polkit agent.*polkit rule.*group/,
    })
  })
})

test('a procedure that an older daemon lacks is told apart from other refusals', async () => {
  await withDaemon(
    refusal(enums.virErrorNumber.VIR_ERR_RPC, 'unknown procedure: 450'),
    async (connection) => {
      await assert.rejects(hostname(connection), { code: 'ERR_LIBVIRT_NO_SUPPORT', remoteCode: 39 })
    },
  )
})
