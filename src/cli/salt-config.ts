import { existsSync, globSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import { messageOf, VirbusError } from '../core/errors.ts'
import type { BusNode } from '../salt/index.ts'
import { defaultSockDir } from './sock-dir.ts'

/** A configuration of Salt is some kilobytes; a file over this is something else. */
const CONFIG_BYTES_MAX = 1024 * 1024
const ALIASES_MAX = 100

/** Salt uses a folder below `cachedir` when `sock_dir` is longer than `cachedir` by more than this (salt/config/__init__.py). */
const LONGER_MAX = 10

/** `ERR_CLI_SALT_CONFIG`: a configuration of Salt that cannot be read, or that asks for what is not there. */
class SaltConfigError extends VirbusError<'ERR_CLI_SALT_CONFIG'> {}

/** What the command line says about the bus. */
export interface SaltBusOptions {
  readonly configDir?: string | undefined
  readonly sockDir?: string | undefined
  readonly id?: string | undefined
}

/** A bus, and what its configuration says besides. */
export interface SaltBus extends BusNode {
  readonly sockDir: string
  /** Salt's `file_client: local` or `master_type: disable`: there is no master. */
  readonly isMasterless: boolean
  /** Salt's `max_event_size`. */
  readonly eventBytesMax?: number
  readonly saltenv: unknown
  readonly pillarenv: unknown
}

/**
 * The bus of a node: by the command line, else by the configuration of Salt in `--config-dir` or SALT_CONFIG_DIR, else virbus's own.
 * Of a configuration, `master` or `minion` and the files in `master.d` or `minion.d` are read.
 *
 * @throws {SaltConfigError} ERR_CLI_SALT_CONFIG
 */
export function saltBus(
  node: 'master' | 'minion',
  options: SaltBusOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): SaltBus {
  const configDir = options.configDir ?? env['SALT_CONFIG_DIR']
  const config = configDir === undefined ? {} : readConfig(configDir, node)
  if (config['ipc_mode'] === 'tcp')
    throw new SaltConfigError(
      'ERR_CLI_SALT_CONFIG',
      'ipc_mode tcp is not supported: the bus is on UNIX sockets',
    )
  const sockDir =
    options.sockDir ??
    (configDir === undefined ? defaultSockDir(env, process.getuid?.() ?? 0) : configuredSockDir(config, node))
  const eventBytesMax = config['max_event_size']
  return {
    node,
    sockDir,
    id:
      node === 'minion'
        ? (options.id ?? textOf(config['id']) ?? storedId(configDir) ?? hostname())
        : undefined,
    hashType: textOf(config['hash_type']),
    isMasterless: config['file_client'] === 'local' || config['master_type'] === 'disable',
    saltenv: config['saltenv'] ?? null,
    pillarenv: config['pillarenv'] ?? null,
    ...(typeof eventBytesMax === 'number' ? { eventBytesMax } : {}),
  }
}

type Config = Readonly<Record<string, unknown>>

function readConfig(configDir: string, node: string): Config {
  const main = join(configDir, node)
  if (!existsSync(main)) throw new SaltConfigError('ERR_CLI_SALT_CONFIG', `there is no ${main}`)
  const others = globSync(join(configDir, `${node}.d`, '*.conf')).sort()
  return Object.assign({}, ...[main, ...others].map(readFile))
}

function readFile(path: string): Config {
  let value: unknown
  try {
    const text = readFileSync(path, 'utf8')
    if (text.length > CONFIG_BYTES_MAX) throw new RangeError(`over ${CONFIG_BYTES_MAX} bytes`)
    const document = parseDocument(text, { version: '1.1', uniqueKeys: false, logLevel: 'silent' })
    const [problem] = document.errors
    if (problem) throw problem
    value = document.toJS({ maxAliasCount: ALIASES_MAX })
  } catch (cause) {
    throw new SaltConfigError('ERR_CLI_SALT_CONFIG', `cannot read ${path}: ${messageOf(cause)}`, { cause })
  }
  // An empty file is null; an object that is no list has the keys of the settings.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Config) : {}
}

function configuredSockDir(config: Config, node: string): string {
  const root = textOf(config['root_dir']) ?? '/'
  const rooted = (path: string): string =>
    path === root || path.startsWith(join(root, '/')) ? path : join(root, path)
  const sockDir = rooted(textOf(config['sock_dir']) ?? `/var/run/salt/${node}`)
  const cacheDir = rooted(textOf(config['cachedir']) ?? `/var/cache/salt/${node}`)
  return sockDir.length > cacheDir.length + LONGER_MAX ? join(cacheDir, '.salt-unix') : sockDir
}

/** The id that a minion has found for itself and written down. */
function storedId(configDir: string | undefined): string | undefined {
  const path = join(configDir ?? '/', 'minion_id')
  if (configDir === undefined || !existsSync(path)) return undefined
  return readFileSync(path, 'utf8').trim() || undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
