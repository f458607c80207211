/** First part of the tags of Salt's own events. */
export const SALT_BASE = 'salt'

/** The prefixes that Salt's own events have after the base (`TAGS` of salt/utils/event.py). */
export const TAG_PREFIXES = [
  'auth',
  'job',
  'key',
  'minion',
  'syndic',
  'run',
  'wheel',
  'cloud',
  'fileserver',
  'queue',
] as const

/** One of {@link TAG_PREFIXES}. */
export type TagPrefix = (typeof TAG_PREFIXES)[number]

/**
 * Joins base, prefix and suffix with `/` and leaves out what is empty, as `salt.utils.event.tagify` does.
 *
 * @example
 * tagify(['20261120233040204668', 'ret', 'web1'], 'job') // salt/job/20261120233040204668/ret/web1
 */
export function tagify(
  suffix: string | number | readonly (string | number)[] = '',
  prefix: TagPrefix | (string & {}) = '',
  base: string = SALT_BASE,
): string {
  const parts = [base, prefix, ...(Array.isArray(suffix) ? suffix : [suffix])]
  return parts
    .map(String)
    .filter((part) => part !== '')
    .join('/')
}
