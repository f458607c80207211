import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { Ext, Float, type MsgpackValue, RawString } from '../../src/msgpack/index.ts'

/** A script of this folder in a Python that may be a venv's; what it writes to standard error is part of the error it ends with. */
export class PythonScript implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exit: Promise<unknown>
  #stderr = ''

  constructor(python: string, script: string, args: readonly string[] = []) {
    this.#child = spawn(python, ['-u', join(import.meta.dirname, script), ...args], { stdio: 'pipe' })
    this.#exit = once(this.#child, 'close')
    this.#child.stderr?.on('data', (chunk) => {
      this.#stderr = `${this.#stderr}${chunk}`.slice(-4000)
    })
    if (!this.#child.stdout) throw new Error('the script has no standard output')
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** The next line of its standard output; throws when there is none. */
  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done) throw new Error(`the script ended: ${this.#stderr}`)
    return next.value
  }

  /** The next line as JSON. */
  async json(): Promise<unknown> {
    return JSON.parse(await this.line())
  }

  /** Writes a line to its standard input. */
  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.#exit
  }
}

/** Runs a script to its end with this on its standard input, and gives the lines of its standard output. */
export async function pythonFilter(
  python: string,
  script: string,
  input: readonly string[],
): Promise<string[]> {
  const child = spawn(python, [join(import.meta.dirname, script)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  child.stdin.end(input.map((line) => `${line}\n`).join(''))
  const output = await text(child.stdout)
  const [code] = await exit
  if (code !== 0) throw new Error(`${script} ended with ${code}`)
  return output.split('\n').slice(0, -1)
}

/** The form in which typed_json.py tells values: integers and floats apart, text and bytes apart, entries in order. */
export type TypedForm = null | boolean | [string, unknown]

/** The form of a value that was decoded with `floats: 'exact'`. */
export function typed(value: MsgpackValue): TypedForm {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return ['int', String(value)]
  if (typeof value === 'number') return Number.isInteger(value) ? ['int', String(value)] : float(value)
  if (typeof value === 'string') return ['str', Buffer.from(value).toString('hex')]
  if (value instanceof Float) return float(value.value)
  if (value instanceof RawString) return ['str', value.bytes.toString('hex')]
  if (value instanceof Ext) return ['ext', [value.type, value.data.toString('hex')]]
  if (Buffer.isBuffer(value)) return ['bin', value.toString('hex')]
  if (Array.isArray(value)) return ['list', value.map(typed)]
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return ['map', entries.map(([key, item]) => [typed(key), typed(item)])]
}

/** The same form with the entries of every map in one order, to compare what has none. */
export function sorted(form: unknown): unknown {
  if (!Array.isArray(form)) return form
  const [kind, content] = form
  if (kind === 'list') return [kind, content.map(sorted)]
  if (kind !== 'map') return form
  const entries: [unknown, unknown][] = content.map(([key, item]: [unknown, unknown]) => [
    sorted(key),
    sorted(item),
  ])
  return [kind, entries.sort(([a], [b]) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))]
}

function float(value: number): TypedForm {
  if (Number.isNaN(value)) return ['float', 'nan']
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return ['float', bytes.toString('hex')]
}

/** The value of a form: floats, text and bytes as what encodes to the same. */
export function untyped(form: unknown): unknown {
  if (!Array.isArray(form)) return form
  const [kind, content] = form
  switch (kind) {
    case 'int':
      return Number.isSafeInteger(Number(content)) ? Number(content) : BigInt(content)
    case 'float':
      return content === 'nan' ? Number.NaN : new Float(Buffer.from(content, 'hex').readDoubleBE())
    case 'str':
      return Buffer.from(content, 'hex').toString('utf8')
    case 'bin':
      return Buffer.from(content, 'hex')
    case 'ext':
      return new Ext(content[0], Buffer.from(content[1], 'hex'))
    case 'list':
      return content.map(untyped)
    default:
      return new Map(content.map(([key, value]: [unknown, unknown]) => [untyped(key), untyped(value)]))
  }
}
