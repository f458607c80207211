/** Runs every benchmark and prints one table; ends with 1 when a goal is missed. */
import { cpus } from 'node:os'
import { benchIpc } from './ipc.ts'
import { benchLibvirtEvents } from './libvirt-events.ts'
import { printRows } from './report.ts'
import { benchStart } from './start.ts'

console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${new Date().toISOString().slice(0, 10)}`,
)
const rows = [...(await benchIpc()), ...(await benchLibvirtEvents()), ...(await benchStart())]
printRows(rows)
if (rows.some(({ ratio, goal }) => !(ratio >= goal))) process.exitCode = 1
