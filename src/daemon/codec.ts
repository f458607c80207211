import type { PayloadCodec } from '../bus/index.ts'
import { decode, encode } from '../msgpack/index.ts'

/** Event data as MessagePack, the way it travels on Salt's bus. */
export const msgpackCodec: PayloadCodec = {
  encode,
  decode: (payload) => {
    const data = decode(payload)
    // The sockets let nothing in but maps; a map with other keys than strings is shown by their text.
    if (data instanceof Map) return Object.fromEntries([...data].map(([key, value]) => [String(key), value]))
    return typeof data === 'object' && data !== null ? { ...data } : {}
  },
}
