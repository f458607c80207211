import { join } from 'node:path'
import { type Engines, subjectOf } from './engines.ts'
import { VirshOn } from './virsh-on.ts'

const GUEST = `<domain type='test'><name>zoë</name><uuid>1e000000-0000-4000-8000-000000000001</uuid>
  <memory>8192</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`
const NETWORK = `<network><name>lv-net</name><bridge name='virbr9'/>
  <ip address='192.168.44.1' netmask='255.255.255.0'/></network>`
const VPORT = `<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>
  <wwnn>2000000012341234</wwnn><wwpn>1000000012341234</wwpn></capability></capability></device>`

/** Everything that the test driver tells about a guest's life. */
async function domains(virsh: VirshOn, dir: string): Promise<void> {
  await virsh.each('suspend test', 'resume test', 'reboot test', 'shutdown test', 'start test')
  await virsh.each('destroy test', 'start test')
  await virsh.each(`save test ${dir}/saved`, `restore ${dir}/saved`)
  await virsh.each('managedsave test', 'start test')
  await virsh.xml('define', GUEST)
  await virsh.xml('define', GUEST)
  await virsh.each('start zoë', 'setmem zoë 4096 --live', 'setvcpus zoë 1')
  await virsh.run('desc', 'zoë', '--title', 'Ein Titel, schön', '--config', '--live')
  await virsh.run('desc', 'zoë', '--new-desc', 'text', '--live')
  await virsh.run('metadata', 'zoë', '--uri', 'http://example.org/é', '--key', 'k', '--set', '<a/>', '--live')
  await virsh.xml('snapshot-create zoë', '<domainsnapshot><name>running</name></domainsnapshot>')
  await virsh.each('suspend zoë', 'snapshot-revert zoë running', 'snapshot-revert zoë running --paused')
  await virsh.each('snapshot-revert zoë running', 'destroy zoë', 'snapshot-revert zoë running')
  await virsh.each('destroy zoë', 'snapshot-revert zoë running --paused', 'destroy zoë')
  await virsh.xml('snapshot-create zoë', '<domainsnapshot><name>off</name></domainsnapshot>')
  await virsh.each('snapshot-revert zoë running', 'snapshot-revert zoë off')
  await virsh.each('snapshot-delete zoë running', 'snapshot-delete zoë off')
  await virsh.each('domrename zoë zoe', 'domrename zoe zoë', 'undefine zoë')
  await virsh.xml('create', GUEST)
  await virsh.each(`dump zoë ${dir}/core --crash`)
}

/** Provokes on the test driver, by virsh, everything that it has events for. */
export async function driveTestDriver(uri: string, dir: string, engines: Engines): Promise<void> {
  const virsh = new VirshOn(uri, dir)
  await domains(virsh, dir)
  await virsh.xml('net-define', NETWORK)
  await virsh.each('net-start lv-net', 'net-destroy lv-net', 'net-undefine lv-net')
  const pool = `<pool type='dir'><name>lv-pool</name><target><path>${join(dir, 'pool')}</path></target></pool>`
  await virsh.xml('pool-define', pool)
  await virsh.each('pool-build lv-pool', 'pool-start lv-pool', 'pool-refresh lv-pool', 'pool-destroy lv-pool')
  await virsh.each('pool-delete lv-pool', 'pool-undefine lv-pool')
  await virsh.xml('nodedev-create', VPORT)
  const created = await engines.until({ kind: 'nodedev/lifecycle', fields: { event: 'created' } })
  await virsh.each(`nodedev-destroy ${subjectOf(created)}`)
  // What both have told when they tell this is all.
  await virsh.run('desc', 'test', '--title', 'the end', '--live')
  await engines.until({ kind: 'domain/metadata_change', of: 'test' })
}
