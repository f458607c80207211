import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientEnvironment, configFolder, readConfigFile } from './client-config.ts'
import { LibvirtError } from './errors.ts'

/** What the authentication file has for one host. */
export type StoredCredentials = ReadonlyMap<string, string>

/**
 * Looks a host up in libvirt's authentication file (https://libvirt.org/auth.html): `LIBVIRT_AUTH_FILE`, the URI's
 * `authfile=`, auth.conf of this user, that of the system. Undefined where there is no file or nothing for this host.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_CONFIG` when a file cannot be read, or a file that was named is not there.
 */
export async function storedCredentials(options: {
  readonly host: string
  readonly file: string | undefined
  readonly environment: ClientEnvironment
}): Promise<StoredCredentials | undefined> {
  const { environment, host } = options
  const named = environment.env['LIBVIRT_AUTH_FILE'] || options.file
  const path =
    named ??
    [join(configFolder(environment), 'auth.conf'), '/etc/libvirt/auth.conf'].find((each) => existsSync(each))
  if (path === undefined) return undefined
  const text = await readConfigFile(path)
  if (text === undefined) throw new LibvirtError('ERR_LIBVIRT_CONFIG', `no authentication file at ${path}`)
  const groups = parseGroups(text)
  const group = groups.get(`auth-libvirt-${host}`) ?? groups.get('auth-libvirt-default')
  if (!group) return undefined
  const name = group.get('credentials')
  const found = name === undefined ? undefined : groups.get(`credentials-${name}`)
  if (!found)
    throw new LibvirtError(
      'ERR_LIBVIRT_CONFIG',
      `${path}: the entry for ${host} names no group of credentials`,
    )
  return found
}

/** `[group]` lines and `key=value` lines, as GLib's key files have them. */
function parseGroups(text: string): Map<string, Map<string, string>> {
  const groups = new Map<string, Map<string, string>>()
  let group: Map<string, string> | undefined
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[([^\]]+)\]\s*$/.exec(line)?.[1]
    if (header !== undefined) {
      group = groups.get(header) ?? new Map()
      groups.set(header, group)
      continue
    }
    const entry = /^\s*([^#=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line)
    if (entry) group?.set(entry[1] ?? '', entry[2] ?? '')
  }
  return groups
}
