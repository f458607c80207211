import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { silentLogger } from '../src/core/logger.ts'
import { Daemon } from '../src/daemon/index.ts'
import { SaltEventClient } from '../src/salt/index.ts'

/** Our side of bench/ipc.ts: `ipc-worker.ts SOCK_DIR server | subscribe COUNT | fire COUNT`, with the same lines as ipc_salt.py. */
const [sockDir = '', role = '', amount = '0'] = process.argv.slice(2)
const count = Number(amount)

/** Events fired before waiting until they are written. */
const BATCH = 100

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** The whole bus as `virbus up` runs it, without libvirt. */
async function serve(): Promise<void> {
  await using _daemon = await Daemon.start({ sockDir, wire: 'prefixed', engines: [], log: silentLogger })
  await once(process.stdin.resume(), 'end')
}

async function subscribe(): Promise<void> {
  await using client = await SaltEventClient.connect({ sockDir, limit: count })
  const events = client.events({ tag: 'bench/' })
  say({ ready: true })
  let seen = 0
  for await (const event of events) {
    // Like Salt's get_event, which decodes every event.
    if (Object(event.data).number !== seen) throw new Error(`event ${seen} is missing`)
    if (++seen === count) break
  }
  say({ ended: performance.timeOrigin + performance.now() })
}

async function fire(): Promise<void> {
  await using client = await SaltEventClient.connect({ sockDir, dialect: 'prefixed', listen: false })
  say({ ready: true })
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const sample: Record<string, unknown> = JSON.parse((await lines.next()).value ?? '{}')
  say({ began: performance.timeOrigin + performance.now() })
  for (let number = 0; number < count; ) {
    const batch: Promise<void>[] = []
    for (const end = Math.min(count, number + BATCH); number < end; number++) {
      sample['number'] = number
      batch.push(client.fire('bench/lifecycle', sample))
    }
    await Promise.all(batch)
  }
  await lines.next()
}

if (role === 'server') await serve()
else if (role === 'subscribe') await subscribe()
else await fire()
