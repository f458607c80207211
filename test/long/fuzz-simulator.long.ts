import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../src/libvirt/index.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { Random } from '../../src/simulator/random.ts'
import { tempDir } from '../support/peers.ts'
import { liveMb, seedOf } from './measure.ts'
import { mutate } from './mutate.ts'

const PACKETS = Number(process.env['FUZZ_PACKETS'] ?? 1_000_000)
const PACKETS_A_CONNECTION = 20
const CONNECTIONS_AT_ONCE = 16
const ANSWER_MS = 30_000

const recorded: { exchanges: { command: string; call: string }[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/virsh-sessions.json'), 'utf8'),
)
const calls = recorded.exchanges.map(({ call }) => Buffer.from(call, 'hex'))
/** AUTH_LIST, SUPPORTS_FEATURE, OPEN as virsh begins. */
const opening = calls.slice(0, 3)

/** One client that begins like virsh and then sends what no client sends. */
async function client(path: string, random: Random): Promise<void> {
  const parts: Uint8Array[] = [...opening]
  for (let n = 0; n < PACKETS_A_CONNECTION; n++) {
    const whole = random.integer(4) === 0
    const call = random.pick(calls)
    parts.push(whole ? call : mutate(random, call, random.pick(calls)))
  }
  const socket = createConnection(path)
  socket.on('error', () => {}) // cut, as it deserves
  socket.resume()
  const closed = once(socket, 'close', { signal: AbortSignal.timeout(ANSWER_MS) })
  socket.end(Buffer.concat(parts))
  await closed
}

test('a million mutated packets into the simulator: closed and counted, others served, no growth', async () => {
  using dir = tempDir()
  const path = join(dir.path, 's')
  const random = new Random(seedOf('fuzz simulator'))
  await using simulator = await Simulator.listen({ path })
  await using witness = await connect({ uri: `test+unix:///default?socket=${path}`, reconnect: false })
  let sent = 0
  let early = 0
  while (sent < PACKETS) {
    await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, () => client(path, random)))
    sent += CONNECTIONS_AT_ONCE * PACKETS_A_CONNECTION
    await witness.remote.connectGetHostname()
    if (early === 0 && sent > PACKETS / 10) early = await liveMb()
  }
  const late = await liveMb()
  const { protocolErrors, calls: looked, refusals, clientsAccepted, clients } = simulator.stats
  console.log(
    `fuzz simulator: ${sent} packets in ${clientsAccepted} connections, ${looked} calls looked at, ${refusals} refused, ` +
      `${protocolErrors} connections cut for what they sent; live memory ${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
  )
  assert.equal(clients, 1)
  assert.ok(late - early < 8, `${(late - early).toFixed(1)} MB more`)
})
