/** The client beside libvirt-python and go-libvirt: decoding, lists, calls, many domains, many connections. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { startLibvirtd, type TestDaemon } from '../test/support/libvirtd.ts'
import { tempDir } from '../test/support/peers.ts'
import { perSecond, printRows, type Row } from './report.ts'

const run = promisify(execFile)
const PYTHON = '/usr/bin/python3'
const LIMIT_MS = 120_000
const ROUNDS = 3
const EVENTS = 1_000_000
const DOMAINS = 1000
const CALLS = 1000
/** How often the lists are asked for, as somebody who watches does. */
const POLLS = 30
const peers = join(import.meta.dirname, 'peers')

interface Result {
  readonly ms: number
  readonly cpuMs: number
  readonly done: number
  readonly rssMb: number
}

type Contestant = (mode: string, count: number) => Promise<Result>

async function outputOf(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const { stdout } = await run(command, args, { timeout: LIMIT_MS, env: { ...process.env, ...env } })
  return JSON.parse(stdout)
}

/** With a compile cache, as a program that was started before; without it, turning TypeScript into JavaScript is measured. */
const CACHED = { NODE_COMPILE_CACHE: join(tmpdir(), `virbus-bench-${process.pid}`) }

function ours(uri: string): Contestant {
  return (mode, count) =>
    outputOf(process.execPath, [join(peers, 'libvirt-client.ts'), mode, uri, String(count)], CACHED)
}

function python(uri: string): Contestant {
  return (mode, count) => outputOf(PYTHON, [join(peers, 'libvirt_client.py'), mode, uri, String(count)])
}

/** go-libvirt on one core, as the others are. */
function go(program: string, daemon: TestDaemon, name: string): Contestant {
  return (mode, count) =>
    outputOf(program, [mode, daemon.socketPath, name, String(count)], { GOMAXPROCS: '1' })
}

async function buildGo(dir: string): Promise<string> {
  const program = join(dir, 'go-libvirt-bench')
  await run('go', ['build', '-o', program, '.'], { cwd: join(peers, 'go'), timeout: LIMIT_MS })
  return program
}

/** All in turns, several times; each one's median. */
async function race(contestants: Record<string, () => Promise<Result>>): Promise<Record<string, Result>> {
  const all: Record<string, Result[]> = {}
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, start] of Object.entries(contestants)) {
      all[name] ??= []
      all[name].push(await start())
    }
  const medians = Object.entries(all).map(([name, results]) => {
    results.sort((a, b) => a.ms - b.ms)
    return [name, results[ROUNDS >> 1] as Result] as const // ROUNDS of them
  })
  return Object.fromEntries(medians)
}

function rate({ done, ms }: Result): number {
  return (done / ms) * 1000
}

function row(what: string, goal: number, mine: Result, other: [name: string, Result]): Row {
  const [name, theirs] = other
  return {
    what,
    ours: perSecond(mine.done, mine.ms),
    peer: `${perSecond(theirs.done, theirs.ms)} (${name})`,
    ratio: rate(mine) / rate(theirs),
    goal,
  }
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('no result')
  return value
}

/** The test driver's description of a host with many guests (https://libvirt.org/drvtest.html). */
function manyDomains(count: number): string {
  const domain = (n: number): string =>
    `<domain type='test'><name>guest${n}</name><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`
  return `<node>${Array.from({ length: count }, (_, n) => domain(n)).join('')}</node>`
}

async function benchDecoding(program: string, daemon: TestDaemon): Promise<Row[]> {
  const results = await race({
    ours: () => ours(daemon.uri)('decode', EVENTS),
    go: () => go(program, daemon, 'test:///default')('decode', EVENTS),
  })
  const [mine, theirs] = [need(results['ours']), need(results['go'])]
  return [
    row('lifecycle events decoded, from bytes to the consumer', 1, mine, ['go-libvirt', theirs]),
    {
      what: 'the same, beside the goal of 500,000/s',
      ours: perSecond(mine.done, mine.ms),
      peer: '500,000/s',
      ratio: rate(mine) / 500_000,
      goal: 1,
    },
  ]
}

