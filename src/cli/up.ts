import type { Config } from '../config/index.ts'
import { Daemon } from '../daemon/index.ts'
import { type LogLevel, makeLogger } from './log.ts'
import { EXIT } from './output.ts'
import { aborted, untilSignalled } from './signals.ts'
import { defaultSockDir } from './sock-dir.ts'

export interface UpOptions {
  readonly uri?: string[]
  readonly config?: string
  readonly sockDir?: string
  readonly wire?: 'classic' | 'prefixed' | 'split'
  readonly minionId?: string
  readonly logLevel?: LogLevel
}

/** docs/decisions/0003-default-wire.md */
export const DEFAULT_WIRE = 'split'

/** `virbus up`: runs the bus and the engines until a signal. The command line goes before the configuration. */
export async function up(options: UpOptions): Promise<number> {
  const config: Config = options.config === undefined ? {} : await readConfig(options.config)
  const log = makeLogger(options.logLevel ?? config.log_level ?? 'info')
  using stop = untilSignalled()
  const uris = options.uri?.map((uri) => ({ uri }))
  const engines = uris ?? config.engines?.map(({ libvirt_events: engine }) => engine) ?? [{}]
  const sockDir = options.sockDir ?? config.sock_dir ?? defaultSockDir(process.env, process.getuid?.() ?? 0)
  const wire = options.wire ?? config.wire ?? DEFAULT_WIRE
  await using daemon = await Daemon.start({
    sockDir,
    wire,
    minionId: options.minionId ?? config.minion_id,
    engines,
    log,
  })
  log.info({ ...daemon.sockets, wire, engines: engines.length }, 'ready')
  await Promise.race([aborted(stop.signal), allGivenUp(daemon)])
  if (!stop.signal.aborted) return EXIT.FAILURE
  log.info({ signal: stop.signal.reason, ...daemon.stats }, 'stopping')
  return EXIT.OK
}

/** zod and yaml are loaded only by those who have a configuration. */
async function readConfig(path: string): Promise<Config> {
  const { loadConfig } = await import('../config/index.ts')
  return loadConfig(path)
}

/** Settles when no engine can ever connect, so that a wrong URI does not leave an idle process behind; never without engines. */
async function allGivenUp(daemon: Daemon): Promise<void> {
  const outcomes = await Promise.allSettled(daemon.engines.map((engine) => engine.ready))
  if (outcomes.length === 0 || outcomes.some(({ status }) => status === 'fulfilled'))
    await new Promise(() => {})
}
