/** One measurement on the sockets of a bus, `virbus up` or a real Salt's publisher: a firing process, the bus, and subscribers that decode all. */
import { cpus } from 'node:os'
import { join } from 'node:path'
import { type Dialect, socketPaths } from '../src/salt/index.ts'
import { SALT_RELEASES, saltPython, tempDir } from '../test/support/peers.ts'
import { SAMPLE } from './ipc-sample.ts'
import { Part } from './part.ts'
import { cpuMs, residentMb, threadTimes } from './proc.ts'
import { percentile, perSecond } from './report.ts'
import { countersOf, startVirbus, writeSettings } from './virbus.ts'

/** Sockets behind which nothing is but a pipe, which no bus can beat by much. */
export const NOTHING = 'nothing'

/** A release of Salt, or us. */
export type Who = 'virbus' | (typeof SALT_RELEASES)['prefixed' | 'split']

/** What is measured. */
export interface IpcRun {
  readonly bus: Who | typeof NOTHING
  /** Whose client fires; that of the bus unless given. */
  readonly firer?: Who
  /** Whose client subscribes; that of the bus unless given. */
  readonly subscriber?: Who
  /** Of ours and of nothing; `split` unless given. */
  readonly wire?: Dialect
  readonly subscribers: number
  /** Connections in each subscribing process; only ours can have more than one. */
  readonly connections?: number
  readonly events: number
  /** Events a second; 0, the default: as fast as they can be fired. */
  readonly rate?: number
}

/** What a process did during a measurement, as shares of the time. */
interface Share {
  /** All its threads, in cores. */
  readonly cores: number
  /**
   * Of the thread that all its work goes through: running, or waiting for a core. With 1 it is what the others wait for. The threads of a
   * Python count together, because only one of them runs at a time.
   */
  readonly taken: number
  /** The part of `taken` in which no core was free. */
  readonly queued: number
}

/** What came out. */
export interface IpcResult {
  /** From the first event fired to the last one decoded by the slowest subscriber. */
  readonly seconds: number
  /** Events a second to each subscriber. */
  readonly perSecond: number
  /** From just before firing to the subscriber, in milliseconds; empty without a rate. */
  readonly latencies: readonly number[]
  /** Resident memory of the bus at the end. */
  readonly megabytes: number
  readonly shares: Readonly<Record<'firing' | 'bus' | 'subscribing', Share>>
  /** Events that are not in the journal of ours. */
  readonly unkept: number
}

/** The dialect of each one's sockets. */
export function dialectOf(who: IpcRun['bus']): Dialect {
  return who === SALT_RELEASES.prefixed ? 'prefixed' : 'split'
}

/** A part in the language of whose client it is: `ipc-worker.ts` or `ipc_salt.py`. */
export function clientCommand(who: Who, sockDir: string, ...args: readonly (string | number)[]): string[] {
  const program =
    who === 'virbus'
      ? [process.execPath, join(import.meta.dirname, 'ipc-worker.ts')]
      : [saltPython(who), join(import.meta.dirname, 'ipc_salt.py')]
  return [...program, sockDir, ...args.map(String)]
}

/** A bus that runs until it is disposed of. */
interface RunningBus extends AsyncDisposable {
  readonly pid: number | undefined
  /** Ends it; how many events its journal has not. */
  readonly end: () => Promise<number>
}

async function startBus(run: IpcRun, dir: string): Promise<RunningBus> {
  const wire = run.wire ?? 'split'
  if (run.bus !== 'virbus') {
    const part = new Part(
      run.bus === NOTHING
        ? clientCommand('virbus', dir, NOTHING, run.events, wire)
        : clientCommand(run.bus, dir, 'server'),
    )
    await part.serves(socketPaths(dir, {}).pull)
    return {
      pid: part.pid,
      end: async () => 0,
      [Symbol.asyncDispose]: () => part[Symbol.asyncDispose](),
    }
  }
  const settings = writeSettings(dir)
  const state = join(dir, 'state')
  const up = await startVirbus(
    ['--config', settings, '--sock-dir', dir, '--state-dir', state, '--wire', wire],
    0,
  )
  const end = async (): Promise<number> => {
    const { bus, publisher, sockets, journal } = await countersOf(up)
    if (bus.dropped + publisher.dropped + publisher.subscribersCut + sockets.dropped + sockets.refused > 0)
      throw new Error('virbus says that it has dropped events')
    if (!journal) throw new Error('virbus has run without its journal')
    return journal.lost
  }
  return { pid: up.child.pid, end, [Symbol.asyncDispose]: () => up[Symbol.asyncDispose]() }
}

