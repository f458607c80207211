import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CleanupStack } from '../../src/core/cleanup-stack.ts'

test('what came last is ended first, and a failure stops nothing', async () => {
  const ended: string[] = []
  const stack = new CleanupStack()
  stack.defer(() => void ended.push('first'))
  stack.use({
    [Symbol.dispose]: () => {
      ended.push('second')
      throw new Error('the second')
    },
  })
  stack.use({
    [Symbol.asyncDispose]: async () => {
      ended.push('third')
      throw new Error('the third')
    },
  })
  await assert.rejects(stack[Symbol.asyncDispose](), /the third/)
  assert.deepEqual(ended, ['third', 'second', 'first'])
  await stack[Symbol.asyncDispose]()
  assert.equal(ended.length, 3)
})

test('what was moved is ended with the stack that it was moved to', async () => {
  const ended: string[] = []
  const stack = new CleanupStack()
  stack.defer(() => void ended.push('it'))
  const moved = stack.move()
  await stack[Symbol.asyncDispose]()
  assert.deepEqual(ended, [])
  await moved[Symbol.asyncDispose]()
  assert.deepEqual(ended, ['it'])
})
