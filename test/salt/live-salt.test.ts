import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, Ext, encode, Float } from '../../src/msgpack/index.ts'
import { type Dialect, SaltEventClient } from '../../src/salt/index.ts'
import { needs, SALT_RELEASES, saltPython } from '../support/peers.ts'
import { PythonScript, sorted, type TypedForm, typed } from '../support/python.ts'
import { startBus, until } from './support.ts'

const SAMPLES: readonly Record<string, unknown>[] = [
  { nested: { list: [1, [2, { three: null }], true, false], empty: {}, none: [] } },
  { text: 'zoë ☃ 😀 \u0000 \n\n', bytes: Buffer.from([0, 0xff, 0x80]), '': 'empty key' },
  {
    max: 2n ** 63n - 1n,
    min: -(2n ** 63n),
    unsigned: 2n ** 64n - 1n,
    safe: Number.MAX_SAFE_INTEGER,
    small: -1,
  },
  {
    whole: new Float(1),
    third: 1 / 3,
    large: 1e300,
    zero: -0,
    keys: new Map<unknown, unknown>([
      [1, 'one'],
      [null, 'n'],
    ]),
  },
  { when: new Ext(78, Buffer.from('20261120T23:30:40.204668')) },
  { one: 'x'.repeat(500_000), two: 'y'.repeat(500_000) },
  { over: 'z'.repeat(1_100_000), kept: 'k' },
]

interface Shown {
  readonly tag: string
  readonly data: TypedForm
}

for (const [dialect, version] of Object.entries(SALT_RELEASES)) {
  const python = saltPython(version)
  const start = (): ReturnType<typeof startBus> => startBus(dialect as Dialect) // the keys of SALT_RELEASES are dialects

  for (const how of ['get_event', 'iter_events']) {
    test(`Salt ${version} receives what we fire and publish, by ${how}`, needs(python), async () => {
      await using bus = await start()
      await using peer = new PythonScript(python, 'salt_peer.py', [
        bus.sockDir,
        'listen',
        how,
        'my/',
        `${SAMPLES.length + 2}`,
      ])
      assert.equal(await peer.line(), 'ready')
      await until(() => bus.publisher.stats.subscribers === 1, 'subscribed')
      await using client = await SaltEventClient.connect({
        sockDir: bus.sockDir,
        dialect: dialect as Dialect,
      }) // as above
      await client.fire('other/tag', { x: 1 })
      for (const [index, data] of SAMPLES.entries()) await client.fire(`my/tag/${index}`, data)
      await until(() => bus.received.length === SAMPLES.length + 1, 'all fired events')
      bus.publisher.publish('my/published', encode({ x: new Float(2) }))
      bus.publisher.publish('my/ü', encode({}))
      const sent = bus.received.filter(({ tag }) => tag.startsWith('my/'))
      const expected = sent.map(({ tag, payload }) => ({
        tag,
        data: typed(decode(payload, { floats: 'exact' })),
      }))
      expected.push(
        { tag: 'my/published', data: typed({ x: new Float(2) }) },
        { tag: 'my/ü', data: typed({}) },
      )
      for (const { tag, data } of expected) {
        const shown = (await peer.json()) as Shown // the form that salt_peer.py prints
        assert.equal(shown.tag, tag)
        assert.deepEqual(sorted(shown.data), sorted(data))
      }
      assert.deepEqual(bus.publisher.stats.subscribersCut, 0)
    })
  }

  test(`what Salt ${version} fires is exactly what we see`, needs(python), async () => {
    await using bus = await start()
    await using client = await SaltEventClient.connect({ sockDir: bus.sockDir })
    await using events = client.events({ tag: 'python/' })
    await using peer = new PythonScript(python, 'salt_peer.py', [bus.sockDir, 'fire', 'python/tag'])
    let over: unknown
    for (let index = 0; index < 11; index++) {
      const shown = (await peer.json()) as Shown // the form that salt_peer.py prints
      const { value: event } = await events.next()
      assert.ok(event)
      assert.equal(event.tag, shown.tag)
      assert.deepEqual(bus.received[index]?.payload, event.payload)
      const data = decode(event.payload, { floats: 'exact' })
      // The last two are over max_event_size, and trimmed by Salt itself.
      if (index < 9) assert.deepEqual(sorted(typed(data)), sorted(shown.data))
      else over = { ...Object(over), ...Object(data) }
    }
    const { _stamp, ...trimmed } = Object(over)
    assert.match(_stamp, /^2\d{3}-/)
    assert.deepEqual(trimmed, {
      over: 'VALUE_TRIMMED',
      inside: { over: 'VALUE_TRIMMED', kept: 1 },
      kept: 'k',
      wide: 'VALUE_TRIMMED',
      list: 'VALUE_TRIMMED',
    })
  })

  test(`our trimming is that of Salt ${version}`, needs(python), async () => {
    await using bus = await start()
    await using peer = new PythonScript(python, 'salt_peer.py', [bus.sockDir, 'fire', 'python/tag'])
    for (let index = 0; index < 11; index++) await peer.line()
    await until(() => bus.received.length === 11, 'all events')
    await using client = await SaltEventClient.connect({
      sockDir: bus.sockDir,
      dialect: dialect as Dialect,
      listen: false,
    }) // as above
    await client.fire('ours', {
      over: 'z'.repeat(1_100_000),
      inside: { over: Buffer.alloc(700_000, 'z'), kept: 1 },
      kept: 'k',
    })
    await client.fire('ours', { wide: '☃'.repeat(400_000), list: new Array(1_000_000).fill(0), kept: 'k' })
    await until(() => bus.received.length === 13, 'ours too')
    const strip = (index: number): unknown => ({
      ...Object(decode(bus.received[index]?.payload ?? Buffer.alloc(0))),
      _stamp: 0,
    })
    assert.deepEqual([strip(11), strip(12)], [strip(9), strip(10)])
  })

  test(`match types mean the same as in Salt ${version}`, needs(python), async () => {
    const tags = ['a/b', 'a/bc', 'x/a/b', 'a[b', 'salt/job/1/ret/web1', 'end']
    for (const [matchType, pattern] of [
      ['endswith', 'b'],
      ['find', 'a/b'],
      ['regex', 'a.b|end'],
      ['fnmatch', '*a[!b]b*'],
    ] as const) {
      await using bus = await start()
      await using client = await SaltEventClient.connect({
        sockDir: bus.sockDir,
        dialect: dialect as Dialect,
      }) // as above
      const ours = client.events({ tag: pattern, matchType })
      for (const tag of [...tags, 'last']) await client.fire(tag, {})
      await using marker = client.events({ tag: 'last' })
      await client.fire('last', {})
      await marker.next()
      const matched = Array.from({ length: ours.length }, () => ours.poll()?.tag)
      await using peer = new PythonScript(python, 'salt_peer.py', [
        bus.sockDir,
        'match',
        matchType,
        pattern,
        `${matched.length}`,
      ])
      assert.equal(await peer.line(), 'ready')
      await until(() => bus.publisher.stats.subscribers === 2, 'subscribed')
      for (const tag of tags) await client.fire(tag, {})
      for (const tag of matched) assert.equal(((await peer.json()) as Shown).tag, tag) // the form that salt_peer.py prints
    }
  })
}
