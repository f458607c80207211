import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { enums } from '../../src/libvirt/index.ts'
import { Activity, type EventBody, type Hypervisor } from '../../src/simulator/index.ts'
import { TestSimulator } from './support.ts'

const EVENT = enums.virDomainEventType

/** The events of `steps` steps on a fresh host. */
async function eventsOf(options: { seed: number; domains: number; steps: number }): Promise<EventBody[]> {
  await using started = await TestSimulator.start({ domains: options.domains })
  const { hypervisor } = started.simulator
  return run(hypervisor, options)
}

async function run(hypervisor: Hypervisor, options: { seed: number; steps: number }): Promise<EventBody[]> {
  const events: EventBody[] = []
  const stop = hypervisor.onEvent((event) => events.push(event))
  await using activity = new Activity(hypervisor, { seed: options.seed, eventsPerSecond: 0 })
  for (let step = 0; step < options.steps; step++) activity.step()
  assert.equal(activity.events, events.length)
  stop()
  return events
}

describe('activity', () => {
  test('one seed brings one sequence, another seed another', async () => {
    const options = { domains: 8, steps: 2000 }
    const first = await eventsOf({ ...options, seed: 7 })
    assert.deepEqual(await eventsOf({ ...options, seed: 7 }), first)
    assert.notDeepEqual(await eventsOf({ ...options, seed: 8 }), first)
  })

  test('whatever the seed, every guest only does what its state allows', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.integer({ min: 0, max: 12 }),
        async (seed, domains) => {
          const guests = new Guests()
          await using started = await TestSimulator.start({ domains })
          const { hypervisor } = started.simulator
          for (const domain of hypervisor.domains.list()) guests.known(domain.uuid, domain.id)
          for (const event of await run(hypervisor, { seed, steps: 1500 })) guests.take(event)
          for (const domain of hypervisor.domains.list()) guests.agrees(domain.uuid, domain.id)
        },
      ),
      { numRuns: 20 },
    )
  })

  test('brings all that can happen to guests, networks, pools, devices and secrets', async () => {
    const kinds = new Set(
      (await eventsOf({ domains: 8, steps: 20_000, seed: 1 })).map(
        (event) => `${event.object}/${event.kind}`,
      ),
    )
    for (const kind of [
      'lifecycle',
      'reboot',
      'balloon_change',
      'metadata_change',
      'device_added',
      'device_removed',
      'agent_lifecycle',
      'rtc_change',
      'tray_change',
      'graphics',
      'block_job',
      'block_job_2',
      'io_error',
      'io_error_reason',
      'watchdog',
      'pmsuspend',
      'pmwakeup',
      'migration_iteration',
    ])
      assert(kinds.has(`domain/${kind}`), kind)
    for (const kind of [
      'network/lifecycle',
      'pool/lifecycle',
      'pool/refresh',
      'nodedev/lifecycle',
      'nodedev/update',
      'secret/lifecycle',
      'secret/value_changed',
    ])
      assert(kinds.has(kind), kind)
  })

  test('most guests run most of the time', async () => {
    await using started = await TestSimulator.start({ domains: 100 })
    const { hypervisor } = started.simulator
    await run(hypervisor, { seed: 3, steps: 20_000 })
    const running = hypervisor.domains.list().filter((domain) => domain.state === 1).length
    assert(running > 50, `${running} of 100 run`)
    assert(hypervisor.domains.size >= 100 && hypervisor.domains.size <= 103)
  })

  test('keeps its rate, takes another at once, stands still at 0 and stops for good', async () => {
    await using started = await TestSimulator.start()
    const { hypervisor } = started.simulator
    const stop = new AbortController()
    await using activity = new Activity(hypervisor, { seed: 1, eventsPerSecond: 2000, signal: stop.signal })
    const begin = performance.now()
    await until(hypervisor, () => activity.events >= 1000)
    const tookMs = performance.now() - begin
    assert(tookMs > 450, `1000 events in ${tookMs} ms`)
    activity.rate = 20_000
    const again = performance.now()
    await until(hypervisor, () => activity.events >= 5000)
    assert(performance.now() - again > 150)
    activity.rate = 0
    const still = activity.events
    const pause = Promise.withResolvers<void>()
    setTimeout(() => pause.resolve(), 30)
    await pause.promise
    assert.equal(activity.events, still)
    stop.abort()
    activity.rate = 1000
    activity.step()
    assert.throws(() => {
      activity.rate = -1
    }, RangeError)
    assert.throws(() => new Activity(hypervisor, { seed: 1, eventsPerSecond: Number.NaN }), RangeError)
  })

  test('goes on beside what people do', async () => {
    await using started = await TestSimulator.start({ domains: 4 })
    const { hypervisor } = started.simulator
    await using activity = new Activity(hypervisor, { seed: 5, eventsPerSecond: 0 })
    const steps = (count: number): void => {
      for (let step = 0; step < count; step++) {
        activity.step()
        const domain = hypervisor.domains.at(step % 4)
        if (domain && step % 7 === 0 && domain.id !== -1) hypervisor.domains.destroy(domain)
      }
    }
    steps(1000)
    for (const network of hypervisor.networks.list()) hypervisor.networks.undefine(network)
    steps(1000)
    for (const domain of hypervisor.domains.list()) if (domain.persistent) hypervisor.domains.undefine(domain)
    steps(1000)
    assert(activity.events >= 3000)
  })
})

