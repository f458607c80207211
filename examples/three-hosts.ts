// Prints what happens on several hosts at once, each reached in its own way.
// node three-hosts.ts qemu:///system qemu+tls://host-b/system qemu+ssh://root@host-c/system
import { connect, enums, nameOf } from 'virbus/libvirt'

const watch = async (uri: string): Promise<void> => {
  await using host = await connect({ uri, readOnly: true })
  console.log(uri, 'connected')
  for await (const event of host.events({ domain: ['lifecycle'] })) {
    if (event.object === 'connection') console.log(uri, event.kind)
    else console.log(uri, event.dom.name, nameOf(enums.virDomainEventType, event.event))
  }
}

await Promise.all(process.argv.slice(2).map(watch))
