// Copies a volume of a storage pool into a file of this machine, no faster than the file takes it.
// node save-volume.ts qemu+ssh://root@host/system POOL VOLUME FILE
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { connect, LibvirtError } from 'virbus/libvirt'

const [uri, pool = 'default', volume = '', file = volume] = process.argv.slice(2)
try {
  await using host = await connect({ uri, readOnly: false })
  const source = await (await host.storagePoolLookupByName(pool)).storageVolLookupByName(volume)
  await pipeline(await source.download(), createWriteStream(file))
  console.log(`${file}: ${(await source.info()).capacity} bytes`)
} catch (error) {
  if (!(error instanceof LibvirtError)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}
