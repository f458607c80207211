import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, test } from 'node:test'
import { type Connection, connect, type remote } from '../../src/libvirt/index.ts'
import { LIBVIRTD, startLibvirtd, type TestDaemon } from '../support/libvirtd.ts'
import { needs, QEMU } from '../support/peers.ts'

const live = needs(LIBVIRTD, QEMU)
const SIZE = 24 * 1024 * 1024
let daemon: TestDaemon
let connection: Connection
let pool: remote.RemoteNonnullStoragePool

before(async () => {
  if (live.skip) return
  daemon = await startLibvirtd()
  const uri = `qemu+unix:///system?socket=${daemon.socketPath}`
  connection = await connect({ uri })
  const path = join(daemon.dir, 'pool')
  mkdirSync(path)
  const xml = `<pool type='dir'><name>volumes</name><target><path>${path}</path></target></pool>`
  pool = (await connection.remote.storagePoolCreateXml({ xml, flags: 0 })).pool
})
after(async () => {
  await connection?.close()
  await daemon?.[Symbol.asyncDispose]()
})

async function volume(name: string): Promise<remote.RemoteNonnullStorageVol> {
  const xml = `<volume><name>${name}</name><capacity>${SIZE}</capacity><target><format type='raw'/></target></volume>`
  return (await connection.remote.storageVolCreateXml({ pool, xml, flags: 0 })).vol
}

function whole(vol: remote.RemoteNonnullStorageVol): remote.RemoteStorageVolUploadArgs {
  return { vol, offset: 0, length: 0, flags: 0 }
}

function sum(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('what is uploaded to a real volume is downloaded again, byte for byte', live, async () => {
  const vol = await volume('there-and-back')
  const content = randomBytes(SIZE)
  const parts = Array.from({ length: SIZE / 100_000 + 1 }, (_, n) =>
    content.subarray(n * 100_000, (n + 1) * 100_000),
  )
  await pipeline(Readable.from(parts), await connection.remote.storageVolUpload(whole(vol)))
  assert.equal(sum(readFileSync(vol.key)), sum(content))
  const download = await connection.remote.storageVolDownload(whole(vol))
  const received = await Array.fromAsync(download as AsyncIterable<Buffer>)
  assert.equal(sum(Buffer.concat(received)), sum(content))
})

test('a reader that pauses stops the source and nothing else', live, async () => {
  const vol = await volume('paused')
  const download = await connection.remote.storageVolDownload(whole(vol))
  await once(download, 'readable')
  const held = (): number => download.readableLength
  // While nothing is read, calls are answered and the stream keeps to its buffer.
  for (let round = 0; round < 50; round++) await connection.remote.connectGetHostname()
  assert.ok(held() < 2 * 1024 * 1024, `${held()} bytes wait`)
  let total = 0
  for await (const chunk of download) total += chunk.length
  assert.equal(total, SIZE)
})

test(
  'leaving a download early ends it, and a stream of nothing that there is fails as its call',
  live,
  async () => {
    const vol = await volume('left')
    const download = await connection.remote.storageVolDownload(whole(vol))
    for await (const chunk of download) {
      assert.ok(chunk.length > 0)
      break
    }
    assert.equal(download.destroyed, true)
    const gone = { ...vol, name: 'gone', key: '/gone' }
    await assert.rejects(connection.remote.storageVolDownload(whole(gone)), { code: 'ERR_LIBVIRT_REMOTE' })
    await connection.remote.storageVolDelete({ vol, flags: 0 })
  },
)

test('an upload that the daemon aborts is an error of the stream', live, async () => {
  const vol = await volume('too-long')
  const upload = await connection.remote.storageVolUpload({ vol, offset: 0, length: 1000, flags: 0 })
  await assert.rejects(
    pipeline(Readable.from([Buffer.alloc(500), Buffer.alloc(100_000), Buffer.alloc(100_000)]), upload),
    { name: 'LibvirtError' },
  )
})

test('a signal ends a stream that nobody reads', live, async () => {
  const vol = await volume('signalled')
  const abort = new AbortController()
  const download = await connection.remote.storageVolDownload(whole(vol), { signal: abort.signal })
  const failed = once(download, 'error')
  abort.abort(new Error('enough'))
  const [error] = await failed
  assert.equal(error.name, 'AbortError')
  await connection.remote.connectGetHostname()
})

test('closing the connection ends its streams', live, async () => {
  const own = await connect({ uri: connection.uri })
  const vol = await volume('closing')
  const download = await own.remote.storageVolDownload(whole(vol))
  const failed = once(download, 'error')
  await own.close()
  const [error] = await failed
  assert.equal(error.code, 'ERR_LIBVIRT_CLOSED')
})

test('the console of a real guest is read and written', live, async () => {
  const xml = `<domain type='qemu'><name>talker</name><memory unit='MiB'>16</memory>
    <os><type arch='x86_64' machine='pc'>hvm</type><bios useserial='yes'/></os>
    <devices><emulator>${QEMU}</emulator><serial type='pty'><target port='0'/></serial><console type='pty'/></devices></domain>`
  const { dom } = await connection.remote.domainCreateXml({ xml_desc: xml, flags: 1 })
  try {
    const console = await connection.remote.domainOpenConsole({ dom, dev_name: null, flags: 0 })
    console.setEncoding('latin1')
    let text = ''
    console.on('data', (chunk) => {
      text += chunk
    })
    await connection.remote.domainResume({ dom })
    while (!/SeaBIOS|Booting|iPXE/.test(text)) await once(console, 'data')
    console.write('\r\n')
    console.destroy()
    await once(console, 'close')
  } finally {
    await connection.remote.domainDestroy({ dom })
  }
})