async function until(hypervisor: Hypervisor, done: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const stop = hypervisor.onEvent(() => {
    if (done()) resolve()
  })
  await promise
  stop()
}

type GuestState = 'off' | 'running' | 'paused' | 'asleep' | 'crashed'

/** A model of the guests that only the events feed. */
class Guests {
  readonly #states = new Map<string, { state: GuestState; id: number }>()

  known(uuid: string, id: number): void {
    this.#states.set(uuid, { state: id === -1 ? 'off' : 'running', id })
  }

  agrees(uuid: string, id: number): void {
    assert.equal(this.#states.get(uuid)?.id, id)
  }

  take(event: EventBody): void {
    if (event.object !== 'domain') return
    const { uuid, id, name } = event.dom
    const guest = this.#states.get(uuid)
    if (event.kind !== 'lifecycle') {
      assert(guest, `${event.kind} of unknown ${name}`)
      if (event.kind !== 'metadata_change') assert.notEqual(id, -1, `${event.kind} of ${name}, which is off`)
      return
    }
    const state = guest?.state ?? 'off'
    const next = nextState(event, state)
    assert(next, `${name}: event ${event.event}, detail ${event.detail} while ${state}`)
    if (next === 'off') this.#states.set(uuid, { state: next, id: -1 })
    else {
      if (state !== 'off') assert.equal(id, guest?.id, `${name} has another id`)
      assert(id > 0)
      this.#states.set(uuid, { state: next, id })
    }
  }
}

/** For each event: the states in which it can come, and what the guest is then. */
const TRANSITIONS: Readonly<Record<number, readonly (readonly [GuestState, GuestState])[]>> = {
  [EVENT.VIR_DOMAIN_EVENT_DEFINED]: [
    ['off', 'off'],
    ['running', 'running'],
    ['paused', 'paused'],
  ],
  [EVENT.VIR_DOMAIN_EVENT_STARTED]: [['off', 'running']],
  [EVENT.VIR_DOMAIN_EVENT_SUSPENDED]: [['running', 'paused']],
  [EVENT.VIR_DOMAIN_EVENT_RESUMED]: [['paused', 'running']],
  [EVENT.VIR_DOMAIN_EVENT_STOPPED]: [
    ['running', 'off'],
    ['paused', 'off'],
    ['crashed', 'off'],
    ['asleep', 'off'],
  ],
  [EVENT.VIR_DOMAIN_EVENT_SHUTDOWN]: [['running', 'running']],
  [EVENT.VIR_DOMAIN_EVENT_PMSUSPENDED]: [['running', 'asleep']],
  [EVENT.VIR_DOMAIN_EVENT_CRASHED]: [['running', 'crashed']],
}

function nextState(
  { event, detail }: { event: number; detail: number },
  from: GuestState,
): GuestState | undefined {
  const { VIR_DOMAIN_EVENT_STARTED: STARTED, VIR_DOMAIN_EVENT_RESUMED: RESUMED } = EVENT
  const isWakeup =
    event === STARTED && detail === enums.virDomainEventStartedDetailType.VIR_DOMAIN_EVENT_STARTED_WAKEUP
  if (isWakeup) return from === 'asleep' ? 'running' : undefined
  // A guest that comes by migration is started and then resumed.
  const isArrival =
    event === RESUMED && detail === enums.virDomainEventResumedDetailType.VIR_DOMAIN_EVENT_RESUMED_MIGRATED
  if (isArrival) return from === 'running' ? 'running' : undefined
  return TRANSITIONS[event]?.find(([before]) => before === from)?.[1]
}