async function benchLists(program: string, daemon: TestDaemon): Promise<Row[]> {
  const file = join(daemon.dir, 'many.xml')
  writeFileSync(file, manyDomains(DOMAINS))
  const uri = `test+unix://${file}?socket=${daemon.socketPath}`
  const rows: Row[] = []
  for (const [mode, what] of [
    ['list', `${DOMAINS} domains listed with info`],
    ['stats', `getAllDomainStats of ${DOMAINS} domains, polled`],
  ] as const) {
    const results = await race({
      ours: () => ours(uri)(mode, POLLS),
      python: () => python(uri)(mode, POLLS),
      go: () => go(program, daemon, `test://${file}`)(mode, POLLS),
    })
    for (const result of Object.values(results))
      if (result.done !== DOMAINS * POLLS) throw new Error(`${mode}: ${result.done} of ${DOMAINS}`)
    rows.push(row(`${what}, domains`, 1, need(results['ours']), ['libvirt-python', need(results['python'])]))
    console.log(`${what}: go-libvirt ${perSecond(DOMAINS * POLLS, need(results['go']).ms)}`)
  }
  return rows
}

async function benchCalls(program: string, daemon: TestDaemon): Promise<Row[]> {
  const results = await race({
    ours: () => ours(daemon.uri)('sequential', CALLS),
    python: () => python(daemon.uri)('sequential', CALLS),
    go: () => go(program, daemon, 'test:///default')('sequential', CALLS),
    parallel: () => ours(daemon.uri)('parallel', CALLS * 4),
    threads: () => python(daemon.uri)('parallel', CALLS * 4),
  })
  const theirs: [string, Result] = ['libvirt-python', need(results['python'])]
  console.log(
    `small calls: go-libvirt one after the other ${perSecond(CALLS, need(results['go']).ms)}, ` +
      `libvirt-python in 16 threads ${perSecond(CALLS * 4, need(results['threads']).ms)}`,
  )
  return [
    row('small calls, one after the other', 0.8, need(results['ours']), theirs),
    row('small calls, 16 in flight, beside one after the other', 2, need(results['parallel']), theirs),
  ]
}

async function benchTenThousand(): Promise<Row[]> {
  using dir = tempDir()
  const path = join(dir.path, 's')
  const simulator = spawn(process.execPath, [join(peers, 'simulator.ts'), path, '10000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(createInterface({ input: simulator.stdout }), 'line')
    const uri = `test+unix:///default?socket=${path}`
    const { ours: mine } = await race({ ours: () => ours(uri)('list', 1) })
    const { ms, rssMb, done } = need(mine)
    if (done !== 10_000) throw new Error(`${done} domains`)
    return [
      {
        what: '10,000 domains on the simulator listed with info',
        ours: `${ms.toFixed(0)} ms`,
        peer: '1,000 ms (limit)',
        ratio: 1000 / ms,
        goal: 1,
      },
      {
        what: 'memory of that client',
        ours: `${rssMb.toFixed(0)} MB`,
        peer: '150 MB (limit)',
        ratio: 150 / rssMb,
        goal: 1,
      },
    ]
  } finally {
    simulator.kill()
  }
}

const FLEET_PAIRS = 500

async function benchFleet(): Promise<Row[]> {
  const limits = { max_clients: 500, max_queued_clients: 500, max_anonymous_clients: 500, max_workers: 50 }
  await using daemon = await startLibvirtd(limits)
  const count = FLEET_PAIRS * 2
  const child = spawn(
    process.execPath,
    [join(peers, 'libvirt-client.ts'), 'fleet', daemon.uri, String(count)],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: LIMIT_MS, env: { ...process.env, ...CACHED } },
  )
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  if ((await lines.next()).value !== 'ready') throw new Error('the fleet did not start')
  await run(PYTHON, [join(peers, 'libvirt_driver.py'), daemon.uri, String(FLEET_PAIRS)], {
    timeout: LIMIT_MS,
  })
  const result: Result & { inOrder: boolean } = JSON.parse(String((await lines.next()).value))
  if (!result.inOrder || result.done !== count * 200)
    throw new Error(`${result.done} of ${count * 200} events, in order: ${result.inOrder}`)
  console.log(
    `200 connections: ${result.done} events, each connection's in order, ${perSecond(result.done, result.ms)}`,
  )
  return [
    {
      what: 'memory of 200 connections with all events, each in order',
      ours: `${result.rssMb.toFixed(0)} MB`,
      peer: '300 MB (limit)',
      ratio: 300 / result.rssMb,
      goal: 1,
    },
  ]
}

/** @returns the client's figures beside those of its peers. */
export async function benchLibvirtClient(): Promise<Row[]> {
  using dir = tempDir()
  const program = await buildGo(dir.path)
  try {
    await using daemon = await startLibvirtd()
    return [
      ...(await benchDecoding(program, daemon)),
      ...(await benchLists(program, daemon)),
      ...(await benchCalls(program, daemon)),
      ...(await benchTenThousand()),
      ...(await benchFleet()),
    ]
  } finally {
    rmSync(CACHED.NODE_COMPILE_CACHE, { recursive: true, force: true })
  }
}

if (import.meta.main) printRows(await benchLibvirtClient())
