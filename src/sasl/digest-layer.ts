import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { SaslError } from './errors.ts'
import type { SaslLayer } from './mechanism.ts'
import { Rc4 } from './rc4.ts'

/** Ciphers of DIGEST-MD5 that are done here, best first, and the bits that each is worth (RFC 2831 §2.1.1). */
export const DIGEST_CIPHERS = { rc4: 128, '3des': 112 } as const
/** One of them. */
export type DigestCipher = keyof typeof DIGEST_CIPHERS

const LENGTH_BYTES = 4
/** The first bytes of an HMAC-MD5 (RFC 2831 §2.3). */
const MAC_BYTES = 10
/** Message type 1 and sequence number (RFC 2831 §2.3). */
const TRAILER_BYTES = 6
/** Of the block cipher, in bytes. */
const BLOCK_BYTES = 8
/** Bytes of one protected message that we take and announce as `maxbuf`; the default of RFC 2831 §2.1.1. */
export const LAYER_BYTES_MAX = 65_536
/**
 * What Cyrus SASL keeps free in the other side's `maxbuf`: the length word, too, although RFC 2831 §2.3 does not count it,
 * and with a cipher one byte more than MAC, padding and trailer need.
 */
const RESERVED_BYTES = { integrity: 4 + 16, cipher: 4 + 25 }

const SIGNING = {
  client: 'Digest session key to client-to-server signing key magic constant',
  server: 'Digest session key to server-to-client signing key magic constant',
}
const SEALING = {
  client: 'Digest H(A1) to client-to-server sealing key magic constant',
  server: 'Digest H(A1) to server-to-client sealing key magic constant',
}

type Transform = (bytes: Buffer) => Buffer

/** What a layer is made of. */
export interface DigestLayerOptions {
  /** H(A1) of RFC 2831 §2.1.2.1. */
  readonly sessionKey: Buffer
  /** None: `auth-int`. */
  readonly cipher: DigestCipher | undefined
  readonly side: 'client' | 'server'
  /** The other side's `maxbuf`, at least 64. */
  readonly peerBytesMax: number
}

/** The layers `auth-int` (RFC 2831 §2.3) and `auth-conf` (§2.4) of DIGEST-MD5: each message is signed, then encrypted. */
export class DigestLayer implements SaslLayer {
  readonly ssf: number
  readonly #seal: Transform
  readonly #open: Transform
  readonly #signKey: Buffer
  readonly #checkKey: Buffer
  readonly #isBlock: boolean
  readonly #plainMax: number
  readonly #lengthWord: Buffer = Buffer.alloc(LENGTH_BYTES)
  /** What is being received: the length word or a message, and how many of its bytes have come. */
  #partial: Buffer = this.#lengthWord
  #have = 0
  #sent = 0
  #received = 0
  #isBroken = false

  constructor({ sessionKey, cipher, side, peerBytesMax }: DigestLayerOptions) {
    const other = side === 'client' ? 'server' : 'client'
    this.ssf = cipher ? DIGEST_CIPHERS[cipher] : 1
    this.#isBlock = cipher === '3des'
    this.#signKey = keyOf(sessionKey, SIGNING[side])
    this.#checkKey = keyOf(sessionKey, SIGNING[other])
    this.#seal = transform(cipher, keyOf(sessionKey, SEALING[side]), 'seal')
    this.#open = transform(cipher, keyOf(sessionKey, SEALING[other]), 'open')
    const reserved = cipher ? RESERVED_BYTES.cipher : RESERVED_BYTES.integrity
    this.#plainMax = Math.min(peerBytesMax, LAYER_BYTES_MAX) - reserved
  }

