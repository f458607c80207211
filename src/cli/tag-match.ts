import { globMatcher } from '../core/glob.ts'

/**
 * Matches tags as `salt-run state.event` does: the expression as a glob, or as a regular expression over the whole tag.
 * What is no valid regular expression is a glob only.
 */
export function tagExpression(expression: string): (tag: string) => boolean {
  const glob = globMatcher(expression)
  let regex: RegExp | undefined
  try {
    regex = new RegExp(`^(?:${expression})$`, 's')
  } catch {
    // A glob such as `*` is no regular expression, and need not be.
  }
  return (tag) => glob(tag) || (regex?.test(tag) ?? false)
}

/**
 * The same as Salt has it to the letter: the expression is not put in brackets, so that `a|b` is what begins with `a`, or `b` alone
 * (`expr_match` of salt/utils/stringutils.py). Expressions are JavaScript's, in which Python's `(?P<name>…)`, `\A` and `\Z` are accepted too.
 */
export function saltExpression(expression: string): (tag: string) => boolean {
  const glob = globMatcher(expression)
  const source = expression.replaceAll('(?P<', '(?<').replaceAll(/^\\A/g, '^').replaceAll(/\\Z$/g, '$')
  let sticky: RegExp
  try {
    sticky = new RegExp(`^${source}$`, 'y')
  } catch {
    return glob
  }
  return (tag) => {
    sticky.lastIndex = 0
    return glob(tag) || sticky.test(tag)
  }
}
