import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'

const VIRSH = '/usr/bin/virsh'
const CALL_TIMEOUT_MS = 20_000

/** Why tests with the real virsh are skipped: false where it is installed, or where CI says that it must be. */
export const virshSkip: string | false =
  isInstalled() || process.env['CI'] === 'true' ? false : `${VIRSH} is not installed`

/** What one virsh command did. */
export interface VirshResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs one virsh command to its end; killed after 20 s. English, whatever the machine speaks. */
export async function virsh(uri: string, ...args: readonly string[]): Promise<VirshResult> {
  const child = start(uri, args)
  const timer = setTimeout(() => child.kill('SIGKILL'), CALL_TIMEOUT_MS)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code, ...output }
}

/** A virsh that runs until it is told to stop, and the lines it writes. */
export class VirshWatch implements AsyncDisposable {
  readonly lines: string[] = []
  readonly #child: ReturnType<typeof start>
  readonly #changed = new EventTarget()
  #rest = ''

  constructor(uri: string, ...args: readonly string[]) {
    this.#child = start(uri, args)
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#take(text))
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#take(text))
  }

  /** Waits until `count` lines match. */
  async matching(
    pattern: RegExp,
    count: number,
    signal: AbortSignal = AbortSignal.timeout(CALL_TIMEOUT_MS),
  ): Promise<string[]> {
    for (;;) {
      const found = this.lines.filter((line) => pattern.test(line))
      if (found.length >= count) return found
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const abort = (): void =>
        reject(new Error(`${found.length} of ${count} lines like ${pattern}: ${this.lines.join('\n')}`))
      signal.addEventListener('abort', abort, { once: true })
      this.#changed.addEventListener('line', () => resolve(), { once: true })
      await promise.finally(() => signal.removeEventListener('abort', abort))
    }
  }

  /** Interrupts it as a person does, and waits for its end. */
  async interrupt(): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    this.#child.kill('SIGINT')
    const [code] = await once(this.#child, 'close')
    return code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'close')
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = parts.pop() ?? ''
    this.lines.push(...parts)
    this.#changed.dispatchEvent(new Event('line'))
  }
}

function start(uri: string, args: readonly string[]) {
  // Line by line even into a pipe, or a watcher would wait for a full buffer.
  const env = { ...process.env, LC_ALL: 'C' }
  return spawn(VIRSH, ['-c', uri, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
}

function isInstalled(): boolean {
  try {
    accessSync(VIRSH, constants.X_OK)
    return true
  } catch {
    // Absent or not ours to run: both mean that there is no virsh here.
    return false
  }
}