/** Begins to look at a process; what it has done since, when asked. */
function watchProcess(pid: number | undefined, who: Who): (ms: number) => Share {
  const before = threadTimes(pid)
  const cpuBefore = cpuMs(pid)
  return (ms) => {
    const after = threadTimes(pid)
    const cores = (cpuMs(pid) - cpuBefore) / ms
    if (who !== 'virbus') {
      // Salt has a new thread for each call, and what an ended thread did is only in the time of the whole process.
      const queued = (after.all.queued - before.all.queued) / ms
      return { cores, taken: cores + queued, queued }
    }
    const queued = (after.main.queued - before.main.queued) / ms
    return { cores, taken: (after.main.ran - before.main.ran) / ms + queued, queued }
  }
}

/** Starts everything, measures, and stops it. */
export async function measure(run: IpcRun): Promise<IpcResult> {
  await using stack = new AsyncDisposableStack()
  const { path: dir } = stack.use(tempDir())
  const { bus, events, connections = 1, rate = 0 } = run
  const whose = bus === NOTHING ? 'virbus' : bus
  const { firer: firing = whose, subscriber = whose } = run
  const server = stack.use(await startBus(run, dir))
  const count = run.subscribers / connections
  const subscribers = Array.from({ length: count }, () =>
    stack.use(new Part(clientCommand(subscriber, dir, 'subscribe', events, connections))),
  )
  const firer = stack.use(new Part(clientCommand(firing, dir, 'fire', events, rate, dialectOf(bus))))
  for (const part of subscribers) for (let n = 0; n < connections; n++) await part.told('ready')
  await firer.told('ready')
  const watched = { firer: watchProcess(firer.pid, firing), bus: watchProcess(server.pid, whose) }
  const readers = subscribers.map(({ pid }) => watchProcess(pid, subscriber))
  firer.send(JSON.stringify(SAMPLE))
  const began = await firer.told('began')
  const fired = firer.told('fired').then((at) => ({ at, share: watched.firer(at - began) }))
  fired.catch(() => {}) // awaited below
  const ends = await Promise.all(subscribers.map((part) => part.line('ended')))
  const msRead = Math.max(...ends.map((end) => Number(end['ended']))) - began
  const shares = {
    bus: watched.bus(msRead),
    subscribing: readers.map((share) => share(msRead)).reduce((a, b) => (a.taken > b.taken ? a : b)),
    firing: (await fired).share,
  }
  const ms = Math.max(msRead, (await fired).at - began)
  const megabytes = residentMb(server.pid)
  for (const part of [firer, ...subscribers]) await part[Symbol.asyncDispose]()
  const result = {
    seconds: ms / 1000,
    perSecond: (events / ms) * 1000,
    latencies: ends.flatMap((end) => end['latencies'] as number[]), // as the worker says them
    megabytes,
    shares,
    unkept: await server.end(),
  }
  describe(run, result)
  return result
}

/** The share from which on others wait for a thread. */
const BUSY = 0.85

/** The share of waiting for a core from which on there are too few. */
const CROWDED = 0.25

/** Who has no time left. */
function boundBy({ shares }: IpcResult): string {
  const names = { firing: 'the firing process', bus: 'the bus', subscribing: 'the subscribers' }
  const busy = Object.entries(shares).filter(([, { taken }]) => taken >= BUSY)
  const isCrowded = Object.values(shares).some(({ queued }) => queued >= CROWDED)
  if (busy.length === 0)
    return isCrowded ? `the ${cpus().length} cores, all of them together` : 'nobody alone'
  const list = busy.map(([name]) => names[name as keyof typeof names]).join(', ') // of the same keys
  const isShort = busy.every(([, { taken, queued }]) => taken - queued < BUSY)
  return isShort ? `${list}, for want of more than ${cpus().length} cores` : list
}

function describe(run: IpcRun, result: IpcResult): void {
  const { bus, firer = bus, subscriber = bus, subscribers, events, rate = 0 } = run
  const percent = (share: number): string => `${Math.round(share * 100)} %`
  const told = Object.entries(result.shares).map(
    ([name, { cores, taken, queued }]) =>
      `${name} ${percent(cores)} of a core (its thread ${percent(taken)}, of these ${percent(queued)} without a core)`,
  )
  const { latencies, unkept } = result
  const latency = [0.5, 0.99, 1].map((share) => `${percentile(latencies, share).toFixed(2)} ms`)
  console.log(
    `${firer} fires, ${bus}, ${subscriber} × ${subscribers}: ${events} events${rate > 0 ? ` at ${rate}/s` : ''} in ` +
      `${result.seconds.toFixed(2)} s, ${perSecond(result.perSecond, 1000)} to each, ${result.megabytes.toFixed(0)} MB; ` +
      (latencies.length > 0 ? `latency p50 ${latency[0]}, p99 ${latency[1]}, most ${latency[2]}; ` : '') +
      `CPU: ${told.join(', ')}; bound by ${boundBy(result)}` +
      (bus === 'virbus' ? `; ${unkept} not in the journal` : ''),
  )
}
