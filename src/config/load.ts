import { readFile } from 'node:fs/promises'
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { codeOf } from '../core/errors.ts'
import { ConfigError } from './errors.ts'
import { type Config, configSchema } from './schema.ts'

/** A configuration is some kilobytes; a file over this is something else. */
const CONFIG_BYTES_MAX = 1024 * 1024
/** Aliases of YAML that may be followed, against documents that grow without bound. */
const ALIASES_MAX = 100

/**
 * Reads a configuration file.
 *
 * @throws {ConfigError} `ERR_CONFIG_READ`, `ERR_CONFIG_SYNTAX`, `ERR_CONFIG_INVALID`.
 */
export async function loadConfig(path: string): Promise<Config> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError('ERR_CONFIG_READ', `cannot read ${path}: ${codeOf(error)}`, { cause: error })
  }
  return parseConfig(text, path)
}

/**
 * Parses a configuration; `name` stands for the file in messages.
 *
 * @throws {ConfigError} `ERR_CONFIG_SYNTAX` or `ERR_CONFIG_INVALID`, with line and key.
 */
export function parseConfig(text: string, name: string): Config {
  if (text.length > CONFIG_BYTES_MAX)
    throw new ConfigError('ERR_CONFIG_READ', `${name} is over ${CONFIG_BYTES_MAX} bytes`)
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter })
  const [problem] = document.errors
  if (problem) {
    const { line, col } = lineCounter.linePos(problem.pos[0])
    const [what] = problem.message.split(' at line ')
    throw new ConfigError('ERR_CONFIG_SYNTAX', `${name}:${line}:${col}: ${what}`, { cause: problem })
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: ALIASES_MAX })
  } catch (error) {
    throw new ConfigError('ERR_CONFIG_SYNTAX', `${name}: too many aliases`, { cause: error })
  }
  const result = configSchema.safeParse(value ?? {})
  if (result.success) return result.data
  throw invalid(result.error.issues, document, lineCounter, name)
}

function invalid(
  issues: readonly z.core.$ZodIssue[],
  document: Document,
  lines: LineCounter,
  name: string,
): ConfigError {
  const texts = issues
    .flatMap((issue) => describe(issue))
    .map(({ path, text }) => {
      const offset = offsetOf(document, path)
      const line = offset === undefined ? 1 : lines.linePos(offset).line
      return `${name}:${line}: ${path.join('.') || 'the file'}: ${text}`
    })
  return new ConfigError('ERR_CONFIG_INVALID', [...new Set(texts)].join('\n'))
}

interface Complaint {
  path: readonly PropertyKey[]
  text: string
}

function describe(issue: z.core.$ZodIssue, parent: readonly PropertyKey[] = []): Complaint[] {
  const path = [...parent, ...issue.path]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], text: 'unknown key' }))
  if (issue.code !== 'invalid_union') return [{ path, text: issue.message }]
  // The branch that got furthest is the one that was meant.
  const branches = issue.errors.map((errors) => errors.flatMap((inner) => describe(inner, path)))
  const deepest = branches.toSorted((a, b) => depth(b) - depth(a))[0]
  if (deepest !== undefined && depth(deepest) > path.length) return deepest
  const isEngine = path[0] === 'engines' && path.length === 2
  if (isEngine) return [{ path, text: "expected 'libvirt_events' or a map of it to its settings" }]
  return [{ path, text: branches.flatMap((branch) => branch.map(({ text }) => text)).join(', or ') }]
}

function depth(complaints: readonly Complaint[]): number {
  return Math.max(0, ...complaints.map(({ path }) => path.length))
}

/** Where a key stands in the text; for a key that is missing, where its map begins. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  const parent = document.getIn(path.slice(0, -1), true)
  const last = path.at(-1)
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === last)
    if (pair && isNode(pair.key)) return pair.key.range?.[0]
  }
  const node = document.getIn(path, true)
  if (isNode(node)) return node.range?.[0]
  return isNode(parent) ? parent.range?.[0] : undefined
}
