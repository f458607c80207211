import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { NODE_22, needs, PACKAGE_TOOLS, tempDir } from './support/peers.ts'
import { LineProcess } from './support/processes.ts'

const ROOT = join(import.meta.dirname, '..')
const live = needs(NODE_22, join(PACKAGE_TOOLS, 'attw'), join(PACKAGE_TOOLS, 'publint'))
const LIMIT_MS = 180_000
const NODES = { 22: NODE_22, 24: process.execPath }

let dir: { path: string } & Disposable
let tarball: string

function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<{ stdout: string; stderr: string }> {
  const options = { cwd, timeout: LIMIT_MS, maxBuffer: 16 * 1024 * 1024, env: { ...process.env, ...env } }
  return promisify(execFile)(command, args, options)
}

/** The package, installed into an empty project. */
const project = (): string => join(dir.path, 'project')

before(async () => {
  if (live.skip) return
  dir = tempDir()
  // A copy, since packing writes the manifest and dist/ in place.
  const copy = join(dir.path, 'copy')
  for (const name of [
    'src',
    'bin',
    'scripts',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'node_modules',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true, verbatimSymlinks: true })
  const manifest = readFileSync(join(copy, 'package.json'), 'utf8')
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', dir.path], copy)
  assert.equal(readFileSync(join(copy, 'package.json'), 'utf8'), manifest)
  assert.equal(existsSync(join(copy, 'package.json.kept')), false)
  tarball = join(dir.path, stdout.trim().split('\n').at(-1) ?? '')
  mkdirSync(project())
  writeFileSync(join(project(), 'package.json'), '{ "type": "module", "private": true }')
  await run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', tarball], project())
})
after(() => dir?.[Symbol.dispose]())

