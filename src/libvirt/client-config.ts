import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../core/errors.ts'
import { LibvirtError } from './errors.ts'

/** What the client reads from libvirt.conf (docs: "Default URI choice", "URI aliases"). */
export interface ClientConfig {
  readonly uriDefault: string | undefined
  readonly uriAliases: ReadonlyMap<string, string>
}

/** What decides where a daemon is looked for. */
export interface ClientEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly uid: number
}

/** libvirt.conf is a few hundred bytes; a file over this is something else. */
const CONFIG_BYTES_MAX = 1024 * 1024

/** `/etc/libvirt` for root, `$XDG_CONFIG_HOME/libvirt` for others (virGetUserConfigDirectory). */
function configPath({ env, uid }: ClientEnvironment): string {
  if (uid === 0) return '/etc/libvirt/libvirt.conf'
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? '/', '.config'), 'libvirt/libvirt.conf')
}

/**
 * Reads libvirt.conf of this user; a missing file is an empty one.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONFIG` when it is there and cannot be read.
 */
export async function readClientConfig(environment: ClientEnvironment): Promise<ClientConfig> {
  const path = configPath(environment)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { uriDefault: undefined, uriAliases: new Map() }
    throw new LibvirtError('ERR_LIBVIRT_CONFIG', `cannot read ${path}: ${codeOf(error)}`, { cause: error })
  }
  if (text.length > CONFIG_BYTES_MAX)
    throw new LibvirtError('ERR_LIBVIRT_CONFIG', `${path} is over ${CONFIG_BYTES_MAX} bytes`)
  return parseClientConfig(text)
}

/** The two settings of libvirt.conf that a client needs; comments and other keys are passed over. */
function parseClientConfig(text: string): ClientConfig {
  const bare = text.replaceAll(/^\s*#.*$/gm, '')
  const uriDefault = /^\s*uri_default\s*=\s*(["'])(.*?)\1/m.exec(bare)?.[2]
  const list = /^\s*uri_aliases\s*=\s*\[([^\]]*)\]/m.exec(bare)?.[1] ?? ''
  const uriAliases = new Map<string, string>()
  for (const match of list.matchAll(/(["'])([A-Za-z0-9_-]+)=(.*?)\1/g))
    uriAliases.set(match[2] ?? '', match[3] ?? '')
  return { uriDefault, uriAliases }
}
