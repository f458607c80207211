import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { DaemonStats } from '../src/daemon/index.ts'
import { SETPRIV } from '../test/support/peers.ts'
import { LineProcess, VIRBUS } from '../test/support/processes.ts'
import { Part } from './part.ts'

const MARK_MS = 200
const MARKS_MAX = 150

/** Writes a configuration for `virbus up` into a folder; without engines unless it has some. */
export function writeSettings(dir: string, settings: Readonly<Record<string, unknown>> = {}): string {
  const path = join(dir, 'config.yml')
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ engines: [], ...settings }))
  return path
}

/** Starts `virbus up`, with a state folder as everybody has one, and waits until it and so many of its engines are ready. */
export async function startVirbus(args: readonly string[], engines: number): Promise<LineProcess> {
  const up = new LineProcess(SETPRIV, ['--pdeathsig', 'TERM', VIRBUS, 'up', ...args])
  try {
    await up.lines(/"msg":"ready"/, 1, 'stderr')
    await up.lines(/libvirt events registered/, engines, 'stderr')
    return up
  } catch (error) {
    await up[Symbol.asyncDispose]()
    throw error
  }
}

/** Ends it, and gives its counters. */
export async function countersOf(up: LineProcess): Promise<DaemonStats> {
  await up.end('SIGTERM')
  const last = up.stderr.find((line) => line.includes('"stopping"'))
  if (last === undefined) throw new Error('virbus has not told its counters')
  return JSON.parse(last)
}

/** Ends those who are connected to it, then itself, and gives the events that it has dropped by its own account, wherever that was. */
export async function droppedBy(up: LineProcess, ...clients: readonly Part[]): Promise<number> {
  for (const client of clients) await client[Symbol.asyncDispose]()
  const { bus, publisher, sockets, engines } = await countersOf(up)
  const ofEngines = engines.reduce((sum: number, { dropped }: { dropped: number }) => sum + dropped, 0)
  return (
    bus.dropped + publisher.subscribersCut + publisher.dropped + sockets.dropped + sockets.refused + ofEngines
  )
}

/** A program of ours in bench/peers. */
export function startPeer(file: string, args: readonly (string | number)[], limitMs?: number): Part {
  const path = new URL(`peers/${file}`, import.meta.url).pathname
  return new Part([process.execPath, path, ...args.map(String)], limitMs)
}

/** Has a source make events until the subscriber has seen one: from there on none of its events is missed. */
export async function untilSeen(source: Part, subscriber: Part): Promise<void> {
  subscriber.send('mark')
  const seen = subscriber.told('mark')
  // Where it never comes, that is said below.
  seen.catch(() => {})
  for (let mark = 0; mark < MARKS_MAX; mark++) {
    source.send('mark')
    if (await Promise.race([seen, delay(MARK_MS)])) return
  }
  throw new Error('the subscriber sees no event')
}
