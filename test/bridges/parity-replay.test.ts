import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type EventBody, Simulator } from '../../src/simulator/index.ts'
import { needs, tempDir } from '../support/peers.ts'
import { ALLOWED, compare, table } from './parity/compare.ts'
import { aboutRealEngine, ENGINE_PYTHON, Engines, kindOf, subjectOf } from './parity/engines.ts'
import { variations } from './parity/variations.ts'

const live = needs(ENGINE_PYTHON)
const GUEST = { name: 'guest', uuid: '1e000000-0000-4000-8000-00000000000a', id: 1 }

/** Our simulator, watched by both engines; the real one comes through libvirt and its bindings. */
class Replay implements AsyncDisposable {
  readonly engines: Engines
  readonly #simulator: Simulator
  readonly #dir: Disposable
  #ends = 0

  static async start(kinds: readonly string[]): Promise<Replay> {
    const dir = tempDir()
    const path = join(dir.path, 'sock')
    const simulator = await Simulator.listen({ path })
    try {
      return new Replay(await Engines.watch(`test+unix:///default?socket=${path}`, kinds), simulator, dir)
    } catch (error) {
      await simulator[Symbol.asyncDispose]()
      dir[Symbol.dispose]()
      throw error
    }
  }

  private constructor(engines: Engines, simulator: Simulator, dir: Disposable) {
    this.engines = engines
    this.#simulator = simulator
    this.#dir = dir
  }

  /** Sends these events, and waits until both engines are through with them. */
  async send(events: readonly EventBody[]): Promise<void> {
    for (const event of events) this.#simulator.hypervisor.emit(event)
    const name = `end ${++this.#ends}`
    this.#simulator.hypervisor.emit({ object: 'domain', kind: 'reboot', dom: { ...GUEST, name } })
    await this.engines.until({ kind: 'domain/reboot', of: name })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engines[Symbol.asyncDispose]()
    await this.#simulator[Symbol.asyncDispose]()
    this.#dir[Symbol.dispose]()
  }
}

test('every value that an event of the Salt engine can have is the same here', live, async (t) => {
  const { kinds, bindings } = await aboutRealEngine()
  await using replay = await Replay.start(kinds)
  const events = variations()
  for (let sent = 0; sent < events.length; sent += 100) await replay.send(events.slice(sent, sent + 100))
  const { real, ours } = replay.engines
  const compared = compare(real, ours)
  const how = Object.fromEntries(kinds.map((kind) => [kind, 'simulator']))
  for (const line of table([compared], how)) t.diagnostic(line)
  assert.deepEqual(
    compared.differences.filter(({ allowed }) => allowed === undefined),
    [],
  )
  assert.equal(ours.length, events.length + Math.ceil(events.length / 100))
  assert.deepEqual([...compared.counts.keys()].sort(), [...kinds].sort())
  // A difference that nothing shows has no place in the list.
  const shown = new Set(compared.differences.map(({ allowed }) => allowed))
  const due = ALLOWED.filter(({ until = Number.POSITIVE_INFINITY }) => bindings < until)
  assert.deepEqual(
    due.map(({ name }) => name).filter((name) => !shown.has(name)),
    [],
  )
})

/** Events that no libvirtd sends and that do not come through libvirt's own client as they are. */
test('what libvirt and its bindings lose of events that no daemon sends', live, async () => {
  const { kinds } = await aboutRealEngine()
  await using replay = await Replay.start(kinds)
  const field = 'f'.repeat(80)
  await replay.send([
    // The name of a parameter has at most 79 bytes: the whole event is dropped.
    { object: 'domain', kind: 'tunable', dom: GUEST, params: [{ field, value: { type: 1, value: 1 } }] },
    // Text ends at a zero byte.
    { object: 'domain', kind: 'device_added', dom: GUEST, devAlias: 'disk\0one' },
  ])
  const { real, ours } = replay.engines
  const facts = (seen: typeof ours): unknown[] =>
    seen.map((one) => [kindOf(one), subjectOf(one), one.data['params'] ?? one.data['dev']])
  const end = ['domain/reboot', 'end 1', undefined]
  assert.deepEqual(facts(real), [['domain/device_added', 'guest', 'disk'], end])
  assert.deepEqual(facts(ours), [
    ['domain/tunable', 'guest', { [field]: 1 }],
    ['domain/device_added', 'guest', 'disk\0one'],
    end,
  ])
})
