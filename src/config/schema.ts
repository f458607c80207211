import { z } from 'zod'
import { parseDuration } from '../core/duration.ts'

/** One libvirt connection, with the keys of the Salt engine `libvirt_events`. */
export interface EngineConfig {
  /** libvirt URI; without it, what libvirt itself would open. */
  readonly uri?: string | undefined
  /** First part of every tag. */
  readonly tag_prefix?: string | undefined
  /** `all`, objects (`domain`) or kinds (`domain/lifecycle`). */
  readonly filters?: string[] | undefined
  /** Guests whose events are wanted: those that any of these fits; all guests when the key is absent. */
  readonly guests?: GuestsConfig | undefined
  /** What is added to the data of events under `virbus`; nothing when the key is absent. */
  readonly enrich?: EnrichConfig | undefined
}

/** Which guests an engine tells of. */
interface GuestsConfig {
  /** Globs over names. */
  readonly names?: string[] | undefined
  readonly uuids?: string[] | undefined
  /** Namespaces of metadata elements, or these with a glob over the element's text. */
  readonly metadata?: { readonly uri: string; readonly text?: string | undefined }[] | undefined
}

/** What an engine adds to events. */
interface EnrichConfig {
  /** The host's own name. */
  readonly host?: boolean | undefined
  /** The guest's title. */
  readonly title?: boolean | undefined
  /** Namespaces of metadata elements. */
  readonly metadata?: string[] | undefined
}

/** What is kept of the past. */
export interface JournalConfig {
  /** Default true. */
  readonly enabled?: boolean | undefined
  /** In milliseconds; default seven days. */
  readonly max_age?: number | undefined
  /** In bytes; default 1 GiB. */
  readonly max_size?: number | undefined
  /** Each batch is on the disk before it counts as written; default false. */
  readonly durable?: boolean | undefined
}

/** Who may connect to one socket. */
export interface SocketConfig {
  /** Permissions; written as text in quotes, `'0660'`. Default `0600`. */
  readonly mode?: number | undefined
  /** User by name or number; default: virbus's own. */
  readonly owner?: string | number | undefined
  /** Group by name or number; default: virbus's own. */
  readonly group?: string | number | undefined
}

/** Who may use the sockets, and how much. */
export interface AccessConfig {
  /** Of subscribers. */
  readonly pub?: SocketConfig | undefined
  /** Of firing clients. */
  readonly pull?: SocketConfig | undefined
  /** Of the commands that ask a running virbus. */
  readonly control?: SocketConfig | undefined
  /** Tags that not everybody may fire. */
  readonly reserved?:
    | {
        /** Each with all below it; default `salt/auth`, `salt/key`, `salt/job` and `virbus`. */
        readonly tags?: string[] | undefined
        /** Who may fire them, beside root and virbus's own user; `any`: everybody who can connect. */
        readonly users?: 'any' | (string | number)[] | undefined
      }
    | undefined
  /** What each firing client may send; without end when absent. */
  readonly limits?:
    | {
        readonly events_per_second?: number | undefined
        /** In bytes. */
        readonly bytes_per_second?: number | undefined
      }
    | undefined
}

/** A configuration as it is written, all keys optional. */
export interface Config {
  /** Folder of the event sockets. */
  readonly sock_dir?: string | undefined
  /** Folder of what is kept over restarts; empty: nothing is kept. */
  readonly state_dir?: string | undefined
  /** How long and how much of the past is kept in `state_dir`. */
  readonly journal?: JournalConfig | undefined
  /** Who may use the sockets; only root and virbus's own user when the key is absent. */
  readonly access?: AccessConfig | undefined
  /** What becomes of a subscriber that reads too slowly. */
  readonly slow_subscribers?: 'disconnect' | 'drop' | undefined
  /** Framing of the event sockets, by the clients' Salt release. */
  readonly wire?: 'classic' | 'prefixed' | 'split' | undefined
  /** Serve this minion's pair of sockets, not the master's. */
  readonly minion_id?: string | undefined
  /** Least level that is logged. */
  readonly log_level?: 'debug' | 'info' | 'warn' | 'error' | 'silent' | undefined
  /** Connections to watch; one without a URI when the key is absent. */
  readonly engines?: { readonly libvirt_events: EngineConfig }[] | undefined
}

