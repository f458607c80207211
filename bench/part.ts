import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { SETPRIV } from '../test/support/peers.ts'

/** How long a part may run unless told. */
const LIMIT_MS = 120_000

/** One process of a measurement: it says JSON lines on its standard output and is told lines on its standard input. */
export class Part implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  readonly #lines: AsyncIterator<string>

  /** After `limitMs` it is killed, and whoever waits for a line of it gets an error. */
  constructor(command: readonly string[], limitMs: number = LIMIT_MS) {
    this.#child = spawn(SETPRIV, ['--pdeathsig', 'KILL', ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
    })
    this.#exit = once(this.#child, 'exit')
    // A part that has ended is noticed by the line that it does not say.
    this.#child.stdin?.on('error', () => {})
    if (!this.#child.stdout) throw new Error('no standard output')
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Its next line, which has to have this key. */
  async line(name: string): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next()
    const line: Record<string, unknown> = done ? {} : JSON.parse(value)
    if (!(name in line)) throw new Error(`a process ended or said ${value} in the place of ${name}`)
    return line
  }

  /** The number of this key in its next line. */
  async told(name: string): Promise<number> {
    return Number((await this.line(name))[name])
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  async serves(path: string): Promise<void> {
    const deadline = performance.now() + LIMIT_MS
    while (!existsSync(path)) {
      if (performance.now() > deadline || this.#child.exitCode !== null)
        throw new Error('the server did not start')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}
