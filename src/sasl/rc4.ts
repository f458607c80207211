/**
 * The stream cipher RC4 (RFC 6229 has its vectors). OpenSSL 3 does not give it any more, and DIGEST-MD5 has nothing
 * better that every server knows.
 */
export class Rc4 {
  readonly #state: Uint8Array = Uint8Array.from({ length: 256 }, (_, index) => index)
  #i = 0
  #j = 0

  constructor(key: Uint8Array) {
    const state = this.#state
    let j = 0
    for (let i = 0; i < 256; i++) {
      j = (j + (state[i] ?? 0) + (key[i % key.length] ?? 0)) & 255
      this.#swap(i, j)
    }
  }

  /** The next bytes, encrypted or decrypted: the same thing. */
  update(bytes: Uint8Array): Buffer {
    const state = this.#state
    const out = Buffer.allocUnsafe(bytes.length)
    for (let n = 0; n < bytes.length; n++) {
      this.#i = (this.#i + 1) & 255
      this.#j = (this.#j + (state[this.#i] ?? 0)) & 255
      this.#swap(this.#i, this.#j)
      const at = ((state[this.#i] ?? 0) + (state[this.#j] ?? 0)) & 255
      out[n] = (bytes[n] ?? 0) ^ (state[at] ?? 0)
    }
    return out
  }

  #swap(i: number, j: number): void {
    const state = this.#state
    const held = state[i] ?? 0
    state[i] = state[j] ?? 0
    state[j] = held
  }
}
