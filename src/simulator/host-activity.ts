import type { Hypervisor } from './hypervisor.ts'
import type { Random, Weighted } from './random.ts'

/** Something that can happen to the host beside its guests. */
type HostStep = (hypervisor: Hypervisor, random: Random) => void

/** Prefix of the guests that come and go as a whole. */
const JOB_PREFIX = 'job-'
const JOBS_MAX = 3
const USB_PORTS = 4

const network: HostStep = ({ networks }, random) => {
  const all = networks.list()
  if (all.length === 0) return
  const item = random.pick(all)
  if (item.active) networks.stop(item)
  else networks.start(item)
}

const pool: HostStep = ({ pools }, random) => {
  const all = pools.list()
  if (all.length === 0) return
  const item = random.pick(all)
  if (!item.active) pools.start(item)
  else if (random.integer(4) > 0) pools.refresh(item)
  else pools.stop(item)
}

const device: HostStep = ({ nodeDevices }, random) => {
  const name = `usb_2_${1 + random.integer(USB_PORTS)}`
  if (!nodeDevices.has(name)) nodeDevices.add({ name, parent: 'computer', capability: 'usb_device' })
  else if (random.integer(2) === 0) nodeDevices.update(name)
  else nodeDevices.remove(name)
}

/** A guest that is forgotten when it stops. */
const job: HostStep = ({ domains }, random) => {
  const running = domains.list().filter((domain) => !domain.persistent && domain.name.startsWith(JOB_PREFIX))
  const oldest = running[0]
  const name = `${JOB_PREFIX}${random.integer(10_000)}`
  if (oldest && (running.length >= JOBS_MAX || random.integer(2) === 0)) domains.destroy(oldest)
  else if (!domains.has(name)) domains.createTransient({ name, uuid: random.uuid(), memoryMaxKib: 524_288 })
}

const secret: HostStep = ({ secrets }, random) => {
  const known = secrets.list().find((item) => item.usageId === 'client.virbus secret')
  if (known) {
    if (random.integer(2) === 0) secrets.setValue(known, Buffer.from('simulated'))
    else secrets.undefine(known)
    return
  }
  const usage = { usageType: 2, usageId: 'client.virbus secret' }
  secrets.define({ uuid: random.uuid(), ...usage, isPrivate: true, description: null, value: undefined })
}

const STEPS: Weighted<HostStep> = [
  [3, network],
  [4, pool],
  [4, device],
  [3, job],
  [1, secret],
]

/** Lets something happen to networks, pools, devices, secrets, or to the guests that come and go. */
export function hostStep(hypervisor: Hypervisor, random: Random): void {
  random.weighted(STEPS)(hypervisor, random)
}
