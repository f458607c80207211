import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { listOf, paramsOf } from '../../../src/libvirt/objects/typed-params.ts'

test('typed parameters become own properties of a plain object', () => {
  const params = paramsOf([
    { field: 'cpu.time', value: { type: 4, value: 18446744073709551615n } },
    { field: 'state.state', value: { type: 1, value: -1 } },
    { field: 'is', value: { type: 6, value: 1 } },
    { field: 'name', value: { type: 7, value: 'vda' } },
    { field: '__proto__', value: { type: 7, value: 'own' } },
  ])
  assert.deepEqual(Object.entries(params), [
    ['cpu.time', 18446744073709551615n],
    ['state.state', -1],
    ['is', true],
    ['name', 'vda'],
    ['__proto__', 'own'],
  ])
})

test('what was read can be set again, type by type', () => {
  const value = fc.oneof(
    fc.record({ type: fc.constantFrom(1, 2, 3, 4), value: fc.nat() }, { noNullPrototype: true }),
    fc.record(
      { type: fc.constant(5), value: fc.double({ noNaN: true, noDefaultInfinity: true }) },
      { noNullPrototype: true },
    ),
    fc.record({ type: fc.constant(6), value: fc.constantFrom(0, 1) }, { noNullPrototype: true }),
    fc.record({ type: fc.constant(7), value: fc.string() }, { noNullPrototype: true }),
  )
  const list = fc.uniqueArray(fc.record({ field: fc.string(), value }, { noNullPrototype: true }), {
    selector: ({ field }) => field,
  })
  fc.assert(fc.property(list, (all) => assert.deepEqual(sorted(listOf(paramsOf(all), all)), sorted(all))))
})

function sorted<T extends { field: string }>(list: T[]): T[] {
  return [...list].sort((a, b) => (a.field < b.field ? -1 : 1))
}

test('a number whose type nobody knows is refused, one that says it is not', () => {
  assert.throws(() => listOf({ cpu_shares: 1 }), { code: 'ERR_LIBVIRT_ARGUMENT', message: /ullong/ })
  assert.deepEqual(listOf({ cpu_shares: { type: 'ullong', value: 1 } }), [
    { field: 'cpu_shares', value: { type: 4, value: 1 } },
  ])
})
