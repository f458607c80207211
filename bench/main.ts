/** Runs every benchmark, or those whose names are given, and prints one table; ends with 1 when a goal is missed. */
import { cpus } from 'node:os'
import { benchEngine } from './engine.ts'
import { benchEngineHosts } from './engine-hosts.ts'
import { benchEngineResync } from './engine-resync.ts'
import { benchIpc } from './ipc.ts'
import { benchIpcSlow } from './ipc-slow.ts'
import { benchJournal } from './journal.ts'
import { benchLibvirtClient } from './libvirt-client.ts'
import { benchLibvirtEvents } from './libvirt-events.ts'
import { printRows, type Row } from './report.ts'
import { benchStart } from './start.ts'

console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${new Date().toISOString().slice(0, 10)}`,
)
const BENCHES: Readonly<Record<string, () => Promise<Row[]>>> = {
  ipc: benchIpc,
  'ipc-slow': benchIpcSlow,
  journal: benchJournal,
  'libvirt-events': benchLibvirtEvents,
  'libvirt-client': benchLibvirtClient,
  engine: benchEngine,
  'engine-hosts': benchEngineHosts,
  'engine-resync': benchEngineResync,
  start: benchStart,
}
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES)
const rows: Row[] = []
for (const name of names) {
  const bench = BENCHES[name]
  if (!bench) throw new Error(`no benchmark '${name}'; there are ${Object.keys(BENCHES).join(', ')}`)
  rows.push(...(await bench()))
}
printRows(rows)
if (rows.some(({ ratio, goal }) => !(ratio >= goal))) process.exitCode = 1
