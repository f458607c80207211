import { z } from 'zod'

/** One libvirt connection, with the keys of the Salt engine `libvirt_events`. */
export interface EngineConfig {
  /** libvirt URI; without it, what libvirt itself would open. */
  readonly uri?: string | undefined
  /** First part of every tag. */
  readonly tag_prefix?: string | undefined
  /** `all`, objects (`domain`) or kinds (`domain/lifecycle`). */
  readonly filters?: string[] | undefined
}

/** A configuration as it is written, all keys optional. */
export interface Config {
  /** Folder of the event sockets. */
  readonly sock_dir?: string | undefined
  /** Framing of the event sockets, by the clients' Salt release. */
  readonly wire?: 'classic' | 'prefixed' | 'split' | undefined
  /** Serve this minion's pair of sockets, not the master's. */
  readonly minion_id?: string | undefined
  /** Least level that is logged. */
  readonly log_level?: 'debug' | 'info' | 'warn' | 'error' | 'silent' | undefined
  /** Connections to watch; one without a URI when the key is absent. */
  readonly engines?: { readonly libvirt_events: EngineConfig }[] | undefined
}

const engineSettings = z
  .strictObject({
    uri: z.string().min(1).optional(),
    tag_prefix: z.string().min(1).max(1024).optional(),
    filters: z.array(z.string()).min(1).optional(),
  })
  .nullable()
  .transform((settings) => settings ?? {})

/** Salt's two forms of an engine: its name, or a map of its name to its settings. */
const engine = z.union([
  z.literal('libvirt_events').transform(() => ({ libvirt_events: {} })),
  z.strictObject({ libvirt_events: engineSettings }),
])

export const configSchema: z.ZodType<Config> = z.strictObject({
  sock_dir: z.string().min(1).optional(),
  wire: z.enum(['classic', 'prefixed', 'split']).optional(),
  minion_id: z.string().min(1).max(255).optional(),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
  engines: z.array(engine).optional(),
})
