import { randomUUID } from 'node:crypto'
import { encode } from '../../msgpack/index.ts'
import { SaltError } from '../errors.ts'
import { StampClock } from '../stamp.ts'
import type { Framing } from './dialect.ts'
import { PROBE_TAG } from './probe-tag.ts'
import type { BusReader } from './reader.ts'
import { BusWriter } from './writer.ts'

/** How long the answer to one probe is waited for. An idle Salt bus takes about 12 ms. */
export const PROBE_MS = 1000

/**
 * Finds out how a bus wants its messages cut, and gives a connection that is.
 *
 * Maps without a length are tried first: a bus that wants lengths takes their first four bytes for a length of 2 GiB, waits, and
 * forgets them when the connection closes; it logs nothing and no event is made. The other way round a bus that wants bare maps
 * logs an error for the length. A bus that sends lengths wants them too, so that its first message spares the first try.
 *
 * @throws {SaltError} ERR_SALT_DIALECT when neither came back.
 */
export async function probe(options: {
  pullPath: string
  reader: BusReader
  probeMs: number
  signal?: AbortSignal | undefined
}): Promise<BusWriter> {
  const { pullPath, reader, probeMs, signal } = options
  const tag = `${PROBE_TAG}${randomUUID()}/`
  for (const framing of ['bare', 'prefixed'] as const) {
    if (framing === 'bare' && reader.framing === 'prefixed') continue
    const writer = await BusWriter.connect(pullPath, framing, signal)
    const found = await ask({ tag, reader, writer, probeMs })
    if (found === framing) return writer
    await writer[Symbol.asyncDispose]()
    // The answer to the first try may be late.
    if (found === 'bare') return BusWriter.connect(pullPath, found, signal)
    signal?.throwIfAborted()
  }
  throw new SaltError('ERR_SALT_DIALECT', `${pullPath} answered in no framing: give the dialect of the bus`)
}

async function ask(options: {
  tag: string
  reader: BusReader
  writer: BusWriter
  probeMs: number
}): Promise<Framing | undefined> {
  const { tag, reader, writer, probeMs } = options
  const { promise, resolve } = Promise.withResolvers<Framing | undefined>()
  const timer = setTimeout(() => resolve(undefined), probeMs)
  writer.onAnswer = () => resolve(writer.framing)
  reader.onProbe = (seen) => {
    if (seen === undefined) {
      if (reader.framing === 'prefixed' && writer.framing === 'bare') resolve('prefixed')
    } else if (seen === `${tag}bare`) resolve('bare')
    else if (seen === `${tag}prefixed`) resolve('prefixed')
  }
  try {
    const data = encode({ _stamp: new StampClock().now(), framing: writer.framing })
    writer.write(tag + writer.framing, data).catch(() => resolve(undefined)) // a bus that hangs up has answered, too
    return await promise
  } finally {
    clearTimeout(timer)
    writer.onAnswer = () => {}
    reader.onProbe = () => {}
  }
}
