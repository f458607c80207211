import { Argument, type Command, InvalidArgumentError, Option } from 'commander'
import type { SaltCallOptions } from './salt-call.ts'
import { MODULES, type Module, OUTPUTTERS, RUNNERS, type Runner } from './salt-names.ts'
import type { SaltRunOptions } from './salt-run.ts'

/** What Salt's programs take and what makes no difference here: scripts may go on giving it. */
const WITHOUT_EFFECT: readonly (readonly [flags: string, why: string])[] = [
  ['-l, --log-level <level>', 'taken and not used: nothing is logged'],
  ['--no-color', 'taken and not used: nothing is coloured'],
  ['--no-colour', 'the same'],
  ['--hard-crash', 'taken and not used'],
  ['--skip-grains', 'taken and not used'],
]

function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('Expected seconds above 0.')
  return value
}

function addCommonOptions(command: Command): Command {
  command
    .option(
      '-c, --config-dir <dir>',
      "Salt's configuration; without it and SALT_CONFIG_DIR, virbus's own socket folder is used",
    )
    .option('--sock-dir <dir>', 'folder of the event sockets, before that of the configuration')
    .option('-t, --timeout <seconds>', 'how long connecting to the bus is tried', seconds)
    .option('--no-parse <names>', 'arguments whose value stays text, with commas between them')
    .addOption(new Option('--out, --output <outputter>', 'how the return is printed').choices(OUTPUTTERS))
  for (const [flags, why] of WITHOUT_EFFECT) command.option(flags, why)
  return command
}

/** Options as commander names them: those that begin with `--no-` are true until they are given. */
interface ParsedOptions extends Omit<SaltCallOptions, 'noParse' | 'out'> {
  readonly parse: string | boolean
  readonly output?: SaltRunOptions['out']
}

function optionsOf({ parse, output, ...others }: ParsedOptions): SaltCallOptions {
  return {
    ...others,
    ...(typeof parse === 'string' ? { noParse: parse } : {}),
    ...(output === undefined ? {} : { out: output }),
  }
}

/** The commands in the words of Salt's own programs. */
export function addSaltCommands(program: Command, done: (exitCode: number) => void): void {
  addCommonOptions(program.command('salt-run'))
    .description("do what Salt's salt-run does about events, on the master's bus")
    .addArgument(new Argument('<function>', 'runner').choices(RUNNERS))
    .argument('[arguments...]', 'as salt-run takes them: values and name=value, in YAML')
    .option('--id <id>', "the minion's id, for node=minion")
    .option('--quiet', 'do not print what the runner returned')
    .addHelpText(
      'after',
      "\nExamples:\n  virbus salt-run state.event pretty=True\n  virbus salt-run state.event 'salt/minion/*/start' count=3 quiet=True\n  virbus salt-run event.send my/tag '{foo: bar}'",
    )
    .action(async (name: Runner, words: string[], options: ParsedOptions) => {
      const { saltRun } = await import('./salt-run.ts')
      done(await saltRun(name, words, optionsOf(options)))
    })
  addCommonOptions(program.command('salt-call'))
    .description("do what Salt's salt-call does about events, on a minion's bus")
    .addArgument(new Argument('<function>', 'module').choices(MODULES))
    .argument('[arguments...]', 'as salt-call takes them: values and name=value, in YAML')
    .option('--id <id>', "the minion's id (default: that of the configuration, else the host's name)")
    .option('--local', 'as if there was no master')
    .addOption(new Option('--retcode-passthrough', 'taken and not used'))
    .addOption(new Option('--no-return-event', 'taken and not used: no return is sent'))
    .addHelpText(
      'after',
      "\nExamples:\n  virbus salt-call event.fire '{load: 3}' my/tag\n  virbus salt-call event.fire_master '{load: 3}' my/tag\n  virbus salt-call event.send my/tag load=3 with_env='[HOME]'",
    )
    .action(async (name: Module, words: string[], options: ParsedOptions) => {
      const { saltCall } = await import('./salt-call.ts')
      done(await saltCall(name, words, optionsOf(options)))
    })
}

/** What may follow a function's name, for completion. */
export const SALT_WORDS: Readonly<Record<string, readonly string[]>> = {
  'salt-run': [...RUNNERS, 'pretty=True', 'quiet=True', 'count=', 'node=', 'sock_dir='],
  'salt-call': [...MODULES, 'with_env=True', 'with_env_opts=True'],
}
