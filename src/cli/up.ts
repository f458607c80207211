import { isDeepStrictEqual } from 'node:util'
import type { Config, EngineConfig } from '../config/index.ts'
import { codeOf, messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { Daemon } from '../daemon/index.ts'
import { type LogLevel, makeLogger } from './log.ts'
import { EXIT } from './output.ts'
import { aborted, untilSignalled } from './signals.ts'
import { defaultSockDir, defaultStateDir } from './sock-dir.ts'

export interface UpOptions {
  readonly uri?: string[]
  readonly config?: string
  readonly sockDir?: string
  readonly stateDir?: string
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
  const engines = enginesOf(options, config)
  const uid = process.getuid?.() ?? 0
  const sockDir = options.sockDir ?? config.sock_dir ?? defaultSockDir(process.env, uid)
  const stateDir = options.stateDir ?? config.state_dir ?? defaultStateDir(process.env, uid)
  const wire = options.wire ?? config.wire ?? DEFAULT_WIRE
  await using daemon = await Daemon.start({
    sockDir,
    stateDir,
    journal: config.journal,
    slowSubscribers: config.slow_subscribers,
    access: config.access,
    wire,
    minionId: options.minionId ?? config.minion_id,
    engines,
    log,
  })
  using _reload =
    options.config === undefined ? undefined : onHangup(() => reload(options, config, daemon, log))
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

/** The command line's connections, else the configuration's, else the one that libvirt itself would open. */
function enginesOf(options: UpOptions, config: Config): EngineConfig[] {
  const uris = options.uri?.map((uri) => ({ uri }))
  return uris ?? config.engines?.map(({ libvirt_events: engine }) => engine) ?? [{}]
}

/** Without a configuration there is nothing to read again, and a terminal that hangs up ends the process as usual. */
function onHangup(then: () => Promise<void>): Disposable {
  const listener = (): void => void then()
  process.on('SIGHUP', listener)
  return { [Symbol.dispose]: () => process.removeListener('SIGHUP', listener) }
}

/** Reads the configuration again; one that is wrong changes nothing. */
async function reload(options: UpOptions, first: Config, daemon: Daemon, log: Logger): Promise<void> {
  try {
    const { config: path = '' } = options
    const config = await readConfig(path)
    const change = await daemon.reload(enginesOf(options, config))
    const later = (
      [
        'sock_dir',
        'state_dir',
        'journal',
        'access',
        'slow_subscribers',
        'wire',
        'minion_id',
        'log_level',
      ] as const
    ).filter((key) => !isDeepStrictEqual(config[key], first[key]))
    if (later.length > 0) log.warn({ keys: later }, 'changes that take effect at the next start')
    log.info({ config: path, ...change }, 'configuration read again')
  } catch (error) {
    log.error({ code: codeOf(error), error: messageOf(error) }, 'configuration not taken; the old one stays')
  }
}

/** Settles when no engine can ever connect, so that a wrong URI does not leave an idle process behind; never without engines. */
async function allGivenUp(daemon: Daemon): Promise<void> {
  for (;;) {
    const { engines } = daemon
    const outcomes = await Promise.allSettled(engines.map((engine) => engine.ready))
    const isOver = outcomes.length === 0 || outcomes.some(({ status }) => status === 'fulfilled')
    if (isOver) await new Promise(() => {})
    if (daemon.engines === engines) return
  }
}
