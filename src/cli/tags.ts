import { askControl } from '../http/index.ts'
import type { BusOptions } from './bus-options.ts'
import { controlOf } from './control.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import { untilSignalled } from './signals.ts'

/** `virbus tags`: tags of the events that a running virbus has in its journal; what completes tags asks here, too. */
export async function tags(prefix: string, options: BusOptions): Promise<number> {
  using stop = untilSignalled()
  onReaderGone(process.stdout, stop.abort)
  const query = new URLSearchParams({ prefix })
  const answer = await askControl(controlOf(options), `/v1/tags?${query}`, stop.signal)
  const found = JSON.parse(answer) as string[] // the answer of the route of the same name
  // A tag is what its sender made it; a terminal would obey control characters.
  await write(process.stdout, found.map((tag) => `${tag.replaceAll(/\p{Cc}/gu, '?')}\n`).join(''))
  return EXIT.OK
}
