import { stat } from 'node:fs/promises'
import type { Framing } from './dialect.ts'

/** Sockets that are remembered; the one that was asked about first is forgotten first. */
const SOCKETS_MAX = 256

interface Known {
  /** Which socket was asked: one that a restarted bus has made anew at the same path is another. */
  readonly identity: string
  readonly framing: Promise<Framing>
}

/**
 * Remembers how the buses of some sockets want their messages cut, so that each is probed once, also by clients that ask at the
 * same time. A socket is known by path, device, inode and time of its making: a bus that was started anew, perhaps of another release,
 * is probed again.
 */
export class FramingMemory {
  readonly #known = new Map<string, Known>()

  /** The framing of the socket at `path`; `find` is called when it is not known. What fails is asked again by the next. */
  async recall(path: string, find: () => Promise<Framing>): Promise<Framing> {
    const identity = await identityOf(path)
    const known = this.#known.get(path)
    if (known && known.identity === identity) return known.framing
    const entry: Known = { identity, framing: find() }
    this.#known.delete(path)
    this.#known.set(path, entry)
    if (this.#known.size > SOCKETS_MAX) this.#known.delete([...this.#known.keys()][0] ?? '')
    try {
      return await entry.framing
    } catch (error) {
      this.#forget(path, entry)
      throw error
    } finally {
      // Where the bus was started anew meanwhile, nobody can say which of the two has answered.
      if ((await identityOf(path)) !== identity) this.#forget(path, entry)
    }
  }

  #forget(path: string, entry: Known): void {
    if (this.#known.get(path) === entry) this.#known.delete(path)
  }
}

/** Of a socket that is not there an empty text: connecting to it will say so better. */
async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino, ctimeNs } = await stat(path, { bigint: true })
    return `${dev} ${ino} ${ctimeNs}`
  } catch {
    return ''
  }
}

/**
 * What this process knows of the buses around it. State of the module, since programs make a client for each event they fire,
 * and a bus would be asked by every one of them; it holds nothing that the sockets themselves do not tell again.
 */
export const PROCESS_MEMORY: FramingMemory = new FramingMemory()
