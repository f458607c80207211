import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { messageOf } from '../../src/core/errors.ts'
import { enums, remote } from '../../src/libvirt/index.ts'
import { encodePacket, type Packet, PacketDecoder } from '../../src/libvirt/packets.ts'
import type { Procedure } from '../../src/libvirt/protocol/procedure.ts'
import {
  VIR_NET_ERROR,
  VIR_NET_OK,
  VIR_NET_REPLY,
  VirNetMessageError,
} from '../../src/libvirt/protocol/rpc.gen.ts'
import { decodeBody } from '../../src/libvirt/rpc-errors.ts'
import { createSaslServer, SASL_MECHANISMS, type SaslLayer, type SaslServer } from '../../src/sasl/index.ts'
import { tempDir } from '../support/peers.ts'
import { virsh, virshSkip } from '../support/virsh.ts'
import { serverOptions, USERS } from './support.ts'

/** A host name longer than one protected message. */
const HOSTNAME = 'host.'.repeat(40_000)

/** As much of a daemon as `virsh hostname` asks for, behind a login with one mechanism. */
class Daemon {
  readonly #socket: Socket
  readonly #sasl: SaslServer
  readonly #mechanism: string
  readonly #decoder = new PacketDecoder()
  readonly #usernames: string[]
  #layer: SaslLayer | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(socket: Socket, how: { mechanism: string; layer: 'required' | 'none'; usernames: string[] }) {
    this.#socket = socket
    this.#mechanism = how.mechanism
    this.#usernames = how.usernames
    this.#sasl = createSaslServer(how.mechanism, serverOptions(how.layer))
    // A client that was refused resets its connection.
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      const take = (plain: Buffer): void =>
        this.#decoder.push(plain, (packet) => {
          const copy = { ...packet, bytes: Buffer.from(packet.bytes) }
          this.#work = this.#work.then(() => this.#answer(copy))
        })
      if (this.#layer) this.#layer.unwrap(chunk, take)
      else take(chunk)
    })
  }

  async #answer(packet: Packet): Promise<void> {
    try {
      await this.#serve(packet)
    } catch (error) {
      const none = { dom: null, str1: null, str2: null, str3: null, int1: 0, int2: 0, net: null }
      const code = enums.virErrorNumber.VIR_ERR_AUTH_FAILED
      const body = { code, domain: 7, message: messageOf(error), level: 2, ...none }
      const header = { ...packet, type: VIR_NET_REPLY, status: VIR_NET_ERROR }
      this.#send(encodePacket(header, VirNetMessageError, body))
    }
  }

  async #serve(packet: Packet): Promise<void> {
    const is = (procedure: { number: number }): boolean => packet.procedure === procedure.number
    const reply = <A, R>(procedure: Procedure<A, R>, result: R): void =>
      this.#send(
        encodePacket({ ...packet, type: VIR_NET_REPLY, status: VIR_NET_OK }, procedure.result, result),
      )
    if (is(remote.REMOTE_PROC_AUTH_LIST))
      reply(remote.REMOTE_PROC_AUTH_LIST, { types: [remote.REMOTE_AUTH_SASL] })
    else if (is(remote.REMOTE_PROC_AUTH_SASL_INIT))
      reply(remote.REMOTE_PROC_AUTH_SASL_INIT, { mechlist: this.#mechanism })
    else if (is(remote.REMOTE_PROC_AUTH_SASL_START)) {
      const { nil, data } = decodeBody(packet, remote.REMOTE_PROC_AUTH_SASL_START.args)
      reply(remote.REMOTE_PROC_AUTH_SASL_START, await this.#step(nil === 0 ? data : undefined))
      this.#layer = this.#sasl.layer
    } else if (is(remote.REMOTE_PROC_AUTH_SASL_STEP)) {
      const { nil, data } = decodeBody(packet, remote.REMOTE_PROC_AUTH_SASL_STEP.args)
      reply(remote.REMOTE_PROC_AUTH_SASL_STEP, await this.#step(nil === 0 ? data : undefined))
      this.#layer = this.#sasl.layer
    } else if (this.#sasl.username === undefined) throw new Error('authentication required')
    else if (is(remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE))
      reply(remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, { supported: 0 })
    else if (is(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME))
      reply(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, { hostname: HOSTNAME })
    else reply(remote.REMOTE_PROC_CONNECT_CLOSE, undefined)
  }

  async #step(response: Buffer | undefined): Promise<{ complete: number; nil: number; data: Buffer }> {
    const { complete, data } = await this.#sasl.step(response)
    if (complete) this.#usernames.push(this.#sasl.username ?? '')
    return { complete: complete ? 1 : 0, nil: data ? 0 : 1, data: data ?? Buffer.alloc(0) }
  }

  #send(packet: Buffer): void {
    this.#socket.write(this.#layer ? this.#layer.wrap(packet) : packet)
  }
}

/** Runs `virsh hostname` against our server, and gives back who has logged in. */
async function hostnameBy(
  mechanism: string,
  credentials: { username: string; password: string },
  layer: 'required' | 'none',
): Promise<{ code: number | null; stdout: string; stderr: string; usernames: string[] }> {
  using dir = tempDir()
  const usernames: string[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    new Daemon(socket, { mechanism, layer, usernames })
  })
  const socketPath = join(dir.path, 's')
  if (layer === 'required') server.listen(0, '127.0.0.1')
  else server.listen(socketPath)
  await once(server, 'listening')
  const address = server.address()
  const host = typeof address === 'object' && address ? `127.0.0.1:${address.port}` : ''
  const authFile = join(dir.path, 'auth.conf')
  writeFileSync(
    authFile,
    `[credentials-x]\nauthname=${credentials.username}\npassword=${credentials.password}\n` +
      '[auth-libvirt-127.0.0.1]\ncredentials=x\n[auth-libvirt-localhost]\ncredentials=x\n',
  )
  const where = host ? `test+tcp://${host}/default?` : `test+unix:///default?socket=${socketPath}&`
  const result = await virsh(`${where}authfile=${authFile}`, 'hostname')
  for (const socket of sockets) socket.destroy()
  server.close()
  return { ...result, usernames }
}

for (const mechanism of SASL_MECHANISMS)
  test(`${mechanism}: virsh logs in at our server over a UNIX socket, and not with a wrong password`, {
    skip: virshSkip,
  }, async () => {
    for (const username of ['alice', 'zoë', 'ninth']) {
      const credentials = { username, password: USERS[username] ?? '' }
      const { code, stdout, stderr, usernames } = await hostnameBy(mechanism, credentials, 'none')
      assert.deepEqual([stderr, code, stdout.trim(), usernames], ['', 0, HOSTNAME, [username]])
    }
    const wrong = await hostnameBy(mechanism, { username: 'alice', password: 'wrong' }, 'none')
    assert.notEqual(wrong.code, 0)
    assert.match(wrong.stderr, /no 'alice' with this password/)
    assert.deepEqual(wrong.usernames, [])
  })

test('DIGEST-MD5: virsh and our server read what the other protects over TCP', {
  skip: virshSkip,
}, async () => {
  for (const username of ['alice', 'zoë', 'snow ☃']) {
    const credentials = { username, password: USERS[username] ?? '' }
    const { code, stdout, stderr, usernames } = await hostnameBy('DIGEST-MD5', credentials, 'required')
    assert.deepEqual([stderr, code, stdout.trim(), usernames], ['', 0, HOSTNAME, [username]])
  }
  const wrong = await hostnameBy('DIGEST-MD5', { username: 'alice', password: 'wrong' }, 'required')
  assert.match(wrong.stderr, /no 'alice' with this password/)
})
