/** Runs a virbus that keeps its guests in the folder of its sockets, and prints each event as JSON: keeping-daemon.ts DIR URI */
import { silentLogger } from '../../src/core/logger.ts'
import { Daemon } from '../../src/daemon/index.ts'

const [dir = '', uri] = process.argv.slice(2)
await using daemon = await Daemon.start({
  sockDir: dir,
  stateDir: dir,
  wire: 'split',
  engines: [{ uri }],
  log: silentLogger,
})
for await (const { tag, data } of daemon.bus.subscribe('*'))
  process.stdout.write(`${JSON.stringify({ tag, data })}\n`)