  wrap(plain: Buffer): Buffer {
    const parts: Buffer[] = []
    for (let offset = 0; offset < plain.length; offset += this.#plainMax)
      parts.push(...this.#wrapOne(plain.subarray(offset, offset + this.#plainMax)))
    return Buffer.concat(parts)
  }

  /** @throws {SaslError} `ERR_SASL_LAYER` when a message is too long, was changed, or is out of its order; for ever, then. */
  unwrap(chunk: Buffer, onPlain: (plain: Buffer) => void): void {
    let bytes = chunk
    while (bytes.length > 0) {
      if (this.#isBroken) throw new SaslError('ERR_SASL_LAYER', 'bytes after a message that was not right')
      const partial = this.#partial
      const copied = bytes.copy(partial, this.#have)
      bytes = bytes.subarray(copied)
      this.#have += copied
      if (this.#have < partial.length) return
      this.#have = 0
      this.#isBroken = true
      const plain =
        partial === this.#lengthWord ? this.#expect(partial.readUInt32BE()) : this.#unwrapOne(partial)
      this.#isBroken = false
      if (plain) onPlain(plain)
    }
  }

  /** Makes room for a message of this length. */
  #expect(length: number): undefined {
    if (length < MAC_BYTES + TRAILER_BYTES || length > LAYER_BYTES_MAX)
      throw new SaslError('ERR_SASL_LAYER', `protected message of ${length} bytes, limit ${LAYER_BYTES_MAX}`)
    this.#partial = Buffer.allocUnsafe(length)
  }

  #wrapOne(plain: Buffer): Buffer[] {
    const mac = macOf(this.#signKey, this.#sent, plain)
    // 1 to 8 bytes, each of the value of their number, before the MAC.
    const padding = this.#isBlock ? BLOCK_BYTES - ((plain.length + MAC_BYTES) % BLOCK_BYTES) : 0
    const sealed = this.#seal(Buffer.concat([plain, Buffer.alloc(padding, padding), mac]))
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(sealed.length + TRAILER_BYTES)
    const trailer = Buffer.alloc(TRAILER_BYTES)
    trailer.writeUInt16BE(1)
    trailer.writeUInt32BE(this.#sent, 2)
    this.#sent = (this.#sent + 1) >>> 0
    return [length, sealed, trailer]
  }

  #unwrapOne(message: Buffer): Buffer {
    this.#partial = this.#lengthWord
    const sealed = message.subarray(0, -TRAILER_BYTES)
    const [type, sequence] = [message.readUInt16BE(sealed.length), message.readUInt32BE(sealed.length + 2)]
    if (type !== 1 || sequence !== this.#received || (this.#isBlock && sealed.length % BLOCK_BYTES !== 0))
      throw new SaslError('ERR_SASL_LAYER', 'protected message of another type or out of its order')
    const opened = this.#open(sealed)
    const plain = opened.subarray(0, opened.length - MAC_BYTES - this.#paddingOf(opened))
    if (!timingSafeEqual(macOf(this.#checkKey, sequence, plain), opened.subarray(-MAC_BYTES)))
      throw new SaslError('ERR_SASL_LAYER', 'protected message that was changed on its way')
    this.#received = (this.#received + 1) >>> 0
    return plain
  }

  /** Length of the padding, which no MAC protects; 0 where it is not as it should be, so that the MAC will not fit. */
  #paddingOf(opened: Buffer): number {
    if (!this.#isBlock) return 0
    const end = opened.length - MAC_BYTES
    const padding = opened[end - 1] ?? 0
    const isWhole = padding >= 1 && padding <= BLOCK_BYTES && padding <= end
    return isWhole && opened.subarray(end - padding, end).every((byte) => byte === padding) ? padding : 0
  }
}

function keyOf(sessionKey: Buffer, text: string): Buffer {
  return createHash('md5').update(sessionKey).update(text).digest()
}

function macOf(key: Buffer, sequence: number, plain: Buffer): Buffer {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(sequence)
  return createHmac('md5', key).update(number).update(plain).digest().subarray(0, MAC_BYTES)
}

function transform(cipher: DigestCipher | undefined, key: Buffer, direction: 'seal' | 'open'): Transform {
  if (!cipher) return (bytes) => bytes
  if (cipher === 'rc4') {
    const rc4 = new Rc4(key)
    return (bytes) => rc4.update(bytes)
  }
  // Two keys of 56 bits; the last eight bytes stand for the block before the first, and the chain goes on from message to
  // message (RFC 2831 §2.4; Cyrus SASL, plugins/digestmd5.c).
  const des = Buffer.concat([withParity(key.subarray(0, 7)), withParity(key.subarray(7, 14))])
  const make = direction === 'seal' ? createCipheriv : createDecipheriv
  const running = make('des-ede-cbc', des, key.subarray(8))
  running.setAutoPadding(false)
  return (bytes) => running.update(bytes)
}

/** Seven bytes as eight of seven bits, each with a bit for parity that nobody looks at. */
function withParity(key: Buffer): Buffer {
  const bits = BigInt(`0x${key.toString('hex')}`)
  return Buffer.from(Array.from({ length: 8 }, (_, n) => Number((bits >> BigInt(49 - 7 * n)) & 127n) << 1))
}
