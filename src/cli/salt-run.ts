import { getEvent, MasterEvent } from '../salt/index.ts'
import { formatEvent } from './event-text.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import { type SaltBus, type SaltBusOptions, saltBus } from './salt-config.ts'
import { type Call, callOf, isTrue, mapArgument, SaltArgumentsError, textArgument } from './salt-function.ts'
import type { Runner } from './salt-names.ts'
import { type OutputOptions, printReturn } from './salt-output.ts'
import { untilSignalled } from './signals.ts'
import { saltExpression } from './tag-match.ts'

export interface SaltRunOptions extends SaltBusOptions, OutputOptions {
  /** Names of arguments whose value stays text, with commas between them. */
  readonly noParse?: string
  /** Seconds to connect in; default 1. */
  readonly timeout?: number
}

/** Events read before they are printed; a pipe that stays behind loses the oldest, which is said on standard error. */
const QUEUED_MAX = 65_536

/** `virbus salt-run`: the runners of Salt that are about events. */
export async function saltRun(
  name: Runner,
  words: readonly string[],
  options: SaltRunOptions,
): Promise<number> {
  const noParse = options.noParse?.split(',') ?? []
  if (name === 'state.event') {
    const optional = ['tagmatch', 'count', 'quiet', 'sock_dir', 'pretty', 'node']
    return await stateEvent(callOf(name, { required: [], optional }, words, noParse), options)
  }
  const call = callOf(name, { required: ['tag'], optional: ['data'] }, words, noParse)
  return await eventSend(call, options)
}

/** `event.send`: an event on the master's bus. */
async function eventSend(call: Call, options: SaltRunOptions): Promise<number> {
  const tag = textArgument('event.send', call, 'tag')
  const data = isTrue(call.args.get('data')) ? mapArgument('event.send', call, 'data') : new Map()
  const { sockDir, eventBytesMax } = saltBus('master', options)
  await using event = new MasterEvent(sockDir, { eventBytesMax, raiseErrors: true })
  await event.fireEvent(data, tag, (options.timeout ?? 1) * 1000)
  await printReturn(true, options)
  return EXIT.OK
}

/** `state.event`: prints events until `count` of them matched; goes on when the bus is started anew. */
async function stateEvent(call: Call, options: SaltRunOptions): Promise<number> {
  using stop = untilSignalled()
  const { args } = call
  const pretty = isTrue(args.get('pretty'))
  const quiet = isTrue(args.get('quiet'))
  const matches = saltExpression(textArgument('state.event', call, 'tagmatch', '*'))
  let left = countOf(call)
  const bus = busOf(call, options)
  onReaderGone(process.stdout, stop.abort)
  await using event = await getEvent(bus.node ?? 'master', { ...bus, raiseErrors: true, limit: QUEUED_MAX })
  let dropped = 0
  for await (const one of event.iterEvents({ full: true, autoReconnect: true, signal: stop.signal })) {
    if (event.dropped > dropped) {
      process.stderr.write(
        `virbus: ${event.dropped - dropped} events lost: the output was not read in time\n`,
      )
      dropped = event.dropped
    }
    if (!matches(one.tag)) continue
    if (!quiet) await write(process.stdout, formatEvent(one, { pretty }))
    if (left > 0) left--
    if (left === 0) break
  }
  if (!stop.signal.aborted) await printReturn(null, options)
  return EXIT.OK
}

/** Salt counts down to 0, and so ends after the first event when it is told 0. */
function countOf({ args }: Call): number {
  const count = args.get('count') ?? -1
  if (Number.isSafeInteger(count)) return Number(count)
  throw new SaltArgumentsError('ERR_CLI_SALT_ARGUMENTS', 'state.event: count has to be a whole number')
}

function busOf(call: Call, options: SaltRunOptions): SaltBus {
  const node = textArgument('state.event', call, 'node', 'master')
  if (node !== 'master' && node !== 'minion')
    throw new SaltArgumentsError(
      'ERR_CLI_SALT_ARGUMENTS',
      `state.event: node is master or minion, not ${node}`,
    )
  const given = call.args.get('sock_dir') ?? options.sockDir
  const sockDir =
    given === undefined ? undefined : textArgument('state.event', call, 'sock_dir', String(given))
  return saltBus(node, { ...options, sockDir })
}
