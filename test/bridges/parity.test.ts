import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { LibvirtToBus } from '../../src/bridges/index.ts'
import { Bus, type PayloadCodec } from '../../src/bus/index.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { connect, remote } from '../../src/libvirt/index.ts'
import { defineUntil, LIBVIRTD, startLibvirtd, stop, type TestDaemon, VIRSH } from '../support/libvirtd.ts'
import { needs, SALT_RELEASES, saltPython } from '../support/peers.ts'

const run = promisify(execFile)
const PYTHON = saltPython(SALT_RELEASES.prefixed)
const live = needs(LIBVIRTD, VIRSH, PYTHON)
const noCodec: PayloadCodec = {
  encode: () => assert.fail('nothing is encoded here'),
  decode: () => assert.fail('nothing is decoded here'),
}

interface Seen {
  tag: string
  data: Readonly<Record<string, unknown>>
}

let daemon: TestDaemon
before(async () => {
  if (!live.skip) daemon = await startLibvirtd()
})
after(() => daemon?.[Symbol.asyncDispose]())

/** Starts the real engine and waits until libvirtd has it as a client with registered events. */
async function startEngine(filters: string): Promise<{ child: ChildProcess; events: Seen[] }> {
  const child = spawn(PYTHON, [join(import.meta.dirname, '../support/salt_engine.py'), daemon.uri, filters], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const events: Seen[] = []
  createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line)))
  await new Promise<void>((resolve, reject) => {
    let log = ''
    child.stderr.on('data', (chunk) => {
      log += chunk
      if (log.includes('Opened libvirt uri')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the engine ended with ${code}: ${log}`)))
  })
  return { child, events }
}

const DOMAIN_XML = (name: string): string =>
  `<domain type='test'><name>${name}</name><memory>8192</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`
const NETWORK_XML =
  "<network><name>lv-net</name><bridge name='virbr9'/><ip address='192.168.44.1' netmask='255.255.255.0'/></network>"
const POOL_XML = "<pool type='dir'><name>lv-pool</name><target><path>/tmp/lv-pool</path></target></pool>"

/** Happenings on the test driver that give events of every object that it has. */
async function drive(): Promise<void> {
  const virsh = (...args: string[]): Promise<unknown> => run(VIRSH, ['-c', daemon.uri, ...args])
  const withXml = async (command: string, xml: string): Promise<void> => {
    const path = join(daemon.dir, 'object.xml')
    await run('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', xml, path])
    await virsh(command, path)
  }
  await virsh('suspend', 'test')
  await virsh('resume', 'test')
  await withXml('define', DOMAIN_XML('zoë'))
  for (const command of ['start', 'destroy', 'undefine']) await virsh(command, 'zoë')
  await virsh('desc', 'test', '--title', 'A title', '--config', '--live')
  await virsh('save', 'test', join(daemon.dir, 'saved'))
  await virsh('restore', join(daemon.dir, 'saved'))
  await withXml('net-define', NETWORK_XML)
  for (const command of ['net-start', 'net-destroy', 'net-undefine']) await virsh(command, 'lv-net')
  await withXml('pool-define', POOL_XML)
  for (const command of [
    'pool-build',
    'pool-start',
    'pool-refresh',
    'pool-destroy',
    'pool-delete',
    'pool-undefine',
  ])
    await virsh(command, 'lv-pool')
  await virsh('shutdown', 'test')
  await virsh('start', 'test')
}

/** The one word that the real engine gets wrong on purpose of nobody: see docs/engine.md. */
function corrected(event: Seen): Seen {
  if (event.tag.endsWith('/network/lifecycle') && event.data['event'] === 'id lifecycle')
    return { ...event, data: { ...event.data, event: 'defined' } }
  return event
}

test('tags and data equal those of the real Salt engine, event by event, in order', live, async () => {
  // The test driver forgets everything when its last connection closes.
  await using holder = await connect({ uri: daemon.uri })
  const filters = ['domain', 'network', 'pool', 'nodedev']
  const engine = await startEngine(filters.join(','))
  try {
    await using bus = new Bus()
    const published = bus.subscribe('*')
    await using ours = new LibvirtToBus({
      bus,
      codec: noCodec,
      stamp: () => 'now',
      log: silentLogger,
      uri: daemon.uri,
      filters,
    })
    ours.start()
    await ours.ready
    // Both have opened; a call that all registrations precede proves that the engine's have been made, too.
    await holder.call(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, undefined)
    await defineUntil(daemon, 'marker', () => engine.events.length > 0)
    await drive()
    const mine: Seen[] = []
    for await (const { tag, data } of published) {
      if ((data['domain'] as { name?: string } | undefined)?.name === 'marker') continue // a map or absent
      // Ours alone: the real engine does not know whether it is connected.
      if (tag.includes('/connection/')) continue
      const { _stamp, ...fields } = data
      assert.equal(_stamp, 'now')
      mine.push({ tag, data: fields })
      if (
        tag.endsWith('/domain/lifecycle') &&
        fields['event'] === 'started' &&
        mine.some((e) => e.data['event'] === 'undefined' && e.data['pool'])
      )
        break
    }
    await until(() => withoutMarker(engine.events).length >= mine.length, 'the engine printed as many events')
    assert.deepEqual(mine, withoutMarker(engine.events).map(corrected))
    const kinds = new Set(mine.map(({ tag }) => tag.split('/').slice(-2).join('/')))
    for (const kind of [
      'domain/lifecycle',
      'domain/metadata_change',
      'network/lifecycle',
      'pool/lifecycle',
      'pool/refresh',
    ])
      assert.ok(kinds.has(kind), `${kind} was not provoked`)
    assert.ok(mine.length >= 20, `${mine.length} events`)
  } finally {
    await stop(engine.child)
  }
})

function withoutMarker(events: readonly Seen[]): Seen[] {
  return events.filter(({ data }) => (data['domain'] as { name?: string } | undefined)?.name !== 'marker') // a map or absent
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`timed out: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
