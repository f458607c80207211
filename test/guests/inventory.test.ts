import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Guest, type Happening, Inventory } from '../../src/guests/index.ts'

const guest = (uuid: string): fc.Arbitrary<Guest> =>
  fc
    .record(
      {
        name: fc.constantFrom('a', 'b', 'c').map((name) => `${name}-${uuid}`),
        active: fc.constantFrom(undefined, 1, 3, 4, 7),
        id: fc.integer({ min: 1, max: 5 }),
        persistent: fc.boolean(),
      },
      { noNullPrototype: true },
    )
    .map(({ name, active, id, persistent }) =>
      // One that does not run and is not kept is not there.
      active === undefined
        ? { uuid, name, id: -1, state: 5, persistent: true }
        : { uuid, name, id, state: active, persistent },
    )

const host = fc
  .tuple(...['1', '2', '3', '4'].map((uuid) => fc.option(guest(uuid), { nil: undefined })))
  .map((all) => all.filter((each) => each !== undefined))

function sorted(guests: readonly Guest[]): Guest[] {
  return [...guests].sort((a, b) => (a.uuid < b.uuid ? -1 : 1))
}

test('the events between two states lead from one to the other, for whoever only hears events', () => {
  fc.assert(
    fc.property(host, host, (before, now) => {
      const inventory = new Inventory()
      inventory.fill(before)
      const { happenings, guests } = inventory.resync(now)
      assert.deepEqual(sorted(inventory.list()), sorted(now))
      assert.equal(guests, now.length)
      const listener = new Inventory()
      listener.fill(before)
      for (const happening of happenings) listener.apply(happening)
      assert.deepEqual(sorted(listener.list()), sorted(now))
      assert.deepEqual(inventory.resync(now).happenings, [])
    }),
    { numRuns: 5000 },
  )
})

test('each event between two states can happen where it is told', () => {
  const needs: Record<number, (known: Guest | undefined) => boolean> = {
    1: (known) => known?.persistent === true,
    2: (known) => !known || known.id < 0,
    3: (known) => known !== undefined && known.id > 0 && known.state !== 3,
    4: (known) => known !== undefined && known.id > 0 && known.state !== 1,
    5: (known) => known !== undefined && known.id > 0,
    6: (known) => known !== undefined && known.id > 0,
    7: (known) => known !== undefined && known.id > 0,
  }
  fc.assert(
    fc.property(host, host, (before, now) => {
      const source = new Inventory()
      source.fill(before)
      const { happenings } = source.resync(now)
      const listener = new Inventory()
      listener.fill(before)
      for (const happening of happenings) {
        const known = listener.get(happening.guest.uuid)
        assert.ok(needs[happening.event]?.(known) ?? true, JSON.stringify({ happening, known }))
        listener.apply(happening)
      }
    }),
    { numRuns: 5000 },
  )
})

const STEPS = [0, 1, 2, 3, 4, 5] as const

test('whenever the list is made among events, all is told once', () => {
  const history = fc.array(fc.constantFrom(...STEPS), { maxLength: 12 })
  const first = fc.option(guest('1'), { nil: undefined })
  fc.assert(
    fc.property(first, history, fc.nat(12), fc.nat(12), (before, wishes, unseen, listedAt) => {
      const told = new Inventory()
      if (before) told.fill([before])
      const { real, listed, seen } = live(before, wishes, { unseen, listedAt: unseen + listedAt })
      told.resync(listed, seen)
      for (const happening of seen) told.apply(happening)
      assert.deepEqual(told.list(), real.list())
    }),
    { numRuns: 5000 },
  )
})

test('an event that may have been told to nobody is told again, in a way that leads to the state', () => {
  for (const [state, id] of [
    [1, 4],
    [3, 4],
    [4, 4],
    [5, -1],
    [6, 4],
    [7, 4],
  ] as const)
    for (let event = 0; event <= 8; event++) {
      const guest = { uuid: '1', name: 'n', id, state, persistent: true }
      const told = new Inventory()
      told.fill([guest], new Map([['1', event]]))
      const { happenings } = told.resync([guest])
      assert.equal(happenings.length, 1)
      const heard = new Inventory()
      heard.fill([{ ...guest, id: id < 0 ? 3 : id, state: state === 1 ? 3 : 1 }])
      // Where it was defined just now, whoever has not heard that knows nothing of a run.
      if (happenings[0]?.event === 0) heard.fill([{ ...guest }])
      for (const happening of happenings) heard.apply(happening)
      assert.deepEqual(heard.list(), [guest], `state ${state} after event ${event}`)
      assert.deepEqual(told.resync([guest]).happenings, [], 'only once')
    }
})

/** What really happens: of the wishes only what is possible. The first `unseen` are, and after `listedAt` the list is made. */
function live(
  before: Guest | undefined,
  wishes: readonly number[],
  { unseen, listedAt }: { unseen: number; listedAt: number },
): { real: Inventory; listed: Guest[]; seen: Happening[] } {
  const real = new Inventory()
  if (before) real.fill([before])
  const seen: Happening[] = []
  let listed: Guest[] | undefined
  for (const [index, event] of wishes.entries()) {
    if (index === listedAt) listed = real.list()
    const known = real.get('1')
    if (!isPossible(known, event)) continue
    const ids: Record<number, number> = { 2: 10 + index, 5: -1 }
    const id = ids[event] ?? known?.id ?? -1
    const happening = { guest: { uuid: '1', name: known?.name ?? 'n', id }, event, detail: 0 }
    real.apply(happening)
    if (index >= unseen) seen.push(happening)
  }
  return { real, listed: listed ?? real.list(), seen }
}

function isPossible(known: Guest | undefined, event: number): boolean {
  if (event === 0) return true
  if (event === 2) return !known || known.id < 0
  if (!known) return false
  if (event === 1) return known.persistent
  if (event === 3) return known.state === 1
  if (event === 4) return known.state === 3
  return known.id > 0
}
