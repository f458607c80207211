import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LibvirtError, parseDescription } from '../../../src/libvirt/index.ts'

test('attributes, text, lists and the one that could be several', async () => {
  const xml = `<?xml version='1.0'?>
    <domain type='qemu' id='7'><name>a &amp; b</name><memory unit='KiB'>8192</memory><vcpu>1</vcpu>
    <devices><disk type='file'><target dev='vda'/><address type='pci'/></disk><memballoon model='none'/></devices>
    <seclabel type='none'/></domain>`
  assert.deepEqual(await parseDescription(xml), {
    domain: {
      '@type': 'qemu',
      '@id': '7',
      name: 'a & b',
      memory: { '@unit': 'KiB', '#text': '8192' },
      vcpu: '1',
      devices: {
        disk: [{ '@type': 'file', target: { '@dev': 'vda' }, address: { '@type': 'pci' } }],
        memballoon: { '@model': 'none' },
      },
      seclabel: [{ '@type': 'none' }],
    },
  })
})

test('what is no description is a typed error', async () => {
  const bomb = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><d>&b;</d>'
  for (const xml of ['', 'text', '<a><b></a>', '<a', bomb, `<a>${'x'.repeat(4_194_304)}</a>`])
    await assert.rejects(parseDescription(xml), { code: 'ERR_LIBVIRT_BODY' }, xml.slice(0, 60))
})

test('any text is parsed or is the typed error, and prototypes stay as they are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom(...'<>/=\'"& a1!-[]'.split('')), maxLength: 60 }),
      async (text) => {
        try {
          await parseDescription(text)
        } catch (error) {
          assert.ok(error instanceof LibvirtError, String(error))
        }
      },
    ),
    { numRuns: 3000 },
  )
  try {
    await parseDescription('<a __proto__="x"><__proto__><polluted>1</polluted></__proto__></a>')
  } catch (error) {
    assert.ok(error instanceof LibvirtError)
  }
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
})
