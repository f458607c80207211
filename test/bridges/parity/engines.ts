import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LibvirtToBus } from '../../../src/bridges/index.ts'
import { Bus, type BusEvent, type PayloadCodec } from '../../../src/bus/index.ts'
import { parseExactJson } from '../../../src/cli/exact-json.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { SALT_RELEASES, saltPython } from '../../support/peers.ts'
import { LineProcess } from '../../support/processes.ts'

const WAIT_MS = 60_000
const SCRIPT = join(import.meta.dirname, '../../support/salt_engine.py')

/** The Python of the Salt release whose engine is compared. */
export const ENGINE_PYTHON: string = saltPython(SALT_RELEASES.prefixed)

/** One event as an engine tells it, without its time. */
export interface Seen {
  readonly tag: string
  readonly data: Readonly<Record<string, unknown>>
}

/** The last two parts of a tag: `domain/lifecycle`. */
export function kindOf({ tag }: Seen): string {
  return tag.split('/').slice(-2).join('/')
}

/** The name, or for a secret the UUID, of what an event is about. */
export function subjectOf({ data }: Seen): string {
  for (const object of ['domain', 'network', 'pool', 'nodedev', 'secret']) {
    const subject = data[object] as { name?: string; uuid?: string } | undefined // a map or absent
    if (subject) return subject.name ?? subject.uuid ?? ''
  }
  return ''
}

/** What an awaited event is like; fields that are not named may have any value. */
export interface Awaited {
  readonly kind: string
  readonly of?: string
  readonly fields?: Readonly<Record<string, unknown>>
}

function isLike(seen: Seen, { kind, of, fields = {} }: Awaited): boolean {
  return (
    kindOf(seen) === kind &&
    (of === undefined || subjectOf(seen) === of) &&
    Object.entries(fields).every(([name, value]) => seen.data[name] === value)
  )
}

const noCodec: PayloadCodec = {
  encode: () => assert.fail('nothing is encoded here'),
  decode: () => assert.fail('nothing is decoded here'),
}

/** What the real engine is. */
interface About {
  /** The kinds of its own table, as filters: `domain/lifecycle`. */
  readonly kinds: readonly string[]
  /** Release of libvirt that its bindings belong to: 9008000 is 9.8.0. */
  readonly bindings: number
}

/** Asks the real engine what it is. */
export async function aboutRealEngine(): Promise<About> {
  const { stdout } = await promisify(execFile)(ENGINE_PYTHON, [SCRIPT, '--about'])
  return JSON.parse(stdout)
}

/** The real engine of Salt and ours, watching one daemon at the same time. */
export class Engines implements AsyncDisposable {
  readonly ours: Seen[] = []
  readonly #real: LineProcess
  readonly #bus = new Bus()
  readonly #engine: LibvirtToBus
  readonly #reading: Promise<void>
  #news = Promise.withResolvers<void>()

  /** Starts both and waits until both have registered for these kinds. */
  static async watch(uri: string, kinds: readonly string[]): Promise<Engines> {
    const engines = new Engines(uri, kinds)
    try {
      await Promise.all([engines.#real.lines(/^watching$/, 1, 'stderr'), engines.#engine.ready])
    } catch (error) {
      await engines[Symbol.asyncDispose]()
      throw error
    }
    return engines
  }

  private constructor(uri: string, kinds: readonly string[]) {
    this.#engine = new LibvirtToBus({
      bus: this.#bus,
      codec: noCodec,
      stamp: () => 'now',
      log: silentLogger,
      uri,
      filters: kinds,
    })
    // A filter that ours does not have throws above: no process is left behind then.
    this.#real = new LineProcess(ENGINE_PYTHON, [SCRIPT, uri, kinds.join(',')])
    this.#real.child.stdout?.on('data', () => this.#tell())
    this.#real.child.on('exit', () => this.#tell())
    this.#reading = this.#read(this.#bus.subscribe('*'))
    this.#engine.start()
  }

  /** What the real engine has told so far; numbers as exact as it wrote them. */
  get real(): Seen[] {
    return this.#real.stdout.map((line) => parseExactJson(line) as Seen) // the script prints nothing else
  }

  /** What the real engine wrote to its log. */
  get realLog(): readonly string[] {
    return this.#real.stderr
  }

  /** Whether both engines tell an event like this one within a moment. */
  async tell(awaited: Awaited, waitMs: number): Promise<boolean> {
    return await this.until(awaited, 1, waitMs).then(
      () => true,
      () => false,
    )
  }

  /** Waits until both engines have told `count` events like this one, and gives the last of these. */
  async until(awaited: Awaited, count = 1, waitMs: number = WAIT_MS): Promise<Seen> {
    const deadline = performance.now() + waitMs
    for (;;) {
      const found = [this.real, this.ours].map((seen) => seen.filter((one) => isLike(one, awaited)))
      const last = found[1]?.[count - 1]
      if (found[0]?.[count - 1] && last) return last
      const left = deadline - performance.now()
      const ended = this.#real.child.exitCode !== null
      if (left <= 0 || ended) {
        const told = this.ours.map((one) => `${kindOf(one)} ${subjectOf(one)} ${one.data['event']}`)
        const why = ended ? `the real engine ended: ${this.realLog.slice(-5).join(' | ')}` : 'too late'
        assert.fail(
          `${why}; the real engine and ours have told ${found.map((all) => all.length).join(' and ')} of ${count} events like ${JSON.stringify(awaited)}; ours: ${told.slice(-40).join(', ')}`,
        )
      }
      let timer: NodeJS.Timeout | undefined
      // The real engine's line is split a moment after its bytes have come.
      const pause = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, Math.min(left, 50))
      })
      await Promise.race([this.#news.promise, pause])
      clearTimeout(timer)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]()
    await this.#bus[Symbol.asyncDispose]()
    await this.#reading
    await this.#real[Symbol.asyncDispose]()
  }

  async #read(published: AsyncIterable<BusEvent>): Promise<void> {
    for await (const { tag, data } of published) {
      // Ours alone: the real engine does not know whether it is connected.
      if (tag.includes('/connection/')) continue
      const { _stamp, ...fields } = data
      this.ours.push({ tag, data: _stamp === 'now' ? fields : data })
      this.#tell()
    }
  }

  #tell(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
