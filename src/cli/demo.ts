import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CleanupStack } from '../core/cleanup-stack.ts'
import { messageOf } from '../core/errors.ts'
import { Daemon } from '../daemon/index.ts'
import { connect } from '../libvirt/index.ts'
import { formatEvent } from './event-text.ts'
import { type LogLevel, makeLogger } from './log.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import { untilSignalled } from './signals.ts'
import { ownSockDir } from './sock-dir.ts'
import { DEFAULT_WIRE } from './up.ts'

export interface DemoOptions {
  readonly uri?: string
  readonly sockDir?: string
  readonly wire?: 'classic' | 'prefixed' | 'split'
  readonly rate: number
  readonly seed: number
  readonly logLevel: LogLevel
}

/**
 * `virbus demo`: the whole path with its events on standard output. Runs on the libvirtd that `--uri` or
 * LIBVIRT_DEFAULT_URI names when it can be reached, else on the simulator.
 */
export async function demo(options: DemoOptions): Promise<number> {
  using stop = untilSignalled()
  await using stack = new CleanupStack()
  const named = options.uri ?? process.env['LIBVIRT_DEFAULT_URI']
  const reason = named ? await unreachable(named, stop.signal) : 'no URI given'
  const simulated = reason !== undefined
  const uri = simulated ? await simulate(options, stack) : named
  const sockDir = options.sockDir ?? ownSockDir()
  const wire = options.wire ?? DEFAULT_WIRE
  const log = makeLogger(options.logLevel)
  const daemon = stack.use(await Daemon.start({ sockDir, wire, engines: [{ uri }], log }))
  const source = simulated ? `the embedded simulator (${reason})` : `libvirt ${named}`
  const events = daemon.bus.subscribe('*', { signal: stop.signal })
  onReaderGone(process.stdout, stop.abort)
  await write(
    process.stdout,
    `virbus: events of ${source}, sockets in ${sockDir}, watch with: npx virbus watch --sock-dir ${sockDir}\n`,
  )
  for await (const event of events)
    await write(process.stdout, formatEvent(event, { pretty: false, stream: process.stdout }))
  return EXIT.OK
}

/** Why a daemon cannot be reached; undefined when it can. */
async function unreachable(uri: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const connection = await connect({ uri, readOnly: true, signal })
    await connection.close()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

async function simulate(options: DemoOptions, stack: CleanupStack): Promise<string> {
  const { Activity, Simulator } = await import('../simulator/index.ts')
  const dir = await mkdtemp(join(tmpdir(), 'virbus-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'libvirt-sock')
  const simulator = stack.use(await Simulator.listen({ path }))
  stack.use(new Activity(simulator.hypervisor, { seed: options.seed, eventsPerSecond: options.rate }))
  return `test+unix:///default?socket=${path}`
}