/** A guest filter that names nothing would silently let nothing through. */
const some = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(1000).optional()

const metadataFilter = z.union([
  z
    .string()
    .min(1)
    .transform((uri) => ({ uri })),
  z.strictObject({ uri: z.string().min(1), text: z.string().optional() }),
])

const guests = z
  .strictObject({
    names: some(z.string().min(1)),
    uuids: some(z.guid('not a UUID').toLowerCase()),
    metadata: some(metadataFilter),
  })
  .refine(
    (value) => Object.values(value).some((list) => list !== undefined),
    'expected names, uuids or metadata',
  )

const enrich = z.strictObject({
  host: z.boolean().optional(),
  title: z.boolean().optional(),
  metadata: some(z.string().min(1)),
})

const engineSettings = z
  .strictObject({
    uri: z.string().min(1).optional(),
    tag_prefix: z.string().min(1).max(1024).optional(),
    filters: z.array(z.string()).min(1).optional(),
    guests: guests.optional(),
    enrich: enrich.optional(),
  })
  .nullable()
  .transform((settings) => settings ?? {})

/** Salt's two forms of an engine: its name, or a map of its name to its settings. */
const engine = z.union([
  z.literal('libvirt_events').transform(() => ({ libvirt_events: {} })),
  z.strictObject({ libvirt_events: engineSettings }),
])

/** `90s`, `10m`, `12h`, `7d`, in milliseconds. */
const duration = z
  .string()
  .regex(/^\d{1,9}[smhd]$/, 'expected a time such as 12h or 7d')
  .transform((text) => parseDuration(text))

/** `512MiB`, `2GiB`, in bytes. */
const size = z
  .string()
  .regex(/^\d{1,6}(KiB|MiB|GiB|TiB)$/, 'expected a size such as 512MiB or 2GiB')
  .transform((text) => {
    const unit = ['KiB', 'MiB', 'GiB', 'TiB'].indexOf(text.slice(-3))
    return Number.parseInt(text, 10) * 1024 ** (unit + 1)
  })

const journal = z.strictObject({
  enabled: z.boolean().optional(),
  max_age: duration.optional(),
  max_size: size.optional(),
  durable: z.boolean().optional(),
})

/** YAML reads 0660 without quotes as the number 660, which is another mode. */
const mode = z
  .string("expected a mode in quotes, such as '0660'")
  .regex(/^0?[0-7]{3}$/, "expected a mode in quotes, such as '0660'")
  .transform((text) => Number.parseInt(text, 8))

/** 2³² − 1 is chown(2)'s word for none. */
const account = z.union([z.string().min(1).max(255), z.int().min(0).max(0xffff_fffe)])

const socketAccess = z
  .strictObject({ mode: mode.optional(), owner: account.optional(), group: account.optional() })
  .optional()

const access = z.strictObject({
  pub: socketAccess,
  pull: socketAccess,
  control: socketAccess,
  reserved: z
    .strictObject({
      tags: some(z.string().regex(/[^/]$/, 'expected a tag that does not end with /')),
      users: z.union([z.literal('any'), z.array(account).max(1000)]).optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      events_per_second: z.int().min(1).max(1_000_000_000).optional(),
      bytes_per_second: size.refine((bytes) => bytes > 0, 'expected at least 1KiB').optional(),
    })
    .optional(),
})

export const configSchema: z.ZodType<Config> = z.strictObject({
  sock_dir: z.string().min(1).optional(),
  state_dir: z.string().optional(),
  journal: journal.optional(),
  access: access.optional(),
  slow_subscribers: z.enum(['disconnect', 'drop']).optional(),
  wire: z.enum(['classic', 'prefixed', 'split']).optional(),
  minion_id: z.string().min(1).max(255).optional(),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
  engines: z.array(engine).optional(),
})
