import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../core/duration.ts'
import type { BusOptions } from './bus-options.ts'
import type { DemoOptions } from './demo.ts'
import type { GuestsOptions } from './guests.ts'
import { addLinks } from './links.ts'
import { addSaltCommands } from './salt-commands.ts'
import type { TopOptions } from './top.ts'
import type { UpOptions } from './up.ts'
import { version } from './version.ts'
import type { WatchOptions } from './watch.ts'

/** As event-format.ts has them, which is loaded only to print. */
const FORMATS = ['text', 'pretty', 'json', 'tsv']
const WIRES = ['classic', 'prefixed', 'split']
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent']

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1 on.')
  return value
}

/** Of an option that may be given more than once. */
function several(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function count(text: string): number {
  return text === '-1' ? Number.POSITIVE_INFINITY : positive(text)
}

function span(text: string): number {
  const value = parseDuration(text)
  if (!(value > 0)) throw new InvalidArgumentError('Expected a time such as 30s, 5m, 2h or 1d.')
  return value
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
      '\nExit codes: 0 done or stopped by a signal, 1 failed, 2 wrong usage or configuration, 3 timed out.',
    )
  addUp(program, done)
  addDemo(program, done)
  addWatch(program, done)
  addEvents(program, done)
  addFire(program, done)
  addGuests(program, done)
  addSaltCommands(program, done)
  addLinks(program, done)
  addTop(program, done)
  addTags(program, done)
  addCompletion(program, done)
  for (const command of program.commands) command.exitOverride().showSuggestionAfterError()
  return program
}

function addUp(program: Command, done: (exitCode: number) => void): void {
  program
    .command('up')
    .description('run the bus and watch libvirt until SIGINT or SIGTERM')
    .option('--uri <uri>', 'libvirt connection to watch; may be given more than once', several)
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

/** Options that watch and events share. */
function addShowing(command: Command): Command {
  return command
    .argument('[tagmatch...]', 'globs or regular expressions over the whole tag; any of them', ['*'])
    .addOption(sockDir())
    .addOption(minionId())
    .option('--where <condition>', 'only events of which this holds: \'data.domain.name == "web*"\'')
    .addOption(
      new Option('--format <format>', 'text: tag, tab, data as JSON, like salt-run state.event').choices(
        FORMATS,
      ),
    )
    .option('--template <text>', 'text with {tag}, {time}, {sequence}, {data.domain.name} … in it')
    .option('--fields <list>', 'columns of --format tsv, with commas (default: time,sequence,tag,data.event)')
    .option('--pretty', 'the same as --format pretty: data indented, keys sorted')
    .option('--json', 'the same as --format json: one object a line, {"tag": …, "data": …}')
    .option('--time', 'the time before each event')
    .option('--utc', 'times in UTC')
    .option('--quiet', 'print nothing, just wait for --count events')
    .addOption(new Option('--count <n>', 'end after this many events; -1: never').argParser(count))
    .addOption(
      new Option(
        '--timeout <time>',
        'end after 30s, 5m …; with 3 when --count events have not come',
      ).argParser(span),
    )
    .option('--since <time>', 'events of the past from then on: 10m, 2026-11-21T09:30')
    .option('--until <time>', 'events of the past up to then')
    .addOption(new Option('--last <n>', 'only so many events of the past').argParser(positive))
}

function addWatch(program: Command, done: (exitCode: number) => void): void {
  addShowing(
    program
      .command('watch')
      .description('print events as they come; with --since or --last after those of the past'),
  )
    .addHelpText(
      'after',
      "\nExamples:\n  virbus watch\n  virbus watch 'salt/engines/libvirt_events/*/domain/lifecycle' --pretty\n  virbus watch --where 'data.domain.name == \"web*\" and data.event == \"stopped\"'\n  virbus watch --json --since 10m | jq .data.domain.name\n  virbus watch 'salt/minion/web1/start' --count 1 --quiet --timeout 5m && echo web1 is up",
    )
    .action(async (patterns: string[], options: WatchOptions) => {
      const { watch } = await import('./watch.ts')
      done(await watch(patterns, options))
    })
}

function addEvents(program: Command, done: (exitCode: number) => void): void {
  addShowing(
    program.command('events').description('print events of the past, from the journal of a running virbus'),
  )
    .option('--follow', 'go on with those that come')
    .addHelpText(
      'after',
      "\nExamples:\n  virbus events --last 20 --time\n  virbus events '*/domain/lifecycle' --since 2h --format tsv --fields time,data.domain.name,data.event\n  virbus events --since 2026-11-21T09:00 --until 2026-11-21T09:30 --json",
    )
    .action(async (patterns: string[], options: WatchOptions) => {
      const { events } = await import('./watch.ts')
      done(await events(patterns, options))
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
  program
    .command('guests')
    .description('list the guests that a running virbus knows, or those of the hosts that --uri names')
    .option('--uri <uri>', 'ask this libvirt itself, no virbus; may be given more than once', several)
    .option('--host <glob>', 'only hosts whose URI or name matches')
    .option('--state <state>', 'only guests in this state (running, paused, shutoff …); repeatable', several)
    .option('--titles', "show the guests' titles")
    .option('--metadata <namespace>', 'with --json: this element of their metadata; repeatable', several)
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

function addTop(program: Command, done: (exitCode: number) => void): void {
  program
    .command('top')
    .description('show what a running virbus does: tags by their rate, hosts, subscribers, losses')
    .addOption(new Option('--interval <time>', 'between two looks').argParser(span).default(1000, '1s'))
    .addOption(new Option('--count <n>', 'end after this many looks').argParser(positive))
    .addOption(new Option('--tags <n>', 'tags that are shown').argParser(positive).default(15))
    .addOption(sockDir())
    .addOption(minionId())
    .addHelpText('after', '\nExamples:\n  virbus top\n  virbus top --interval 10s --count 1 | head -2')
    .action(async (options: TopOptions) => {
      const { top } = await import('./top.ts')
      done(await top(options))
    })
}

function addTags(program: Command, done: (exitCode: number) => void): void {
  program
    .command('tags')
    .description('list the tags of the events that a running virbus has kept, at most 1,000')
    .argument('[prefix]', 'only tags that begin so', '')
    .addOption(sockDir())
    .addOption(minionId())
    .addHelpText('after', '\nExamples:\n  virbus tags\n  virbus tags salt/job/')
    .action(async (prefix: string, options: BusOptions) => {
      const { tags } = await import('./tags.ts')
      done(await tags(prefix, options))
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
