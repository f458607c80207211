/** The runners there are. */
export const RUNNERS = ['state.event', 'event.send'] as const
export type Runner = (typeof RUNNERS)[number]

/** The modules there are. */
export const MODULES = ['event.fire', 'event.fire_master', 'event.send'] as const
export type Module = (typeof MODULES)[number]

/** Salt's outputters, as far as they print the returns of these; the first is the default. */
export const OUTPUTTERS = [
  'nested',
  'json',
  'yaml',
  'txt',
  'text',
  'raw',
  'pprint',
  'newline_values_only',
  'quiet',
] as const
export type Outputter = (typeof OUTPUTTERS)[number]
