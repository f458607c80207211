import { LibvirtGuestSource, listGuests, stateText } from '../bridges/index.ts'
import { messageOf } from '../core/errors.ts'
import { type GuestReport, type HostReport, hostReport, stateNumber } from '../daemon/index.ts'
import { Host, Hosts } from '../guests/index.ts'
import { askControl, toJson } from '../http/index.ts'
import { connect } from '../libvirt/index.ts'
import type { BusOptions } from './bus-options.ts'
import { controlOf } from './control.ts'
import { parseExactJson } from './exact-json.ts'
import { EXIT, onReaderGone, write } from './output.ts'
import { untilSignalled } from './signals.ts'
import { table } from './table.ts'

export interface GuestsOptions extends BusOptions {
  readonly uri?: string[]
  readonly host?: string
  readonly state?: string[]
  readonly titles?: boolean
  readonly metadata?: string[]
  readonly json?: boolean
}

/**
 * `virbus guests`: the guests that a running virbus knows, or those of the hosts that `--uri` names. Ends with 1 when a
 * host could not be asked, which is said on standard error.
 */
export async function guests(options: GuestsOptions): Promise<number> {
  using stop = untilSignalled()
  onReaderGone(process.stdout, stop.abort)
  const hosts = options.uri
    ? await askHosts(options.uri, options, stop.signal)
    : await askVirbus(options, stop.signal)
  const found = hosts.flatMap((host) => host.guests)
  await write(process.stdout, options.json ? `${toJson(found)}\n` : guestTable(found, hosts.length > 1))
  for (const { host, error } of hosts) if (error !== null) process.stderr.write(`virbus: ${host}: ${error}\n`)
  return hosts.some(({ error }) => error !== null) ? EXIT.FAILURE : EXIT.OK
}

async function askVirbus(options: GuestsOptions, signal: AbortSignal): Promise<HostReport[]> {
  const query = new URLSearchParams([
    ['fresh', '1'],
    ...(options.host === undefined ? [] : [['host', options.host] as [string, string]]),
    ...(options.state ?? []).map((state): [string, string] => ['state', state]),
    ...(options.metadata ?? []).map((uri): [string, string] => ['metadata', uri]),
    ...(options.titles ? [['titles', '1'] as [string, string]] : []),
  ])
  const answer = await askControl(controlOf(options), `/v1/guests?${query}`, signal)
  return parseExactJson(answer) as HostReport[] // the answer of the route of the same name
}

/** Asks libvirt itself, all hosts at the same time. */
async function askHosts(
  uris: readonly string[],
  { host, state, titles, metadata }: GuestsOptions,
  signal: AbortSignal,
): Promise<HostReport[]> {
  const states = state?.map(stateNumber)
  const asked = await Promise.all(
    uris.map(async (uri): Promise<HostReport[]> => {
      try {
        const one = new Host(uri)
        await using connection = await connect({ uri, readOnly: true, reconnect: false, signal })
        one.inventory.fill(await listGuests(connection))
        const source = new LibvirtGuestSource(connection)
        one.attach({ uri, hostname: await connection.getHostname(), source })
        const only = new Hosts()
        only.add(one)
        return (await only.look({ host, states, titles, metadata })).map(hostReport)
      } catch (error) {
        signal.throwIfAborted()
        return [{ host: uri, hostname: null, connected: false, error: messageOf(error), guests: [] }]
      }
    }),
  )
  return asked.flat()
}

function guestTable(found: readonly GuestReport[], isMany: boolean): string {
  const hasTitles = found.some(({ title }) => title !== undefined)
  const head = ['Id', 'Name', 'State', 'vCPUs', 'Memory', 'CPU time', 'Autostart']
  const rows = found.map((guest) => [
    ...(isMany ? [guest.host] : []),
    ...cells(guest),
    ...(hasTitles ? [guest.title ?? ''] : []),
  ])
  return table([[...(isMany ? ['Host'] : []), ...head, ...(hasTitles ? ['Title'] : [])], ...rows])
}

/** `-` for what the host has not told. */
function cells(guest: GuestReport): string[] {
  const { id, name, vcpus, memoryKiB, cpuTimeNs, autostart } = guest
  const isAutostarted = autostart === undefined ? undefined : autostart ? 'yes' : 'no'
  const memory = memoryKiB === undefined ? undefined : `${memoryKiB} KiB`
  return [id, name, stateOf(guest), vcpus, memory, seconds(cpuTimeNs), isAutostarted].map((cell) =>
    String(cell ?? '-'),
  )
}

function stateOf({ state, reason }: GuestReport): string {
  const text = stateText(stateNumber(state))
  return reason === undefined || reason === 'unknown' ? text : `${text} (${reason})`
}

/** As virsh dominfo has it: tenths of a second. */
function seconds(ns: number | bigint | undefined): string | undefined {
  return ns === undefined ? undefined : `${(Number(ns) / 1e9).toFixed(1)}s`
}
