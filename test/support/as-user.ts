import { join, relative } from 'node:path'
import { LineProcess } from './processes.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Where the other user has this project: its folder may be one that only root can enter. */
const PROJECT = '/run/project'

const BECOME = `set -e
id=$1 project=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs /run
mkdir ${PROJECT}
mount --bind "$project" ${PROJECT}
cd ${PROJECT}
exec setpriv --reuid="$id" --regid="$id" --clear-groups "$@"
`

/** Options of a test that becomes other users. */
export const asRoot: { skip: string | false } = {
  skip: process.getuid?.() === 0 ? false : 'needs root, to become other users',
}

/** Runs a program as the user of this number, who needs no name; paths of this project are turned into what they are there. */
export function runAs(
  id: number,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): LineProcess {
  const inside = [command, ...args].map((text) =>
    text.startsWith(`${ROOT}/`) ? join(PROJECT, relative(ROOT, text)) : text,
  )
  return new LineProcess('unshare', ['-m', 'sh', '-c', BECOME, 'sh', `${id}`, ROOT, ...inside], {
    HOME: '/',
    ...env,
  })
}
