import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Activity, Simulator } from '../../src/simulator/index.ts'
import { VIRSH } from '../support/libvirtd.ts'
import { needs, tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS } from '../support/processes.ts'

const run = promisify(execFile)
const STEPS = 300
/** Domain events that virsh 9.0 and every later one registers. */
const KINDS_OF_VIRSH = 27

/** virsh's names of the kinds; it prints no older form beside the newer one unless the daemon sends it. */
const KIND: Readonly<Record<string, string>> = {
  'io-error-reason': 'io_error',
  'block-job-2': 'block_job',
  'pm-suspend': 'pmsuspend',
  'pm-suspend-disk': 'pmsuspend_disk',
  'pm-wakeup': 'pmwakeup',
}

/** `event 'agent-lifecycle' for domain 'web-1': …` as `agent_lifecycle web-1`. */
function byVirsh(line: string): string | undefined {
  const [, kind = '', domain] = /^event '([^']+)' for domain '([^']+)'/.exec(line) ?? []
  if (!domain || kind === 'block-job' || kind === 'io-error') return undefined
  return `${KIND[kind] ?? kind.replaceAll('-', '_')} ${domain}`
}

function byVirbus(line: string): string {
  const { tag, data }: { tag: string; data: { domain: { name: string } } } = JSON.parse(line)
  return `${tag.split('/').at(-1)} ${data.domain.name}`
}

test(
  'real virsh event and virbus watch show the same events of the simulator, in the same order',
  needs(VIRSH),
  async () => {
    using dir = tempDir()
    await using simulator = await Simulator.listen({
      path: join(dir.path, 'libvirt-sock'),
      libVersion: '9.0.0',
    })
    await using activity = new Activity(simulator.hypervisor, { seed: 3, eventsPerSecond: 0 })
    await using up = new LineProcess(VIRBUS, ['up', '--uri', simulator.uri, '--sock-dir', dir.path])
    await up.lines(/libvirt events registered/, 1, 'stderr')
    await using watch = new LineProcess(VIRBUS, ['watch', '*/domain/*', '--json', '--sock-dir', dir.path])
    await watch.lines(/watching/, 1, 'stderr')
    await using virsh = new LineProcess('stdbuf', [
      '-oL',
      VIRSH,
      '-c',
      simulator.uri,
      'event',
      '--all',
      '--loop',
    ])
    const registered = simulator.stats.registrations
    const deadline = performance.now() + 20_000
    while (simulator.stats.registrations < registered + KINDS_OF_VIRSH) {
      if (performance.now() > deadline) assert.fail(`virsh has not registered its events: ${virsh.stderr}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (let step = 0; step < STEPS; step++) activity.step()
    const xml = join(dir.path, 'end.xml')
    writeFileSync(
      xml,
      "<domain type='test'><name>the-end</name><memory>8192</memory><os><type>hvm</type></os></domain>",
    )
    await run(VIRSH, ['-c', simulator.uri, 'define', xml])
    await Promise.all([virsh.lines(/'the-end'/), watch.lines(/"the-end"/)])
    const theirs = virsh.stdout.map(byVirsh).filter((line) => line !== undefined)
    assert.deepEqual(watch.stdout.map(byVirbus), theirs)
    assert.ok(theirs.length > STEPS / 2, `${theirs.length} events`)
  },
)