test('the package has what users need and nothing of the project', live, async () => {
  const { stdout } = await run('tar', ['-tzf', tarball], dir.path)
  const strange = stdout
    .trim()
    .split('\n')
    .filter(
      (path) =>
        !/^package\/(dist\/.*\.(js|d\.ts)|bin\/virbus|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(
          path,
        ),
    )
  assert.deepEqual(strange, [])
  const installed = join(project(), 'node_modules/virbus')
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  for (const key of ['devDependencies', 'scripts']) assert.equal(manifest[key], undefined, key)
  assert.deepEqual(Object.keys(manifest.optionalDependencies), ['koffi'])
  assert.deepEqual(
    readdirNames(project()).filter((name) => name.startsWith('node-')),
    [],
  )
})

function readdirNames(folder: string): string[] {
  return Object.keys(JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages)
    .filter((path) => path !== '')
    .map((path) => path.replace('node_modules/', ''))
}

const PROGRAM = `
import { connect, enums, nameOf } from 'virbus/libvirt'
import { Simulator } from 'virbus/simulator'
for (const door of ['virbus', 'virbus/salt', 'virbus/bus']) await import(door)
const path = process.argv[2]
const simulator = await Simulator.listen({ path })
const connection = await connect({ uri: 'test+unix:///default?socket=' + path })
const events = connection.events({ domain: ['lifecycle'] })
await events.ready
const [guest] = await connection.listAllDomains({ flags: enums.virConnectListAllDomainsFlags.VIR_CONNECT_LIST_DOMAINS_RUNNING })
await guest.suspend()
const { value } = await events.next()
console.log(nameOf(enums.virDomainEventType, value.event))
await connection.close()
await simulator[Symbol.asyncDispose]()
`

for (const [version, node] of Object.entries(NODES))
  test(`in an empty project on Node ${version} every door opens and an event arrives`, live, async () => {
    const file = join(project(), 'program.js')
    writeFileSync(file, PROGRAM)
    const { stdout, stderr } = await run(node, [file, join(dir.path, `s${version}`)], project())
    assert.deepEqual([stdout, stderr], ['VIR_DOMAIN_EVENT_SUSPENDED\n', ''])
    assert.match((await run(node, ['--version'], project())).stdout, new RegExp(`^v${version}\\.`))
  })

const JOURNAL = `
import { Journal } from 'virbus/bus'
const log = { debug() {}, info() {}, warn() {}, error: console.error }
const journal = await Journal.open({ path: process.argv[2], ageMaxMs: 60_000, bytesMax: 1e6, log })
journal.append('a/tag', Buffer.from('payload'))
for await (const { sequence, tag, payload } of journal.history()) console.log(sequence, tag, String(payload))
await journal[Symbol.asyncDispose]()
`

for (const [version, node] of Object.entries(NODES))
  test(`the journal's threads run from the package on Node ${version}`, live, async () => {
    const file = join(project(), 'journal.js')
    writeFileSync(file, JOURNAL)
    const args = ['--disable-warning=ExperimentalWarning', file, join(dir.path, `j${version}`)]
    const { stdout, stderr } = await run(node, args, project())
    assert.deepEqual([stdout, stderr], ['1 a/tag payload\n', ''])
  })

test('the installed command runs', live, async () => {
  const command = join(project(), 'node_modules/.bin/virbus')
  const env = { PATH: `${join(NODE_22, '..')}:${process.env['PATH']}` }
  assert.match((await run(command, ['--version'], project(), env)).stdout, /^\d+\.\d+\.\d+\n$/)
  const args = ['demo', '--sock-dir', join(dir.path, 'sock'), '--rate', '20']
  await using demo = new LineProcess(command, args, env)
  await demo.lines(/libvirt_events/, 3)
  assert.equal(await demo.end('SIGTERM'), 0)
})

const CONSUMER = `import { connect, LibvirtError, type TypedParams } from 'virbus/libvirt'

export async function states(uri: string): Promise<Map<string, number>> {
  await using connection = await connect({ uri, readOnly: true, credentials: () => ({ username: 'a', password: 'b' }) })
  const domains = await connection.listAllDomains()
  const found = new Map<string, number>()
  for (const domain of domains) found.set(domain.name, (await domain.state()).state)
  const stats: TypedParams[] = (await connection.getAllDomainStats()).map(({ params }) => params)
  found.set('', stats.length)
  return found
}

export async function firstDetail(uri: string): Promise<number | undefined> {
  await using connection = await connect({ uri })
  try {
    for await (const event of connection.events({ domain: ['lifecycle'] }, { limit: 10 })) {
      if (event.object === 'connection') continue
      return event.detail
    }
  } catch (error) {
    if (error instanceof LibvirtError && error.code === 'ERR_LIBVIRT_CLOSED') return error.remoteCode
    throw error
  }
  return undefined
}
`

test(
  'programs in strict TypeScript compile against the types, however they resolve modules',
  live,
  async () => {
    writeFileSync(join(project(), 'consumer.ts'), CONSUMER)
    mkdirSync(join(project(), 'node_modules/@types'), { recursive: true })
    for (const name of ['@types/node', 'undici-types'])
      cpSync(join(ROOT, 'node_modules', name), join(project(), 'node_modules', name), { recursive: true })
    const strict = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--noUncheckedIndexedAccess',
      '--target',
      'es2022',
    ]
    for (const resolution of [
      ['--module', 'nodenext'],
      ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ])
      await run(
        join(PACKAGE_TOOLS, 'tsc'),
        [...strict, '--lib', 'es2022,esnext.disposable', '--types', 'node', ...resolution, 'consumer.ts'],
        project(),
      )
  },
)

test('publint and attw find nothing', live, async () => {
  const { stdout } = await run(join(PACKAGE_TOOLS, 'publint'), [tarball, '--strict'], dir.path)
  assert.match(stdout, /All good/)
  await run(join(PACKAGE_TOOLS, 'attw'), [tarball, '--profile', 'esm-only'], dir.path)
})
