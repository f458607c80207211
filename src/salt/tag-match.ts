import { globMatcher } from '../core/glob.ts'
import { SaltError } from './errors.ts'

/** How a tag is compared, with the names and meanings of Salt's `event_match_type`. */
export type MatchType = 'startswith' | 'endswith' | 'find' | 'regex' | 'fnmatch'

/**
 * Says whether a tag matches, as `salt.utils.event` does: `regex` is anchored at the begin of the tag only, `fnmatch` is a
 * glob over the whole tag in which `*` also matches `/`.
 *
 * @throws {SaltError} ERR_SALT_MATCH when `regex` is given something that is none, or when `type` is none of the five. Expressions are JavaScript's, in which
 * Python's `(?P<name>…)` is accepted too.
 */
export function tagMatcher(pattern: string, type: MatchType): (tag: string) => boolean {
  switch (type) {
    case 'startswith':
      return (tag) => tag.startsWith(pattern)
    case 'endswith':
      return (tag) => tag.endsWith(pattern)
    case 'find':
      return (tag) => tag.includes(pattern)
    case 'regex':
      return tester(`^${pattern.replaceAll('(?P<', '(?<')}`)
    case 'fnmatch':
      return globMatcher(pattern)
    default:
      throw new SaltError('ERR_SALT_MATCH', `${JSON.stringify(type)} is no way to match a tag`)
  }
}

function tester(source: string): (tag: string) => boolean {
  let expression: RegExp
  try {
    expression = new RegExp(source)
  } catch (cause) {
    throw new SaltError('ERR_SALT_MATCH', `${JSON.stringify(source)} is no regular expression`, { cause })
  }
  return (tag) => expression.test(tag)
}
