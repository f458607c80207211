/**
 * Our client under a benchmark, in a process of its own: libvirt-client.ts MODE URI COUNT, one JSON line out.
 * The same modes as libvirt_client.py and go/main.go.
 */

import { kindsOf } from '../../src/libvirt/event-filter.ts'
import { EventHub } from '../../src/libvirt/event-hub.ts'
import { type Connection, connect, PacketDecoder, rpc } from '../../src/libvirt/index.ts'
import { RpcClient } from '../../src/libvirt/rpc-client.ts'
import type { Transport, TransportHandlers } from '../../src/libvirt/transports/transport.ts'
import { connectUnix } from '../../src/libvirt/transports/unix.ts'

const [mode = '', uri = '', text = '1'] = process.argv.slice(2)
const count = Number(text)

interface Measured {
  ms: number
  cpuMs: number
  done: number
}

async function measured(work: () => Promise<number>): Promise<Measured> {
  const before = process.cpuUsage()
  const start = performance.now()
  const done = await work()
  const { user, system } = process.cpuUsage(before)
  return { ms: performance.now() - start, cpuMs: (user + system) / 1000, done }
}

/** A socket whose packets of one kind are kept, and that can give them again, as often as wanted, as if they came. */
class Recorder implements Transport {
  readonly frames: Buffer[] = []
  readonly #inner: Transport
  #handlers: TransportHandlers | undefined

  constructor(inner: Transport) {
    this.#inner = inner
  }

  start(handlers: TransportHandlers): void {
    const decoder = new PacketDecoder()
    this.#handlers = handlers
    this.#inner.start({
      ...handlers,
      data: (chunk) => {
        decoder.push(chunk, ({ type, bytes }) => {
          if (type === rpc.VIR_NET_MESSAGE) this.frames.push(Buffer.from(bytes))
        })
        handlers.data(chunk)
      },
      drain: () => handlers.drain(),
      closed: (error) => handlers.closed(error),
    })
  }

  replay(chunk: Buffer): void {
    this.#handlers?.data(chunk)
  }

  write(bytes: Buffer): number {
    return this.#inner.write(bytes)
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  destroy(): void {
    this.#inner.destroy()
  }
}

/** A recorded stream of lifecycle events through the whole client, from bytes to the consumer's loop. */
async function decode(): Promise<Measured> {
  const path = new URL(uri.replace(/^[^:]*/, 'x')).searchParams.get('socket') ?? ''
  const recorder = new Recorder(await connectUnix({ socketPath: path }))
  const hub = new EventHub()
  const client = new RpcClient({
    transport: recorder,
    onMessage: (packet) => hub.deliver(packet),
    onClosed: (error) => hub.fail(error),
  })
  const { remote } = await import('../../src/libvirt/index.ts')
  await client.call(remote.REMOTE_PROC_AUTH_LIST, undefined)
  await client.call(remote.REMOTE_PROC_CONNECT_OPEN, { name: 'test:///default', flags: 0 })
  const events = hub.subscribe(kindsOf({ domain: ['lifecycle'] }), { limit: 65_536 })
  await hub.attach(client)
  await events.ready
  const { dom } = await client.call(remote.REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, { name: 'test' })
  await client.call(remote.REMOTE_PROC_DOMAIN_SUSPEND, { dom })
  await events.next()
  await client.call(remote.REMOTE_PROC_DOMAIN_RESUME, { dom })
  await events.next()
  if (recorder.frames.length !== 2) throw new Error(`${recorder.frames.length} events recorded`)
  const pairs = Math.ceil(65_536 / Buffer.concat(recorder.frames).length)
  const chunk = Buffer.concat(Array.from({ length: pairs }, () => recorder.frames).flat())
  const run = (wanted: number): Promise<Measured> =>
    measured(async () => {
      let seen = 0
      let last = -1
      const feed = (): void => {
        recorder.replay(chunk)
        if (seen + events.length < wanted) setImmediate(feed)
      }
      feed()
      for await (const event of events) {
        if (event.object === 'connection' || event.kind !== 'lifecycle' || event.event === last)
          throw new Error('out of order')
        last = event.event
        if (++seen >= wanted && events.length === 0) break
      }
      return seen
    })
  const result = await run(count)
  if (events.dropped > 0) throw new Error(`${events.dropped} dropped`)
  return result
}

const WORK: Record<string, (connection: Connection) => Promise<number>> = {
  /** All domains, each with its info. */
  async list(connection) {
    let done = 0
    for (let n = 0; n < count; n++) {
      const domains = await connection.listAllDomains()
      done += (await Promise.all(domains.map((domain) => domain.info()))).length
    }
    return done
  },
  async stats(connection) {
    let done = 0
    for (let n = 0; n < count; n++) done += (await connection.getAllDomainStats()).length
    return done
  },
  async sequential(connection) {
    for (let n = 0; n < count; n++) await connection.getHostname()
    return count
  },
  async parallel(connection) {
    let left = count
    const worker = async (): Promise<void> => {
      while (left-- > 0) await connection.getHostname()
    }
    await Promise.all(Array.from({ length: 16 }, worker))
    return count
  },
}

/** Many connections of one process, all kinds of events registered on each; `ready`, then the events. */
async function fleet(connections: number): Promise<Measured & { inOrder: boolean }> {
  const open = await Promise.all(Array.from({ length: connections }, () => connect({ uri, readOnly: true })))
  const streams = open.map((connection) => connection.events())
  await Promise.all(streams.map(({ ready }) => ready))
  console.log('ready')
  let inOrder = true
  const result = await measured(async () => {
    const all = streams.map(async (events) => {
      let seen = 0
      let last = -1
      for await (const event of events) {
        if (event.object !== 'domain' || event.kind !== 'lifecycle' || event.event === last) inOrder = false
        else last = event.event
        if (++seen === count) break
      }
      return seen
    })
    return (await Promise.all(all)).reduce((sum, seen) => sum + seen, 0)
  })
  await Promise.all(open.map((connection) => connection.close()))
  return { ...result, inOrder }
}

async function main(): Promise<unknown> {
  if (mode === 'decode') return await decode()
  if (mode === 'fleet') return await fleet(200)
  await using connection = await connect({ uri })
  const work = WORK[mode]
  if (!work) throw new Error(mode)
  await work(connection) // warm
  return await measured(() => work(connection))
}

const result = await main()
const rssMb = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ ...Object(result), rssMb }))
process.exit()
