import { messageOf } from '../core/errors.ts'
import { MinionEvent, StampClock } from '../salt/index.ts'
import { EXIT } from './output.ts'
import { type SaltBus, saltBus } from './salt-config.ts'
import {
  type Call,
  callOf,
  isTrue,
  mapArgument,
  SaltArgumentsError,
  type Signature,
  textArgument,
} from './salt-function.ts'
import type { Module } from './salt-names.ts'
import { printLocal } from './salt-output.ts'
import type { SaltRunOptions } from './salt-run.ts'

export interface SaltCallOptions extends SaltRunOptions {
  /** As if there was no master. */
  readonly local?: boolean
}

const SIGNATURES: Readonly<Record<Module, Signature>> = {
  'event.fire': { required: ['data', 'tag'], optional: [] },
  'event.fire_master': { required: ['data', 'tag'], optional: ['preload'] },
  'event.send': {
    required: ['tag'],
    optional: ['data', 'preload', 'with_env', 'with_grains', 'with_pillar', 'with_env_opts'],
    takesOthers: true,
  },
}

/** What only a minion knows, or can do. */
const MINIONS_OWN = {
  preload: 'it asks for an event that this program would have to authenticate for',
  with_grains: 'grains are not known here',
  with_pillar: 'the pillar is not known here',
} as const

/** `virbus salt-call`: the modules of Salt that are about events, on the bus of a minion. */
export async function saltCall(
  name: Module,
  words: readonly string[],
  options: SaltCallOptions,
): Promise<number> {
  const call = callOf(name, SIGNATURES[name], words, options.noParse?.split(',') ?? [])
  for (const [key, reason] of Object.entries(MINIONS_OWN))
    if (isTrue(call.args.get(key)))
      throw new SaltArgumentsError('ERR_CLI_SALT_ARGUMENTS', `${name}: ${key} cannot be used: ${reason}`)
  const bus = saltBus('minion', options)
  const tag = textArgument(name, call, 'tag')
  const isLocal = options.local === true || bus.isMasterless
  if (name === 'event.send')
    return await fire(bus, { tag, data: sentData(call, bus), toMaster: !isLocal }, options)
  if (name === 'event.fire')
    return await fire(bus, { tag, data: mapArgument(name, call, 'data'), toMaster: false }, options)
  if (!isLocal) return await fire(bus, { tag, data: call.args.get('data'), toMaster: true }, options)
  process.stderr.write(`virbus: there is no master in local mode: the event ${tag} is not sent\n`)
  await printLocal(false, options)
  return EXIT.FAILURE
}

interface Firing {
  readonly tag: string
  readonly data: unknown
  /** The minion is asked to send it on, and fires nothing itself. */
  readonly toMaster: boolean
}

/** Fires on the minion's bus and prints whether that was done; why not is said on standard error. */
async function fire(
  bus: SaltBus,
  { tag, data, toMaster }: Firing,
  options: SaltCallOptions,
): Promise<number> {
  const { sockDir, id, hashType, eventBytesMax } = bus
  await using event = new MinionEvent({ sockDir, id, hashType, eventBytesMax, raiseErrors: true })
  const [sent, sentTag] = toMaster
    ? [new Map<string, unknown>(Object.entries({ data, tag, events: null, pretag: null })), 'fire_master']
    : [data as Map<unknown, unknown>, tag] // a map: mapArgument and sentData give nothing else
  try {
    await event.fireEvent(sent, sentTag, (options.timeout ?? 1) * 1000)
  } catch (error) {
    process.stderr.write(`virbus: ${messageOf(error)}\n`)
    await printLocal(false, options)
    return EXIT.FAILURE
  }
  await printLocal(true, options)
  return EXIT.OK
}

/** What `event.send` puts together, in Salt's order: later values replace earlier ones. */
function sentData({ args, others }: Call, bus: SaltBus): Map<unknown, unknown> {
  const data = new Map<unknown, unknown>()
  const env = args.get('with_env')
  if (isTrue(env)) data.set('environ', environment(Array.isArray(env) ? env : undefined))
  if (isTrue(args.get('with_env_opts'))) data.set('saltenv', bus.saltenv).set('pillarenv', bus.pillarenv)
  for (const [key, value] of others) data.set(key, value)
  for (const [key, value] of Object.entries(published())) data.set(`__pub_${key}`, value)
  const given = args.get('data')
  if (given instanceof Map) for (const [key, value] of given) data.set(key, value)
  return data
}

function environment(names: readonly unknown[] | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && (names === undefined || names.includes(name))) found[name] = value
  return found
}

/** What salt-call tells about itself to functions that take any name. */
function published(): Readonly<Record<string, unknown>> {
  const jid = new StampClock().now().replaceAll(/\D/g, '')
  return { fun: 'event.send', pid: process.pid, jid, tgt: 'salt-call' }
}
