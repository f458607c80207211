import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Simulator } from '../../src/simulator/index.ts'
import { tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS } from '../support/processes.ts'

/** A host whose events are told apart by its name. */
function host(dir: string, name: string): Promise<Simulator> {
  return Simulator.listen({ path: join(dir, name), hostname: name, domains: 1 })
}

function suspend(simulator: Simulator): void {
  const { domains } = simulator.hypervisor
  const [guest] = domains.list()
  assert.ok(guest)
  if (guest.state === 3) domains.resume(guest)
  else domains.suspend(guest)
}

test('SIGHUP changes what the configuration changes and leaves other connections alone', async () => {
  using dir = tempDir()
  await using stays = await host(dir.path, 'stays')
  await using goes = await host(dir.path, 'goes')
  await using comes = await host(dir.path, 'comes')
  const config = join(dir.path, 'virbus.yml')
  const write = (more: string, ...engines: string[]): void =>
    writeFileSync(
      config,
      `sock_dir: ${dir.path}/b\nlog_level: info\n${more}engines:\n${engines.map((e) => `  - libvirt_events: {${e}}\n`).join('')}`,
    )
  write('', `uri: "${stays.uri}", filters: [domain]`, `uri: "${goes.uri}"`)
  await using up = new LineProcess(VIRBUS, ['up', '--config', config])
  await up.lines(/libvirt events registered/, 2, 'stderr')
  await using watch = new LineProcess(VIRBUS, ['watch', '--json', '--sock-dir', join(dir.path, 'b')])
  await watch.lines(/watching/, 1, 'stderr')
  const hosts = [stays, goes, comes]
  assert.deepEqual(
    hosts.map(({ stats }) => stats.clientsAccepted),
    [1, 1, 0],
  )

  // The same settings in another order are the same.
  write('', `uri: "${comes.uri}"`, `filters: [domain], uri: "${stays.uri}"`)
  up.child.kill('SIGHUP')
  await up.lines(/"kept":1,"started":1,"stopped":1.*configuration read again/, 1, 'stderr')
  await up.lines(/libvirt events registered/, 3, 'stderr')
  for (const one of hosts) suspend(one)
  await watch.lines(/stays.*suspended/)
  await watch.lines(/comes.*suspended/)
  assert.deepEqual(
    hosts.map(({ stats }) => stats.clientsAccepted),
    [1, 1, 1],
  )
  assert.ok(!watch.stdout.some((line) => line.includes('goes') && line.includes('suspended')))

  writeFileSync(config, 'engines: [{libvirt_events: {filters: [nothing]}}]\n')
  up.child.kill('SIGHUP')
  await up.lines(/ERR_BRIDGE_FILTER.*the old one stays/, 1, 'stderr')
  writeFileSync(config, 'engines: nonsense\n')
  up.child.kill('SIGHUP')
  await up.lines(/ERR_CONFIG_INVALID.*the old one stays/, 1, 'stderr')
  suspend(stays)
  await watch.lines(/stays.*resumed/)

  // Other settings of a host: a new connection that knows what the old one has told.
  goes.hypervisor.emit({
    object: 'secret',
    kind: 'value_changed',
    secret: { uuid: 'x', usageType: 0, usageID: '' },
  })
  write('wire: classic\n', `uri: "${stays.uri}"`)
  up.child.kill('SIGHUP')
  await up.lines(/"keys":\["wire"\].*take effect at the next start/, 1, 'stderr')
  const [resync] = await watch.lines(/stays\/connection\/resync|connection\/resync.*stays/)
  assert.match(resync ?? '', /"events": 0/)
  assert.equal(await up.end('SIGTERM'), 0)
})
