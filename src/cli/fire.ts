import { text } from 'node:stream/consumers'
import { VirbusError } from '../core/errors.ts'
import { type BusOptions, connectBus } from './bus-options.ts'
import { parseExactJson } from './exact-json.ts'
import { EXIT } from './output.ts'

/** `ERR_CLI_DATA`: the data on the command line is not a JSON object. */
class CliError extends VirbusError<'ERR_CLI_DATA'> {}

/** `virbus fire`: fires one event; `data` is a JSON object, `-` reads it from standard input. */
export async function fire(tag: string, data: string, options: BusOptions): Promise<number> {
  const value = parse(data === '-' ? await text(process.stdin) : data)
  await using client = await connectBus(options)
  await client.fire(tag, value)
  return EXIT.OK
}

function parse(source: string): Record<string, unknown> {
  let value: unknown
  try {
    value = parseExactJson(source)
  } catch (error) {
    throw new CliError(
      'ERR_CLI_DATA',
      `the data is not JSON: ${error instanceof Error ? error.message : error}`,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CliError('ERR_CLI_DATA', 'the data has to be a JSON object, such as \'{"key": "value"}\'')
  return value as Record<string, unknown> // an object that is neither null nor an array
}
