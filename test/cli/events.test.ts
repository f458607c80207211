import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { tempDir } from '../support/peers.ts'
import { LineProcess, VIRBUS, virbus } from '../support/processes.ts'

const dir = tempDir()
let up: LineProcess

function start(): LineProcess {
  // A host that is not there: what is on the bus is what the tests fire.
  const uri = `test+unix:///default?socket=${dir.path}/none`
  const args = ['up', '--uri', uri, '--sock-dir', dir.path, '--state-dir', join(dir.path, 'state')]
  return new LineProcess(VIRBUS, args)
}

const here = ['--sock-dir', dir.path]

async function fire(tag: string, data: object): Promise<void> {
  const { code, stderr } = await virbus('fire', tag, JSON.stringify(data), ...here, '--wire', 'split')
  assert.equal(code, 0, stderr)
}

/** The lines of a command that ends with 0. */
async function lines(...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await virbus(...args, ...here)
  assert.equal(code, 0, stderr)
  return stdout.split('\n').filter((line) => line !== '')
}

before(async () => {
  up = start()
  await up.lines(/"ready"/, 1, 'stderr')
  for (let n = 0; n < 6; n++)
    await fire(n % 2 ? 'odd/tag' : 'even/tag', {
      n,
      domain: { name: n < 3 ? 'web1' : 'db\t1' },
      event: 'started',
    })
  await up.end('SIGTERM')
  up = start()
  await up.lines(/"ready"/, 1, 'stderr')
})
after(async () => {
  await up?.end('SIGTERM')
  await up?.[Symbol.asyncDispose]()
  dir[Symbol.dispose]()
})

test('events of a run before are found by tag, number, time and condition', async () => {
  assert.equal((await lines('events')).length, 6)
  assert.match((await lines('events', '--last', '1'))[0] ?? '', /^odd\/tag\t\{"n": 5, /)
  assert.equal((await lines('events', 'odd/*')).length, 3)
  assert.equal((await lines('events', 'odd/.*', 'nothing/*')).length, 3)
  assert.equal((await lines('events', '(odd|even)/tag')).length, 6)
  assert.equal((await lines('events', 'even/tag*', '--last', '2')).length, 2)
  assert.equal((await lines('events', '--where', 'data.domain.name == "web*" and data.n > 0')).length, 2)
  assert.equal((await lines('events', '--since', '1h')).length, 6)
  assert.equal((await lines('events', '--until', '1h')).length, 0)
  assert.equal((await lines('events', '--count', '4', '--quiet')).length, 0)
})

test('events are printed as text, pretty, JSON, columns and by template', async () => {
  const one = ['events', '--last', '1', '--utc']
  const stamp = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
  assert.match((await lines(...one)).join('\n'), new RegExp(`^${stamp} odd/tag\t\\{"n": 5`))
  const [json = ''] = await lines(...one, '--json')
  const { tag, data, sequence, time } = JSON.parse(json)
  assert.deepEqual([tag, data.n, Number.isSafeInteger(sequence)], ['odd/tag', 5, true])
  assert.match(time, new RegExp(`^${stamp}$`))
  assert.ok((await lines(...one, '--pretty')).length > 5)
  assert.match(
    (await lines(...one, '--format', 'tsv'))[0] ?? '',
    new RegExp(`^${stamp}\t${sequence}\todd/tag\tstarted$`),
  )
  const fields = ['--format', 'tsv', '--fields', 'data.domain.name,data.missing,data.domain,tag']
  assert.deepEqual(await lines(...one, ...fields), ['db 1\t\t{"name": "db\\t1"}\todd/tag'])
  assert.deepEqual(await lines(...one, '--template', '{data.n}: {tag}!'), ['5: odd/tag!'])
})

test('watch shows the past first and goes on without a gap', async () => {
  await using watch = new LineProcess(VIRBUS, [
    'watch',
    'even/*',
    '--last',
    '1',
    '--template',
    '{data.n}',
    ...here,
  ])
  await watch.lines(/^4$/)
  await fire('even/tag', { n: 6 })
  await watch.lines(/^6$/)
  assert.deepEqual(watch.stdout, ['4', '6'])
  assert.equal(await watch.end('SIGINT'), 0)
})

test('watch ends with 3 when its time is over before its count, else with 0', async () => {
  const late = await virbus('watch', 'never/*', '--count', '1', '--timeout', '1s', '--quiet', ...here)
  assert.deepEqual([late.code, late.stdout], [3, ''])
  assert.equal((await virbus('watch', 'never/*', '--timeout', '1s', ...here)).code, 0)
})

test('tags are listed, and completed by the shell', async () => {
  assert.deepEqual(await lines('tags'), ['even/tag', 'odd/tag'])
  assert.deepEqual(await lines('tags', 'o'), ['odd/tag'])
  const script = (await virbus('completion', 'bash')).stdout
  const complete = `${script}\nCOMP_WORDS=(virbus watch ev); COMP_CWORD=2; _virbus; echo "\${COMPREPLY[@]}"; COMP_WORDS=(virbus watch --whe); _virbus; echo "\${COMPREPLY[@]}"`
  const env = { VIRBUS_SOCK_DIR: dir.path, PATH: `${dirname(VIRBUS)}:${process.env['PATH']}` }
  await using bash = new LineProcess('bash', ['-c', complete], env)
  assert.equal(await bash.exit(), 0)
  assert.deepEqual(bash.stdout, ['even/tag', '--where'])
  // A tag is what its sender made it; the shell must not take it for more.
  const file = join(dir.path, 'executed')
  await fire(`x/$(touch ${file})\`touch ${file}\``, {})
  const hostile = `${script}\nCOMP_WORDS=(virbus watch x/); COMP_CWORD=2; _virbus; echo "\${COMPREPLY[@]}"`
  await using victim = new LineProcess('bash', ['-c', hostile], env)
  assert.equal(await victim.exit(), 0)
  assert.match(victim.stdout.join(), /^x\/\$\(touch/)
  assert.equal(existsSync(file), false)
})

test('top shows rates, hosts and subscribers', async () => {
  await using top = new LineProcess(VIRBUS, ['top', '--count', '2', '--interval', '1s', ...here])
  await top.lines(/^Rate +Tag/)
  await fire('my/tag', {})
  await top.lines(/^1\.0\/s +my\/tag$/)
  assert.equal(await top.exit(), 0)
  assert.ok(
    top.stdout.some((line) => /^Events +Fired by clients +Subscribers +Cut +Lost +Journal$/.test(line)),
  )
  assert.ok(
    top.stdout.some((line) => /^waiting +0\/s +0 +/.test(line)),
    top.stdout.join('\n'),
  )
})

test('wrong conditions, times and formats end with 2', async () => {
  for (const args of [
    ['--where', 'data.a = 1'],
    ['--since', 'yesterday'],
    ['--format', 'xml'],
    ['--timeout', '5'],
  ]) {
    const { code, stderr } = await virbus('events', ...args, ...here)
    assert.equal(code, 2, stderr)
  }
})
