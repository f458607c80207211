import { encode } from '../../src/msgpack/index.ts'
import { FrameBatch } from '../../src/salt/index.ts'
import type { Random } from '../../src/simulator/random.ts'

/** The forms in which a message reaches the pull socket: two framings, and other maps than the one that Salt's own clients send. */
export const FORMS = ['bare', 'prefixed', 'other'] as const
export type Form = (typeof FORMS)[number]

/** Lengths that parsers stumble over; the third and fourth are beside the limit of a message. */
const ODD_LENGTHS = [
  0, 1, 0x1ff_ffff, 0x200_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0001_0000, 255, 256,
]

/** Headers of MessagePack that claim much: str, bin, array, map, extension, and a byte that is none. */
const CLAIMS = [
  'dbffffffff',
  'c6ffffffff',
  'c601ffffff',
  'ddffffffff',
  'dfffffffff',
  'c9ffffffff05',
  'c1',
  'dc ffff',
  'de ffff',
].map((hex) => Buffer.from(hex.replace(' ', ''), 'hex'))

const TAGS = [
  'a',
  'my/tag',
  'salt/job/20261120/ret/web1',
  'ü/☃',
  `long/${'x'.repeat(300)}`,
  'virbus/probe/1/bare',
]

/** A whole event as a well-behaved client sends it. */
export function message(random: Random, form: Form): Buffer {
  const tag = random.pick(TAGS)
  const data = dataOf(random)
  if (form === 'other') {
    const body = Buffer.concat([Buffer.from(`${tag}\n\n`), data])
    return encode(
      random.pick([
        { body, head: {} },
        { head: { a: [1, { b: null }] }, body, enc: 'x' },
      ]),
    )
  }
  const batch = new FrameBatch(form)
  batch.addEvent(tag, data)
  return Buffer.concat(batch.take())
}

function dataOf(random: Random): Buffer {
  const kind = random.integer(8)
  if (kind === 0) return Buffer.concat([nested(random.integer(200)), encode(0)])
  if (kind === 1)
    return encode({ big: 'y'.repeat(random.integer(3000)), bytes: bytes(random, random.integer(100)) })
  if (kind === 2) return encode({ list: Array.from({ length: random.integer(50) }, (_, n) => ({ n })) })
  return encode({
    text: 'zoë',
    n: random.integer(2 ** 40),
    half: 0.5,
    none: null,
    deep: { er: { est: true } },
  })
}

/** Maps within maps, without the innermost value: DEPTH_MAX is 100. */
function nested(depth: number): Buffer {
  return Buffer.from('81a161'.repeat(depth), 'hex')
}

/** A message with something wrong in it. Some of these are still whole messages, with wrong events or with right ones. */
export function mutateMessage(random: Random, original: Buffer, other: Buffer): Buffer {
  const kind = random.integer(8)
  if (kind === 0) return flipped(random, original)
  if (kind === 1) return withLength(random, original)
  // What follows stands where the rest was expected.
  if (kind === 2) return original.subarray(0, random.integer(original.length + 1))
  if (kind === 3) return spliced(random, original, random.pick(CLAIMS))
  if (kind === 4) return spliced(random, original, other.subarray(random.integer(other.length)))
  if (kind === 5) return Buffer.concat([original, bytes(random, 1 + random.integer(8))])
  if (kind === 6) return spliced(random, original, nested(50 + random.integer(100)))
  return bytes(random, random.integer(64))
}

/** Bytes that follow from the seed. */
export function bytes(random: Random, count: number): Buffer {
  const made = Buffer.allocUnsafe(count)
  for (let n = 0; n < count; n++) made[n] = random.integer(256)
  return made
}

function flipped(random: Random, original: Buffer): Buffer {
  const copy = Buffer.from(original)
  for (let left = 1 + random.integer(4); left > 0; left--) {
    const at = random.integer(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random.integer(8))
  }
  return copy
}

/** The length word, or the one of the body, is another. */
function withLength(random: Random, original: Buffer): Buffer {
  const copy = Buffer.from(original)
  const length = random.pick(ODD_LENGTHS)
  const at = random.pick([0, 12, 13, 16, 17])
  if (at + 4 <= copy.length) copy.writeUInt32BE(length, at)
  return copy
}

function spliced(random: Random, original: Buffer, piece: Buffer): Buffer {
  const at = random.integer(original.length + 1)
  return Buffer.concat([original.subarray(0, at), piece, original.subarray(at)])
}
