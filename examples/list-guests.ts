// Lists the guests of a host with their states and what they use.
// node list-guests.ts qemu:///system
import { connect, enums, nameOf } from 'virbus/libvirt'

await using host = await connect({ uri: process.argv[2], readOnly: true })
console.log(`${await host.getHostname()}, ${await host.getType()}`)
for (const { domain, params } of await host.getAllDomainStats()) {
  const { state, memory, nrVirtCpu } = await domain.info()
  console.log(domain.name, nameOf(enums.virDomainState, state), `${nrVirtCpu} vCPU`, `${memory} KiB`, params)
}
