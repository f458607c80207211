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
