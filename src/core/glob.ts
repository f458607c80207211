/**
 * Compiles a glob with the rules of Python's `fnmatch.fnmatchcase`, which Salt uses: `*` any characters
 * (also `/`), `?` one, `[seq]` one of, `[!seq]` none of; there is no escape but `[*]`.
 *
 * Linear in the length of the tag for each `*`: never a backtracking regular expression.
 */
export function globMatcher(pattern: string): (tag: string) => boolean {
  if (/^\*+$/.test(pattern)) return () => true
  const star = pattern.indexOf('*')
  if (!/[?[]/.test(pattern) && (star === -1 || star === pattern.length - 1)) {
    if (star === -1) return (tag) => tag === pattern
    const prefix = pattern.slice(0, -1)
    return (tag) => tag.startsWith(prefix)
  }
  const parts = parse(pattern)
  return (tag) => matches(parts, [...tag])
}

type Part = 'star' | ((char: string) => boolean)

function parse(pattern: string): Part[] {
  const chars = [...pattern]
  const parts: Part[] = []
  for (let i = 0; i < chars.length; i++) {
    const end = chars[i] === '[' ? setEnd(chars, i) : -1
    if (end !== -1) {
      parts.push(characterSet(chars.slice(i + 1, end)))
      i = end
    } else if (chars[i] !== '*' || parts.at(-1) !== 'star') parts.push(singlePart(chars[i] ?? ''))
  }
  return parts
}

/** As in fnmatch, a bracket that is never closed stands for itself. */
function singlePart(char: string): Part {
  if (char === '*') return 'star'
  return char === '?' ? () => true : (other) => other === char
}

/** Where the set that opens at `start` closes; a `]` directly after `[` or `[!` belongs to the set. */
function setEnd(chars: readonly string[], start: number): number {
  let from = start + 1
  if (chars[from] === '!') from++
  if (chars[from] === ']') from++
  return chars.indexOf(']', from)
}

function characterSet(body: readonly string[]): (char: string) => boolean {
  const negated = body[0] === '!'
  const members = negated ? body.slice(1) : body
  const ranges: [low: string, high: string][] = []
  for (let i = 0; i < members.length; i++) {
    const low = members[i] ?? ''
    const high = members[i + 2]
    if (members[i + 1] === '-' && high !== undefined) {
      ranges.push([low, high])
      i += 2
    } else ranges.push([low, low])
  }
  return (char) => ranges.some(([low, high]) => char >= low && char <= high) !== negated
}

/** Greedy matching with one point to come back to: the last star. */
function matches(parts: readonly Part[], tag: readonly string[]): boolean {
  let part = 0
  let at = 0
  let starPart = -1
  let starAt = 0
  while (at < tag.length) {
    const current = parts[part]
    if (current === 'star') {
      starPart = part++
      starAt = at
    } else if (current?.(tag[at] ?? '')) {
      part++
      at++
    } else if (starPart !== -1) {
      part = starPart + 1
      at = ++starAt
    } else return false
  }
  while (parts[part] === 'star') part++
  return part === parts.length
}
