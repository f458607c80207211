import type { Random } from '../../src/simulator/random.ts'

/** Words that parsers stumble over. */
const ODD_WORDS = [
  0, 1, 2, 3, 4, 27, 28, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 33_554_436, 33_554_437, 4_194_305,
]

/** A packet with something wrong in it: bits, words, lengths, bytes too many or too few, or pieces of another packet. */
export function mutate(random: Random, packet: Buffer, other: Buffer): Buffer {
  const kind = random.integer(8)
  if (kind === 0) return flipped(random, packet, 1 + random.integer(8))
  if (kind === 1) return withWord(packet, 4 * random.integer(7), odd(random))
  if (kind === 2) return withWord(packet, 4 * random.integer(Math.max(1, packet.length >> 2)), odd(random))
  if (kind === 3) return withLength(packet.subarray(0, random.integer(packet.length + 1)))
  if (kind === 4) return withLength(Buffer.concat([packet, bytes(random, 1 + random.integer(64))]))
  if (kind === 5) return withLength(spliced(random, packet, other))
  if (kind === 6)
    return withLength(Buffer.concat([packet.subarray(0, 28), bytes(random, random.integer(200))]))
  return bytes(random, random.integer(packet.length + 8))
}

/** Bytes that follow from the seed. */
function bytes(random: Random, count: number): Buffer {
  const made = Buffer.allocUnsafe(count)
  for (let n = 0; n < count; n++) made[n] = random.integer(256)
  return made
}

function odd(random: Random): number {
  return random.pick(ODD_WORDS)
}

function flipped(random: Random, packet: Buffer, count: number): Buffer {
  const copy = Buffer.from(packet)
  for (let n = 0; n < count; n++) {
    const at = random.integer(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random.integer(8))
  }
  return copy
}

function withWord(packet: Buffer, offset: number, word: number): Buffer {
  const copy = Buffer.from(packet)
  if (offset + 4 <= copy.length) copy.writeUInt32BE(word, offset)
  return copy
}

/** The same bytes under a length word that is right. */
function withLength(packet: Buffer): Buffer {
  return withWord(packet, 0, packet.length)
}

function spliced(random: Random, packet: Buffer, other: Buffer): Buffer {
  const from = random.integer(other.length)
  const piece = other.subarray(from, from + random.integer(64))
  const at = random.integer(packet.length + 1)
  return Buffer.concat([packet.subarray(0, at), piece, packet.subarray(at)])
}
