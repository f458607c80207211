import { CommanderError } from 'commander'
import { codeOf, messageOf } from '../core/errors.ts'
import { EXIT } from './output.ts'
import { buildProgram } from './program.ts'

export { withRole } from './role.ts'

/** Errors of how the command was called, as opposed to what happened then. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'ERR_CLI_DATA',
  'ERR_CLI_WHERE',
  'ERR_CLI_TIME',
  'ERR_CLI_LINK',
  'ERR_CLI_SALT_ARGUMENTS',
  'ERR_CLI_SALT_CONFIG',
  'ERR_BRIDGE_FILTER',
  'ERR_DAEMON_QUERY',
  'ERR_DAEMON_USER',
  'ERR_SALT_SOCKET_OWNER',
  'ERR_SALT_CREDENTIALS',
  'ERR_HTTP_REFUSED',
  'ERR_SALT_TAG_EMPTY',
  'ERR_SALT_DATA_NOT_MAP',
  'ERR_CONFIG_READ',
  'ERR_CONFIG_SYNTAX',
  'ERR_CONFIG_INVALID',
])

/** Runs one command line (without `node` and the script) and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let code: number = EXIT.OK
  const program = buildProgram((result) => {
    code = result
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE
    const errorCode = codeOf(error)
    process.stderr.write(`virbus: ${messageOf(error)}${errorCode ? ` (${errorCode})` : ''}\n`)
    return errorCode && USAGE_CODES.has(errorCode) ? EXIT.USAGE : EXIT.FAILURE
  }
}
