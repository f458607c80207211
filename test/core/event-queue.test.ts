import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventQueue } from '../../src/core/event-queue.ts'

test('a slow consumer loses the oldest events and the loss is counted', async () => {
  const queue = new EventQueue<number>({ limit: 2 })
  for (const n of [1, 2, 3, 4]) queue.push(n)
  assert.equal(queue.dropped, 2)
  assert.deepEqual([(await queue.next()).value, (await queue.next()).value], [3, 4])
})

test('leaving the loop ends the subscription once', async () => {
  let ends = 0
  const queue = new EventQueue<number>({ limit: 8, onEnd: () => ends++ })
  queue.push(1)
  for await (const n of queue) {
    assert.equal(n, 1)
    break
  }
  queue.push(2)
  assert.deepEqual([ends, await queue.next()], [1, { done: true, value: undefined }])
})

test('aborting wakes a waiting consumer', async () => {
  const abort = new AbortController()
  const queue = new EventQueue<number>({ limit: 8, signal: abort.signal })
  const next = queue.next()
  abort.abort()
  assert.equal((await next).done, true)
})

test('closing lets the consumer read what waits before the end', async () => {
  const queue = new EventQueue<number>({ limit: 8 })
  queue.push(1)
  queue.push(2)
  queue.close()
  queue.push(3)
  const seen: number[] = []
  for await (const n of queue) seen.push(n)
  assert.deepEqual(seen, [1, 2])
})

test('closing with a failure throws it once, after what waits', async () => {
  for (const waiting of [true, false]) {
    const queue = new EventQueue<number>({ limit: 8 })
    if (waiting) queue.push(1)
    queue.close(new Error('lost'))
    if (waiting) assert.equal((await queue.next()).value, 1)
    await assert.rejects(queue.next(), /lost/)
    assert.equal((await queue.next()).done, true)
  }
})

test('closing with a failure rejects a consumer that already waits', async () => {
  const queue = new EventQueue<number>({ limit: 8 })
  const next = queue.next()
  queue.close(new Error('lost'))
  await assert.rejects(next, /lost/)
})
