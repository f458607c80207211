import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../core/errors.ts'
import { LibvirtError } from './errors.ts'

/** What the client reads from libvirt.conf. */
export interface ClientConfig {
  readonly uriDefault: string | undefined
  readonly uriAliases: ReadonlyMap<string, string>
  /** `remote_mode`: auto, legacy or direct. */
  readonly remoteMode: string | undefined
  /** `remote_proxy`: auto, netcat or native. */
  readonly remoteProxy: string | undefined
  /** `tls_priority`: a priority string of GnuTLS. */
  readonly tlsPriority: string | undefined
}

/** What decides where a daemon is looked for. */
export interface ClientEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly uid: number
}

/** libvirt.conf is a few hundred bytes; a file over this is something else. */
const CONFIG_BYTES_MAX = 1024 * 1024

/** `/etc/libvirt` for root, `$XDG_CONFIG_HOME/libvirt` for others (virGetUserConfigDirectory). */
export function configFolder({ env, uid }: ClientEnvironment): string {
  if (uid === 0) return '/etc/libvirt'
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? '/', '.config'), 'libvirt')
}

/**
 * Reads libvirt.conf of this user; a missing file is an empty one.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONFIG` when it is there and cannot be read.
 */
export async function readClientConfig(environment: ClientEnvironment): Promise<ClientConfig> {
  return parseClientConfig((await readConfigFile(join(configFolder(environment), 'libvirt.conf'))) ?? '')
}

/**
 * Reads a small configuration file; undefined where there is none.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONFIG` when it is there and cannot be read, or is over 1 MiB.
 */
export async function readConfigFile(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path)
    if (size > CONFIG_BYTES_MAX)
      throw new LibvirtError('ERR_LIBVIRT_CONFIG', `${path} is over ${CONFIG_BYTES_MAX} bytes`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof LibvirtError) throw error
    if (codeOf(error) === 'ENOENT') return undefined
    throw new LibvirtError('ERR_LIBVIRT_CONFIG', `cannot read ${path}: ${codeOf(error)}`, { cause: error })
  }
}

/** The settings of libvirt.conf that a client needs; comments and other keys are passed over. */
function parseClientConfig(text: string): ClientConfig {
  const bare = text.replaceAll(/^\s*#.*$/gm, '')
  const value = (key: string): string | undefined =>
    new RegExp(`^\\s*${key}\\s*=\\s*(["'])(.*?)\\1`, 'm').exec(bare)?.[2]
  const list = /^\s*uri_aliases\s*=\s*\[([^\]]*)\]/m.exec(bare)?.[1] ?? ''
  const uriAliases = new Map<string, string>()
  for (const match of list.matchAll(/(["'])([A-Za-z0-9_-]+)=(.*?)\1/g))
    uriAliases.set(match[2] ?? '', match[3] ?? '')
  return {
    uriDefault: value('uri_default'),
    uriAliases,
    remoteMode: value('remote_mode'),
    remoteProxy: value('remote_proxy'),
    tlsPriority: value('tls_priority'),
  }
}
