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

test('references, CDATA and white space are as libxml2 reads them', async () => {
  const xml =
    '<network a="&#xE9;&#233;"><name> a\n</name>\n <bridge name="&lt;&gt;&quot;&apos;"/><t><![CDATA[<&]]>&amp;</t></network>'
  assert.deepEqual(await parseDescription(xml), {
    network: { '@a': 'éé', name: ' a\n', bridge: { '@name': '<>"\'' }, t: '<&&' },
  })
  for (const reference of ['&unknown;', '&#0;', '&#xD800;', '&#x110000;', '&'])
    await assert.rejects(parseDescription(`<a>${reference}</a>`), { code: 'ERR_LIBVIRT_BODY' }, reference)
})

test('an element that may come again is a list by its place, whatever its name', async () => {
  const { domain } = await parseDescription(
    '<domain><clock><timer name="rtc"/></clock><devices><disk><source><host name="h"/></source></disk></devices></domain>',
  )
  assert.deepEqual(domain, {
    clock: { timer: [{ '@name': 'rtc' }] },
    devices: { disk: [{ source: { host: [{ '@name': 'h' }] } }] },
  })
  const deep = `<a>${'<b>'.repeat(300)}${'</b>'.repeat(300)}</a>`
  await assert.rejects(parseDescription(deep), { code: 'ERR_LIBVIRT_BODY' })
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
