// Tries a tool against a libvirtd in this process that dies in the middle of a call.
// node test-your-tool.ts
import { connect, LibvirtError } from 'virbus/libvirt'
import { Simulator } from 'virbus/simulator'

await using simulator = await Simulator.listen({ path: `/tmp/simulator-${process.pid}.sock`, domains: 100 })
await using host = await connect({ uri: simulator.uri })
const guest = await host.lookupByName('web-1')

using _fault = simulator.faults.add({ kind: 'close', when: 'after' }, { procedure: 'domain_suspend' })
try {
  await guest.suspend()
} catch (error) {
  if (error instanceof LibvirtError) console.log(error.code, 'may have executed:', error.mayHaveExecuted)
}
await host.ready
console.log('it is', (await guest.state()).state === 3 ? 'paused' : 'running')
