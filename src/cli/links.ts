import { accessSync, constants, lstatSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { VirbusError } from '../core/errors.ts'
import { EXIT, write } from './output.ts'
import { ROLES } from './role.ts'

/** `ERR_CLI_LINK`: a link that would hide a program, or that cannot be made. */
class LinkError extends VirbusError<'ERR_CLI_LINK'> {}

/** The program of this package, which links lead to. */
const PROGRAM = join(import.meta.dirname, '../../bin/virbus')

/** Adds `virbus links`. */
export function addLinks(program: Command, done: (exitCode: number) => void): void {
  program
    .command('links')
    .description("make links named salt-run and salt-call that are virbus in the words of Salt's programs")
    .argument('<dir>', 'folder for the links')
    .option('--force', 'also where Salt itself is installed; a file that is in the way is never replaced')
    .addHelpText('after', '\nExamples:\n  virbus links ~/.local/bin\n  virbus links /opt/virbus/bin --force')
    .action(async (dir: string, options: { readonly force?: boolean }) => done(await links(dir, options)))
}

/** `virbus links`: makes all links or none. */
async function links(dir: string, { force = false }: { readonly force?: boolean }): Promise<number> {
  const folder = resolve(dir)
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((one) => one !== '')
  const names = ROLES.filter((name) => !isOurs(join(folder, name)))
  for (const name of names) {
    const link = join(folder, name)
    if (isThere(link)) throw new LinkError('ERR_CLI_LINK', `${link} is there already and is not virbus`)
    const hidden = path.map((one) => join(one, name)).find((file) => isProgram(file) && !isOurs(file))
    if (hidden !== undefined && !force)
      throw new LinkError(
        'ERR_CLI_LINK',
        `${hidden} is installed: which of the two is called would depend on PATH; --force makes the link all the same`,
      )
  }
  mkdirSync(folder, { recursive: true })
  for (const name of names) symlinkSync(realpathSync(PROGRAM), join(folder, name))
  await write(process.stdout, ROLES.map((name) => `${join(folder, name)}\n`).join(''))
  return EXIT.OK
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function isOurs(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(PROGRAM)
  } catch {
    return false // nothing there, or a link that leads nowhere
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false // nothing there that could be called
  }
}
