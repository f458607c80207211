import { type BusOptions, connectBus } from './bus-options.ts'
import { formatEvent, formatJsonEvent } from './event-text.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import { untilSignalled } from './signals.ts'
import { tagExpression } from './tag-match.ts'

export interface WatchOptions extends BusOptions {
  readonly pretty?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
  readonly count?: number
}

/** Events read before they are printed; a pipe that stays behind loses the oldest, which is said on standard error. */
const QUEUED_MAX = 65_536

/** `virbus watch`: prints the events of a bus as `salt-run state.event` does, or as one JSON object a line. */
export async function watch(tagmatch: string, options: WatchOptions): Promise<number> {
  using stop = untilSignalled()
  const matches = tagExpression(tagmatch)
  await using client = await connectBus(options, stop.signal)
  onReaderGone(process.stdout, stop.abort)
  const events = client.events({ filter: matches, limit: QUEUED_MAX, signal: stop.signal })
  process.stderr.write(`virbus: watching ${tagmatch}\n`)
  let left = options.count ?? Number.POSITIVE_INFINITY
  let dropped = 0
  for await (const event of events) {
    if (events.dropped > dropped) {
      process.stderr.write(
        `virbus: ${events.dropped - dropped} events lost: the output was not read in time\n`,
      )
      dropped = events.dropped
    }
    const text = options.json
      ? formatJsonEvent(event)
      : formatEvent(event, { pretty: options.pretty ?? false, stream: process.stdout })
    if (!options.quiet) await write(process.stdout, text)
    if (--left <= 0) break
  }
  return EXIT.OK
}
