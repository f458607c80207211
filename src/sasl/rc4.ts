/**
 * The stream cipher RC4 (RFC 6229 has its vectors). OpenSSL 3 does not give it any more, and DIGEST-MD5 (RFC 2831 §2.4)
 * has nothing better that every server knows.
 */
export class Rc4 {
  readonly #state: Uint8Array = Uint8Array.from({ length: 256 }, (_, index) => index)
  #i = 0
  #j = 0

  /** `key`: 1 to 256 bytes. */
  constructor(key: Uint8Array) {
    const state = this.#state
    for (let i = 0, j = 0; i < 256; i++) {
      const held = state[i] ?? 0
      j = (j + held + (key[i % key.length] ?? 0)) & 255
      state[i] = state[j] ?? 0
      state[j] = held
    }
  }

  /** The next bytes, encrypted or decrypted: the same thing. */
  update(bytes: Uint8Array): Buffer {
    const state = this.#state
    const out = Buffer.allocUnsafe(bytes.length)
    let [i, j] = [this.#i, this.#j]
    for (let n = 0; n < bytes.length; n++) {
      i = (i + 1) & 255
      const held = state[i] ?? 0
      j = (j + held) & 255
      const other = state[j] ?? 0
      state[i] = other
      state[j] = held
      out[n] = (bytes[n] ?? 0) ^ (state[(held + other) & 255] ?? 0)
    }
    this.#i = i
    this.#j = j
    return out
  }
}
