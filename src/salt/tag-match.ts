import { SaltError } from './errors.ts'

/** How a tag is compared, with the names and meanings of Salt's `event_match_type`. */
export type MatchType = 'startswith' | 'endswith' | 'find' | 'regex' | 'fnmatch'

/**
 * Says whether a tag matches, as `salt.utils.event` does: `regex` is anchored at the begin of the tag only, `fnmatch` is a
 * glob over the whole tag in which `*` also matches `/`.
 *
 * @throws {SaltError} ERR_SALT_MATCH when `regex` is given something that is none. Expressions are JavaScript's, in which
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
      return tester(`^${pattern.replaceAll('(?P<', '(?<')}`, '')
    case 'fnmatch':
      return tester(globSource(pattern), 's')
  }
}

function tester(source: string, flags: string): (tag: string) => boolean {
  let expression: RegExp
  try {
    expression = new RegExp(source, flags)
  } catch (cause) {
    throw new SaltError('ERR_SALT_MATCH', `${JSON.stringify(source)} is no regular expression`, { cause })
  }
  return (tag) => expression.test(tag)
}

/** The rules of Python's `fnmatch.translate`: `*`, `?`, `[seq]`, `[!seq]`; a bracket that is never closed stands for itself. */
function globSource(pattern: string): string {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at)
    const close = character === '[' ? setEnd(pattern, at) : -1
    if (character === '*') source += source.endsWith('.*?') ? '' : '.*?'
    else if (character === '?') source += '.'
    else if (close === -1) source += escaped(character)
    else {
      source += setSource(pattern.slice(at + 1, close))
      at = close
    }
  }
  return `^(?:${source})$`
}

/** Where a set closes; a `]` directly after `[` or `[!` belongs to the set. */
function setEnd(pattern: string, open: number): number {
  let from = open + 1
  if (pattern.charAt(from) === '!') from++
  if (pattern.charAt(from) === ']') from++
  return pattern.indexOf(']', from)
}

function setSource(set: string): string {
  const negated = set.startsWith('!')
  const members = (negated ? set.slice(1) : set).replaceAll(/[\\\]^[]/g, '\\$&')
  return `[${negated ? '^' : ''}${members}]`
}

function escaped(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
}
