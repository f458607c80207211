import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { stop } from './libvirtd.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The program as a user calls it. */
export const VIRBUS: string = join(ROOT, 'bin/virbus')

const WAIT_MS = 30_000

/** A program whose lines are read as they come; ended when disposed. */
export class LineProcess implements AsyncDisposable {
  readonly child: ChildProcess
  readonly #lines: { stdout: string[]; stderr: string[] } = { stdout: [], stderr: [] }
  readonly #exited: Promise<unknown>
  #changed = Promise.withResolvers<void>()

  readonly #isGroup: boolean

  /** `group`: in a process group of its own, as a shell starts what is typed; signals then go to all of it, like Ctrl-C. */
  constructor(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    options: { group?: boolean } = {},
  ) {
    this.#isGroup = options.group ?? false
    this.child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'pipe'],
      // Nothing is kept over restarts unless a test says where: the machine's own folder is not for tests.
      env: { ...process.env, VIRBUS_STATE_DIR: '', ...env },
      detached: this.#isGroup,
    })
    this.#exited = once(this.child, 'close')
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.child[name]
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#add(name, line))
    }
    this.#exited.then(() => this.#changed.resolve()).catch(() => {})
  }

  /** All lines of standard output so far. */
  get stdout(): readonly string[] {
    return this.#lines.stdout
  }

  /** All lines of standard error so far. */
  get stderr(): readonly string[] {
    return this.#lines.stderr
  }

  /** Waits until `count` lines of a stream match, and returns these. */
  async lines(matching: RegExp, count = 1, stream: 'stdout' | 'stderr' = 'stdout'): Promise<string[]> {
    const deadline = performance.now() + WAIT_MS
    for (;;) {
      const found = this.#lines[stream].filter((line) => matching.test(line))
      if (found.length >= count) return found.slice(0, count)
      const left = deadline - performance.now()
      const ended = this.child.exitCode !== null || this.child.signalCode !== null
      if (left <= 0 || (ended && this.child.stdout?.readableEnded))
        throw new Error(
          `${found.length} of ${count} lines match ${matching}; stdout: ${this.stdout.slice(-5).join(' | ').slice(0, 1000)}; stderr: ${this.stderr.slice(-10).join(' | ')}`,
        )
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, left)
      })
      await Promise.race([this.#changed.promise, timeout])
      clearTimeout(timer)
    }
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#isGroup && this.child.pid !== undefined) process.kill(-this.child.pid, signal)
    else this.child.kill(signal)
    return this.exit()
  }

  /** Waits for the end and returns the exit code; null when a signal ended it. */
  async exit(): Promise<number | null> {
    await this.#exited
    return this.child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isGroup && this.child.exitCode === null && this.child.signalCode === null)
      await this.end('SIGKILL')
    await stop(this.child)
  }

  #add(stream: 'stdout' | 'stderr', line: string): void {
    this.#lines[stream].push(line)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

/** Runs virbus to its end. */
export async function virbus(
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  await using run = new LineProcess(VIRBUS, args)
  run.child.stdin?.end()
  const code = await run.exit()
  return { code, stdout: run.stdout.join('\n'), stderr: run.stderr.join('\n') }
}
