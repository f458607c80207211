import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { SaslError } from './errors.ts'
import type { SaslLayer } from './mechanism.ts'
import { Rc4 } from './rc4.ts'

/** Ciphers of DIGEST-MD5 that are done here, strongest first, and the bits that each is worth (RFC 2831 §2.4). */
export const DIGEST_CIPHERS = { rc4: 128, '3des': 112 } as const
/** One of them. */
export type DigestCipher = keyof typeof DIGEST_CIPHERS

/** First ten bytes of an HMAC-MD5, message type 1, sequence number (RFC 2831 §2.3). */
const MAC_BYTES = 10
const TRAILER_BYTES = 6
/** Bytes of one protected message that we take and announce as `maxbuf`. */
export const LAYER_BYTES_MAX = 65_536
/** What protection adds at most: MAC, padding of a block cipher, trailer (Cyrus SASL reserves the same). */
const OVERHEAD_BYTES_MAX = 25

const SIGNING = {
  client: 'Digest session key to client-to-server signing key magic constant',
  server: 'Digest session key to server-to-client signing key magic constant',
}
const SEALING = {
  client: 'Digest H(A1) to client-to-server sealing key magic constant',
  server: 'Digest H(A1) to server-to-client sealing key magic constant',
}

type Transform = (bytes: Buffer) => Buffer

/** The layer `auth-conf` of DIGEST-MD5 (RFC 2831 §2.4): each message is signed, then encrypted. */
export class DigestLayer implements SaslLayer {
  readonly ssf: number
  readonly #seal: Transform
  readonly #open: Transform
  readonly #signKey: Buffer
  readonly #checkKey: Buffer
  readonly #isBlock: boolean
  readonly #plainMax: number
  #sent = 0
  #received = 0
  #rest: Buffer = Buffer.alloc(0)

  /** `sessionKey`: H(A1); `peerBytesMax`: the other side's `maxbuf`. */
  constructor(options: {
    sessionKey: Buffer
    cipher: DigestCipher
    side: 'client' | 'server'
    peerBytesMax: number
  }) {
    const { sessionKey, cipher, side } = options
    const other = side === 'client' ? 'server' : 'client'
    this.ssf = DIGEST_CIPHERS[cipher]
    this.#isBlock = cipher === '3des'
    this.#signKey = md5(sessionKey, SIGNING[side])
    this.#checkKey = md5(sessionKey, SIGNING[other])
    this.#seal = transform(cipher, md5(sessionKey, SEALING[side]), 'seal')
    this.#open = transform(cipher, md5(sessionKey, SEALING[other]), 'open')
    this.#plainMax = Math.min(options.peerBytesMax, LAYER_BYTES_MAX) - OVERHEAD_BYTES_MAX
  }

  wrap(plain: Buffer): Buffer {
    const parts: Buffer[] = []
    for (let offset = 0; offset < plain.length; offset += this.#plainMax)
      parts.push(this.#wrapOne(plain.subarray(offset, offset + this.#plainMax)))
    return Buffer.concat(parts)
  }

  unwrap(chunk: Buffer, onPlain: (plain: Buffer) => void): void {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0)
      if (length < MAC_BYTES + TRAILER_BYTES || length > LAYER_BYTES_MAX)
        throw new SaslError('ERR_SASL_LAYER', `protected message of ${length} bytes`)
      if (bytes.length < 4 + length) break
      onPlain(this.#unwrapOne(bytes.subarray(4, 4 + length)))
      bytes = bytes.subarray(4 + length)
    }
    this.#rest = Buffer.from(bytes)
  }

  #wrapOne(plain: Buffer): Buffer {
    const mac = macOf(this.#signKey, this.#sent, plain)
    // Block ciphers: as many bytes as are missing, each of that value, before the MAC.
    const padding = this.#isBlock ? 8 - ((plain.length + MAC_BYTES) % 8) : 0
    const sealed = this.#seal(Buffer.concat([plain, Buffer.alloc(padding, padding), mac]))
    const out = Buffer.alloc(4 + sealed.length + TRAILER_BYTES)
    out.writeUInt32BE(sealed.length + TRAILER_BYTES, 0)
    sealed.copy(out, 4)
    out.writeUInt16BE(1, 4 + sealed.length)
    out.writeUInt32BE(this.#sent, 6 + sealed.length)
    this.#sent = (this.#sent + 1) >>> 0
    return out
  }

  #unwrapOne(message: Buffer): Buffer {
    const sealed = message.subarray(0, -TRAILER_BYTES)
    const [type, sequence] = [message.readUInt16BE(sealed.length), message.readUInt32BE(sealed.length + 2)]
    if (type !== 1 || sequence !== this.#received || (this.#isBlock && sealed.length % 8 !== 0))
      throw new SaslError('ERR_SASL_LAYER', 'protected message of another type or out of its order')
    const opened = this.#open(sealed)
    const padding = this.#isBlock ? (opened.at(-MAC_BYTES - 1) ?? 0) : 0
    const length = opened.length - MAC_BYTES - padding
    if (length < 0 || padding > 8)
      throw new SaslError('ERR_SASL_LAYER', 'protected message with wrong padding')
    const plain = opened.subarray(0, length)
    if (!timingSafeEqual(macOf(this.#checkKey, sequence, plain), opened.subarray(-MAC_BYTES)))
      throw new SaslError('ERR_SASL_LAYER', 'protected message that was changed on its way')
    this.#received = (this.#received + 1) >>> 0
    return plain
  }
}

function md5(key: Buffer, text: string): Buffer {
  return createHash('md5').update(key).update(text).digest()
}

function macOf(key: Buffer, sequence: number, plain: Buffer): Buffer {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(sequence)
  return createHmac('md5', key).update(number).update(plain).digest().subarray(0, MAC_BYTES)
}

function transform(cipher: DigestCipher, key: Buffer, direction: 'seal' | 'open'): Transform {
  if (cipher === 'rc4') {
    const rc4 = new Rc4(key)
    return (bytes) => rc4.update(bytes)
  }
  // Two keys of 56 bits; the last eight bytes are the first block's neighbour, and each block the next one's (RFC 2831 §2.4).
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
