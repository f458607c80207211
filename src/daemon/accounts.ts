import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { codeOf } from '../core/errors.ts'
import { DaemonError } from './errors.ts'

/** Directories on the network may take their time. */
const LOOK_UP_MS = 30_000

/** Both files have the number in their third column: passwd(5), group(5). */
const FILES = {
  user: { path: '/etc/passwd', database: 'passwd' },
  group: { path: '/etc/group', database: 'group' },
}

/**
 * The number of a user or group: in the machine's own file, else by `getent`, which knows all other sources (LDAP, systemd). A number is taken as it is.
 *
 * @throws {DaemonError} `ERR_DAEMON_USER` when there is none of this name.
 */
export async function accountNumber(kind: 'user' | 'group', name: string | number): Promise<number> {
  if (typeof name === 'number') return name
  const { path, database } = FILES[kind]
  const found = numberIn(await textOf(path), name) ?? numberIn(await getent(database, name), name)
  if (found === undefined) throw new DaemonError('ERR_DAEMON_USER', `there is no ${kind} '${name}'`)
  return found
}

function numberIn(lines: string, name: string): number | undefined {
  const entries = lines.split('\n').map((line) => line.split(':'))
  const [, , number = ''] = entries.find(([first]) => first === name) ?? []
  return /^\d+$/.test(number) ? Number(number) : undefined
}

/** A machine may have no such file, and know its users from elsewhere. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return ''
    throw new DaemonError('ERR_DAEMON_USER', `${path} cannot be read: ${codeOf(cause)}`, { cause })
  }
}

async function getent(database: string, name: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('getent', ['--', database, name], { timeout: LOOK_UP_MS })
    return stdout
  } catch (cause) {
    // It ends with 2 when there is no such name; a machine without it has no other sources either.
    if (Object(cause).code === 2 || codeOf(cause) === 'ENOENT') return ''
    throw new DaemonError('ERR_DAEMON_USER', `'${name}' cannot be looked up with getent`, { cause })
  }
}
