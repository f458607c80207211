import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import type { BusOptions } from './bus-options.ts'
import type { DemoOptions } from './demo.ts'
import type { GuestsOptions } from './guests.ts'
import type { UpOptions } from './up.ts'
import { version } from './version.ts'
import type { WatchOptions } from './watch.ts'

const WIRES = ['classic', 'prefixed', 'split']
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent']

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1 on.')
  return value
}

function count(text: string): number {
  return text === '-1' ? Number.POSITIVE_INFINITY : positive(text)
}

function eventsPerSecond(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 100_000))
    throw new InvalidArgumentError('Expected a number above 0, at most 100000.')
  return value
}

const sockDir = (): Option =>
  new Option(
    '--sock-dir <dir>',
    'folder of the event sockets (default: VIRBUS_SOCK_DIR, else /run/virbus for root, else virbus in XDG_RUNTIME_DIR)',
  )
const stateDir = (): Option =>
  new Option(
    '--state-dir <dir>',
    "folder of what is kept over restarts; '' keeps nothing (default: VIRBUS_STATE_DIR, else /var/lib/virbus for root, else virbus in XDG_STATE_HOME)",
  )
const wire = (text: string): Option => new Option('--wire <framing>', text).choices(WIRES)
const minionId = (): Option =>
  new Option('--minion-id <id>', "use this minion's pair of sockets instead of the master's")
const logLevel = (): Option =>
  new Option('--log-level <level>', 'least level that is logged to standard error').choices(LOG_LEVELS)

/** The command line; each command is loaded when it is called. `done` gets its exit code. */
export function buildProgram(done: (exitCode: number) => void): Command {
  const program = new Command('virbus')
    .description("Events of virtualization hosts on a bus that speaks Salt's wire formats")
    .version(version())
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(virbus --help shows what there is)')
    .addHelpText(
      'after',
      '\nExit codes: 0 done or stopped by a signal, 1 failed, 2 wrong usage or configuration.',
    )
  addUp(program, done)
  addDemo(program, done)
  addWatch(program, done)
  addFire(program, done)
  addGuests(program, done)
  addCompletion(program, done)
  for (const command of program.commands) command.exitOverride().showSuggestionAfterError()
  return program
}

function addUp(program: Command, done: (exitCode: number) => void): void {
  program
    .command('up')
    .description('run the bus and watch libvirt until SIGINT or SIGTERM')
    .option(
      '--uri <uri>',
      'libvirt connection to watch; may be given more than once',
      (uri: string, all: string[] = []) => [...all, uri],
    )
    .option('--config <file>', 'configuration in YAML; read again on SIGHUP')
    .addOption(sockDir())
    .addOption(stateDir())
    .addOption(
      wire(
        'framing for subscribers, by their Salt release: classic (3006.9 to 3006.24), prefixed (3006.26 on), split (3007.17, 3008); default split',
      ),
    )
    .addOption(minionId())
    .addOption(logLevel())
    .addHelpText(
      'after',
      '\nExamples:\n  virbus up --uri qemu:///system\n  virbus up --config /etc/virbus.yml --wire prefixed\n  virbus up --uri lxc:///system --uri qemu:///system --sock-dir /run/salt/master',
    )
    .action(async (options: UpOptions) => {
      const { up } = await import('./up.ts')
      done(await up(options))
    })
}

function addDemo(program: Command, done: (exitCode: number) => void): void {
  program
    .command('demo')
    .description(
      'run the bus and print its events: of the libvirt that --uri or LIBVIRT_DEFAULT_URI names, else of an embedded simulator',
    )
    .option('--uri <uri>', 'libvirt connection to watch where it can be reached')
    .addOption(sockDir())
    .addOption(wire('framing for subscribers; default split'))
    .addOption(
      new Option('--rate <events>', "simulator's events a second").argParser(eventsPerSecond).default(2),
    )
    .addOption(
      new Option('--seed <number>', "start of the simulator's random numbers").argParser(positive).default(1),
    )
    .addOption(logLevel().default('warn'))
    .addHelpText(
      'after',
      '\nExamples:\n  virbus demo\n  virbus demo --rate 100 --seed 7\n  virbus demo --uri qemu:///system',
    )
    .action(async (options: DemoOptions) => {
      const { demo } = await import('./demo.ts')
      done(await demo(options))
    })
}

function addWatch(program: Command, done: (exitCode: number) => void): void {
  program
    .command('watch')
    .description('print events: tag, tab, data as JSON, like salt-run state.event')
    .argument('[tagmatch]', 'glob or regular expression over the whole tag', '*')
    .addOption(sockDir())
    .addOption(minionId())
    .option('--pretty', 'data indented, keys sorted')
    .option('--json', 'one JSON object a line: {"tag": …, "data": …}')
    .option('--quiet', 'print nothing, just wait for --count events')
    .addOption(new Option('--count <n>', 'end after this many events; -1: never').argParser(count))
    .addHelpText(
      'after',
      "\nExamples:\n  virbus watch\n  virbus watch 'salt/engines/libvirt_events/*/domain/lifecycle' --pretty\n  virbus watch --json | jq .data.domain.name\n  virbus watch 'salt/minion/web1/start' --count 1 --quiet && echo web1 is up",
    )
    .action(async (tagmatch: string, options: WatchOptions) => {
      const { watch } = await import('./watch.ts')
      done(await watch(tagmatch, options))
    })
}

function addFire(program: Command, done: (exitCode: number) => void): void {
  program
    .command('fire')
    .description('fire one event')
    .argument('<tag>', 'tag of the event')
    .addArgument(new Argument('[data]', 'JSON object; - reads it from standard input').default('{}'))
    .addOption(sockDir())
    .addOption(minionId())
    .addOption(wire('framing that the bus takes; default: found out'))
    .addHelpText(
      'after',
      '\nExamples:\n  virbus fire my/tag \'{"key": "value"}\'\n  jq -n \'{load: 3}\' | virbus fire my/tag -\n  virbus fire my/tag --sock-dir /var/run/salt/master',
    )
    .action(async (tag: string, data: string, options: BusOptions) => {
      const { fire } = await import('./fire.ts')
      done(await fire(tag, data, options))
    })
}

function addGuests(program: Command, done: (exitCode: number) => void): void {
  const several = (value: string, before: string[] = []): string[] => [...before, value]
  program
    .command('guests')
    .description('list the guests that a running virbus knows, or those of the hosts that --uri names')
    .option('--uri <uri>', 'ask this libvirt itself, no virbus; may be given more than once', several)
    .option('--host <glob>', 'only hosts whose URI or name matches')
    .option('--state <state>', 'only guests in this state (running, paused, shutoff …); repeatable', several)
    .option('--titles', "show the guests' titles")
    .option('--json', 'one JSON array of guests; memory in KiB, CPU time in nanoseconds')
    .addOption(sockDir())
    .addOption(minionId())
    .addHelpText(
      'after',
      "\nExamples:\n  virbus guests\n  virbus guests --state running --host 'qemu+ssh://*'\n  virbus guests --uri qemu:///system --json | jq '.[].name'",
    )
    .action(async (options: GuestsOptions) => {
      const { guests } = await import('./guests.ts')
      done(await guests(options))
    })
}

function addCompletion(program: Command, done: (exitCode: number) => void): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'shell to complete in').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      '\nExamples:\n  eval "$(virbus completion bash)"\n  virbus completion fish > ~/.config/fish/completions/virbus.fish',
    )
    .action(async (shell: string) => {
      const { completion } = await import('./completion.ts')
      process.stdout.write(completion(shell, program))
      done(0)
    })
}
