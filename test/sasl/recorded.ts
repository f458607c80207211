import type { Digest } from '../../src/sasl/digest-message.ts'

/**
 * Conversations of our client (alice, pencil, cnonce OA6MHXh6VqTrRk) with the server of Cyrus SASL 2.1.28 (Debian 12), recorded
 * through cyrus_peer.py, and what it decoded (`sent`) and encoded (`received`) after them: the TEXTS, in hexadecimal.
 * For 3des with an OpenSSL 3 whose DES_key_sched was made not to refuse keys without parity, which Cyrus SASL always has.
 */
export const TEXTS: readonly string[] = ['first', 'a second one', 'x'.repeat(40)]

/** One conversation: what the server said, and the protected messages of both sides. */
interface Recorded {
  readonly challenge: string
  readonly rspauth: string
  readonly sent: readonly string[]
  readonly received: readonly string[]
}

export const RECORDED: Readonly<Record<string, Recorded>> = {
  rc4: {
    challenge:
      'nonce="jWdIIv4F0DxCzcFHb7v9EOTh0gmP2eWevRPPCWucK4I=",realm="localhost",qop="auth,auth-int,auth-conf",cipher="rc4-40,rc4-56,rc4,des,3des",maxbuf=65536,charset=utf-8,algorithm=md5-sess',
    rspauth: 'rspauth=f15a4b07266975dd7385f0b34b99a940',
    sent: [
      '0000001502b96ce981db12d0cc8e60b40737c5000100000000',
      '0000001c51d6b1ea6df2b5aefa8e4847425336d3083cc22e7027000100000001',
      '000000380015fceb7dce675cd0bcd9d93488961c7631e406c3aa334194e9a59681b22d0030b7e12fc8daaaf84aed244838662ef70fd7000100000002',
    ],
    received: [
      '000000150a036b0293e940174c4dbee9a595ee000100000000',
      '0000001c83b0a61694b03a184c1ff63b25960657a04c38c01ef3000100000001',
      '0000003866d3008993d34d5a8f9f1d0c49a5d54f0cb31c29291cb46292aea2945b0f11b29323b756ef9c2c7c8ee9570ce5b2f11c13e3000100000002',
    ],
  },
  '3des': {
    challenge:
      'nonce="UDc0n9xrbkDdkrkIQxhIeuIIFsul4/dSbBWpqWkLeMM=",realm="localhost",qop="auth,auth-int,auth-conf",cipher="rc4-40,rc4-56,rc4,des,3des",maxbuf=65536,charset=utf-8,algorithm=md5-sess',
    rspauth: 'rspauth=b79a8e9d24050f01f9831f0c5d683580',
    sent: [
      '0000001605787615dddd389cab8085df090257f5000100000000',
      '0000001eb570753df7282d921b096f9366c43b08017af5b4494a010f000100000001',
      '0000003ea417a8fe58c660a43cb8ff59a058cf89d7d38000e17432e3b57cc2ad2ea5cc8c8f92cebe12ea2e66fb699387aa15abe273e403332f2f25ec000100000002',
    ],
    received: [
      '00000016e6a577e2973cb758c8f58ade424ee64a000100000000',
      '0000001ed2778e69d0b987f4b2ac2e4fec36737a55ac202028a944ce000100000001',
      '0000003ecba75641d1fe39901636bc40c9bab2c030f641b409baff9332ea761c2a3b4e59f6e31c90dd292b9790d6d0cd6a2684404eda1cebf19c79f4000100000002',
    ],
  },
  'auth-int': {
    challenge:
      'nonce="ld94ZBvoNKRLG4s943a4LyaaQwmWEd/sinrds5hC0vM=",realm="localhost",qop="auth,auth-int,auth-conf",cipher="rc4-40,rc4-56,rc4,des,3des",maxbuf=65536,charset=utf-8,algorithm=md5-sess',
    rspauth: 'rspauth=fa8f7fc56594a31d3859874e4e4f65f0',
    sent: [
      '0000001566697273748fad610277770e9fbe1a000100000000',
      '0000001c61207365636f6e64206f6e657b3cbee36af0dfebe7b2000100000001',
      '00000038787878787878787878787878787878787878787878787878787878787878787878787878787878784feedf00029f487e6b88000100000002',
    ],
    received: [
      '0000001566697273748f5707d4fa41aa479e30000100000000',
      '0000001c61207365636f6e64206f6e65152bff8bc1e0745bffbf000100000001',
      '00000038787878787878787878787878787878787878787878787878787878787878787878787878787878786732e2833b91383dbe34000100000002',
    ],
  },
}

/** What Cyrus SASL's client made of these for a server that had sent the nonce and said that it has UTF-8. */
export const RECORDED_NARROW: Digest & { readonly response: string } = {
  username: 'zoë',
  password: 'schlüssel',
  realm: 'localhost',
  authzid: undefined,
  nonce: '4QSYnTSy0sNKSJFdLWXqrHOdqOQIDpij',
  cnonce: 'bz75msQgMocTvrb8r09Xo4D2vV80Wtm2AotA5FIzZaE=',
  uri: 'libvirt/localhost',
  qop: 'auth',
  response: 'dd73a31b2cfb6bfd3c7c162072afc640',
}
