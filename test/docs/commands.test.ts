import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/index.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { tempDir } from '../support/peers.ts'
import { LineProcess } from '../support/processes.ts'

const ROOT = join(import.meta.dirname, '../..')
const DOCS = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.startsWith('api'))
    .map((name) => join('docs', name)),
]

function read(name: string): string {
  return readFileSync(join(ROOT, name), 'utf8')
}

/** The texts of the fenced blocks of one language. */
function blocks(name: string, language: string): string[] {
  const fences = read(name).split(/^```/m)
  return fences.flatMap((text, index) =>
    index % 2 === 1 && text.startsWith(`${language}\n`) ? [text.slice(language.length + 1)] : [],
  )
}

const commands = blocks('README.md', 'sh').flatMap((block) => block.split('\n').filter((line) => line !== ''))

test('the README has the two commands, which .ci/run runs, and no command that is not run here', () => {
  assert.deepEqual(commands, [
    'npm ci && npm start',
    'npm ci && npm run test:live',
    'npx virbus up --uri qemu:///system',
    "npx virbus watch 'salt/engines/libvirt_events/*/domain/lifecycle'",
    'npx virbus guests --state running',
    'npx virbus fire my/tag \'{"key": "value"}\'',
  ])
  assert.match(read('.ci/run'), /npm ci && npm run test:live/)
})

test('npm start prints events, and Ctrl-C ends it with 0 and no socket left', async () => {
  using dir = tempDir()
  await using start = new LineProcess(
    'npm',
    ['start', '--', '--rate', '50'],
    { VIRBUS_SOCK_DIR: dir.path },
    { group: true },
  )
  const expected = blocks('README.md', '').find((block) => block.startsWith('virbus: events of')) ?? ''
  const [first = ''] = await start.lines(/^virbus: /)
  assert.equal(first, expected.trim().replaceAll('/run/virbus', dir.path))
  await start.lines(/^salt\/engines\/libvirt_events\//)
  assert.equal(await start.end('SIGINT'), 0)
  assert.deepEqual(readdirSync(dir.path), [])
})

test('up, watch and fire of the README run as written, on the simulator in the place of qemu', async () => {
  using dir = tempDir()
  await using simulator = await Simulator.listen({ path: join(dir.path, 'libvirt') })
  const env = { VIRBUS_SOCK_DIR: dir.path }
  const shell = (command: string): LineProcess =>
    new LineProcess('sh', ['-c', `exec ${command.replace('qemu:///system', `'${simulator.uri}'`)}`], env, {
      group: true,
    })
  const [, , up = '', watch = '', guests = '', fire = ''] = commands
  await using running = shell(up)
  await running.lines(/libvirt events registered/, 1, 'stderr')
  await using watching = shell(watch)
  await watching.lines(/watching/, 1, 'stderr')
  await using listing = shell(guests)
  await listing.lines(/^\d+ +web-1 +running/)
  assert.equal(await listing.exit(), 0, listing.stderr.join('\n'))
  await using firing = shell(fire)
  assert.equal(await firing.exit(), 0, firing.stderr.join('\n'))
  const [guest] = simulator.hypervisor.domains.list().filter((domain) => domain.id > 0)
  assert.ok(guest)
  simulator.hypervisor.domains.suspend(guest)
  await watching.lines(/domain\/lifecycle\t.*"event": "suspended"/)
})

test('the configurations of docs/cli.md and docs/engine.md are valid', () => {
  const [picked = ''] = blocks('docs/engine.md', 'yaml')
  assert.deepEqual(parseConfig(picked, 'docs/engine.md').engines?.[0]?.libvirt_events.guests?.metadata, [
    { uri: 'http://example.org/watched' },
    { uri: 'http://example.org/owner', text: 'ops*' },
  ])
  const [yaml = ''] = blocks('docs/cli.md', 'yaml')
  assert.equal(parseConfig(yaml, 'docs/cli.md').engines?.length, 2)
})

/** Runs TypeScript as a program that has virbus among its packages. */
function program(dir: string, text: string): LineProcess {
  mkdirSync(join(dir, 'node_modules'), { recursive: true })
  if (!existsSync(join(dir, 'node_modules/virbus'))) symlinkSync(ROOT, join(dir, 'node_modules/virbus'))
  const file = join(dir, `${text.length}.mts`)
  writeFileSync(file, text)
  return new LineProcess(process.execPath, [
    '--conditions=virbus-source',
    '--disable-warning=ExperimentalWarning',
    file,
  ])
}

test('the program of docs/libvirt.md lists guests and prints events', async () => {
  using dir = tempDir()
  await using simulator = await Simulator.listen({ path: join(dir.path, 'libvirt') })
  const [text = ''] = blocks('docs/libvirt.md', 'ts')
  await using running = program(dir.path, text.replace('qemu:///system', simulator.uri))
  await running.lines(/^web-1 \{/)
  const [guest] = simulator.hypervisor.domains.list().filter((domain) => domain.id > 0)
  assert.ok(guest)
  while (!running.stdout.some((line) => line.includes("kind: 'lifecycle'"))) {
    simulator.hypervisor.domains.suspend(guest)
    simulator.hypervisor.domains.resume(guest)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
})

test('the programs of docs/simulator.md run', async () => {
  using dir = tempDir()
  const [activity = '', network = '', fault = ''] = blocks('docs/simulator.md', 'ts')
  const path = join(dir.path, 'simulator.sock')
  const at = (text: string): string => text.replaceAll('/tmp/simulator.sock', path)
  await using first = program(
    dir.path,
    at(`${activity}console.log(simulator.hypervisor.domains.list().length, activity.rate)\nprocess.exit()\n`),
  )
  await first.lines(/^8 10$/)
  const tcpOnly = network.replace('  tls: { key, cert, ca },\n', '')
  await using second = program(
    dir.path,
    `import { Simulator } from 'virbus/simulator'\n${at(tcpOnly)}process.exit()\n`,
  )
  await second.lines(/^\d+ undefined$/)
  const preamble =
    "import assert from 'node:assert/strict'\nimport { connect } from 'virbus/libvirt'\nimport { Simulator } from 'virbus/simulator'\n" +
    `const simulator = await Simulator.listen({ path: '${path}' })\n` +
    "const connection = await connect({ uri: simulator.uri })\nconst guest = await connection.lookupByName('web-1')\n"
  await using third = program(dir.path, `${preamble}${fault}process.exit()\n`)
  await third.lines(/^1$/)
})

test('links between the documents lead somewhere', () => {
  for (const name of DOCS)
    for (const [, target = ''] of read(name).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      assert.ok(existsSync(join(ROOT, dirname(name), target)), `${name}: ${target}`)
})

test('every runtime dependency has its line in docs/dependencies.md', () => {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(read('package.json'))
  const page = read('docs/dependencies.md')
  for (const [name, version] of Object.entries(manifest.dependencies))
    assert.ok(page.includes(`| ${name} ${version} |`), name)
})
