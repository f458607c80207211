/** The counterpart of libvirt_receiver.py on our client: the same arguments, the same output. */
import { connect } from '../../src/libvirt/index.ts'

const [uri, wanted = '0'] = process.argv.slice(2)
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const connection = await connect({ uri, readOnly: true })
const events = connection.events({ domain: ['lifecycle'] })
await events.ready
console.log('ready')
let count = 0
let last = -1
let inOrder = true
let firstMs = 0
function take(event: number): void {
  if (count === 0) firstMs = performance.now()
  count++
  if (event === last) inOrder = false
  last = event
}

const before = cpuMs()
for await (const event of events) {
  if (event.object === 'connection') throw new Error(`the connection was ${event.kind}`)
  take(event.event)
  if (count === Number(wanted)) break
}
const after = cpuMs()
const wallMs = performance.now() - firstMs
const rssMb = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ count, inOrder, cpuMs: after - before, totalCpuMs: after, wallMs, rssMb }))
await connection.close()
