import { basename } from 'node:path'

/** Names of Salt's programs under which virbus can be called. */
export const ROLES: readonly string[] = ['salt-run', 'salt-call']

/** The command line of `process.argv`; a script that is called by a link named like one of Salt's programs takes its part. */
export function withRole([, script = '', ...args]: readonly string[]): string[] {
  const name = basename(script)
  return ROLES.includes(name) ? [name, ...args] : args
}
