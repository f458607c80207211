import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { messageOf } from '../../core/errors.ts'
import { LibvirtError } from '../errors.ts'
import type { Transport, TransportHandlers } from './transport.ts'

/** What is kept of a command's standard error, to say why it ended. */
const STDERR_BYTES_MAX = 4096

/** A program whose standard input and output are the connection, and what it says on standard error. */
class CommandTransport implements Transport {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #name: string
  #stderr = ''

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, name: string) {
    this.#child = child
    this.#name = name
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-STDERR_BYTES_MAX)
    })
  }

  start(handlers: TransportHandlers): void {
    const { stdin, stdout } = this.#child
    let failure: Error | undefined
    stdout.on('data', (chunk: Buffer) => handlers.data(chunk))
    stdin.on('drain', () => handlers.drain())
    // EPIPE says less than what the command wrote before it ended.
    stdin.on('error', () => {})
    this.#child.once('error', (error) => {
      failure = error
    })
    this.#child.once('close', (code, signal) => handlers.closed(failure ?? this.#ended(code, signal)))
  }

  write(bytes: Buffer): number {
    this.#child.stdin.write(bytes)
    return this.#child.stdin.writableLength
  }

  pause(): void {
    this.#child.stdout.pause()
  }

  resume(): void {
    this.#child.stdout.resume()
  }

  destroy(): void {
    this.#child.stdin.destroy()
    this.#child.stdout.destroy()
    this.#child.kill('SIGTERM')
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): Error | undefined {
    const said = this.#stderr.trim()
    if (code === 0 && said === '') return undefined
    const how = signal === null ? `ended with ${code}` : `was ended by ${signal}`
    const text = said === '' ? `${this.#name} ${how}` : `${this.#name} ${how}: ${said}`
    return new LibvirtError('ERR_LIBVIRT_COMMAND', `${text}${advice(said)}`)
  }
}

/** What to do about the usual complaints of ssh. */
function advice(said: string): string {
  if (/Permission denied \(/.test(said))
    return '; log in there with a key (ssh-copy-id, keyfile=PATH), or let ssh ask with no_tty=0'
  if (/Host key verification failed/.test(said))
    return '; connect to this host once with ssh and accept its key, or name a file with known_hosts=PATH'
  if (/virt-ssh-helper|(nc|netcat): *(command )?not found/.test(said))
    return '; the other host needs virt-ssh-helper (of libvirt) or nc (netcat-openbsd), or name one with netcat=PATH'
  return ''
}

/**
 * Starts a command that carries the connection: `ssh …`, or that of the transport `ext`.
 * It has no terminal, unless `tty`, so it cannot ask anything and a Ctrl-C there does not reach it.
 *
 * @throws {LibvirtError} `ERR_LIBVIRT_COMMAND` when it cannot be started.
 */
export async function startCommand(
  {
    command,
    args,
    tty,
  }: { readonly command: string; readonly args: readonly string[]; readonly tty: boolean },
  signal?: AbortSignal,
): Promise<Transport> {
  signal?.throwIfAborted()
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: !tty })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('spawn', resolve).once('error', reject)
  try {
    await promise
  } catch (error) {
    const text = `cannot start ${command}: ${messageOf(error)}`
    throw new LibvirtError('ERR_LIBVIRT_COMMAND', text, { cause: error })
  }
  child.removeListener('error', reject)
  return new CommandTransport(child, command)
}
