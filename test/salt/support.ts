import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { encode } from '../../src/msgpack/index.ts'
import {
  type BusNode,
  type Dialect,
  EventPublisher,
  type EventPublisherOptions,
  EventPuller,
  type EventPullerOptions,
  FrameBatch,
  type Framing,
  MessageSplitter,
  type ReceivedEvent,
  SaltError,
  socketPaths,
} from '../../src/salt/index.ts'
import { tempDir } from '../support/peers.ts'

type BusOptions = Partial<EventPublisherOptions> & Partial<EventPullerOptions>

/** A publisher and a puller with the names of a master's bus, joined: what is fired is published. */
export interface TestBus extends AsyncDisposable {
  readonly sockDir: string
  readonly publisher: EventPublisher
  readonly puller: EventPuller
  readonly received: ReceivedEvent[]
}

/** In a folder of the caller's, or by default in one of its own. */
export async function startBus(
  dialect: Dialect,
  options: BusOptions & { sockDir?: string } = {},
): Promise<TestBus> {
  await using stack = new AsyncDisposableStack()
  const sockDir = options.sockDir ?? stack.use(tempDir()).path
  const bus = stack.use(await onBus(sockDir, {}, dialect, options))
  const all = stack.move()
  return { ...bus, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** The same in a folder that is there, under the names of any node's bus. */
export async function onBus(
  sockDir: string,
  node: BusNode,
  dialect: Dialect,
  options: BusOptions = {},
): Promise<TestBus> {
  await using stack = new AsyncDisposableStack()
  const { pub, pull } = socketPaths(sockDir, node)
  const received: ReceivedEvent[] = []
  const publisher = stack.use(new EventPublisher({ ...options, path: pub, dialect }))
  await publisher.listen()
  const onEvent = (event: ReceivedEvent): void => {
    received.push(event)
    publisher.publishBody(event.body)
  }
  const puller = stack.use(new EventPuller({ ...options, path: pull, onEvent }))
  await puller.listen()
  const all = stack.move()
  return { sockDir, publisher, puller, received, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** A pull socket that reads but one framing, as Salt's do: the other one it waits on for ever, or takes for nothing. */
export function onlyPull(path: string, framing: Framing, onBody: (body: Buffer) => void): Server {
  const server = createServer((socket) => {
    const splitter = new MessageSplitter({ onBody })
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      splitter.push(chunk)
      if (splitter.framing !== framing) socket.removeAllListeners('data').resume()
    })
  })
  return server.listen(path)
}

/** A plain connection, closed when disposed. */
export async function rawClient(path: string): Promise<Socket & Disposable> {
  const socket = createConnection(path)
  await once(socket, 'connect')
  socket.on('error', () => {})
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() })
}

/** One framed event. */
export function frame(framing: Framing, tag: string, data: unknown): Buffer {
  const batch = new FrameBatch(framing)
  batch.addEvent(tag, encode(data))
  return Buffer.concat(batch.take())
}

/** Looks again after each turn of the event loop until it holds; 30 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export function coded(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SaltError && error.code === code
}
