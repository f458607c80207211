export { ConfigError } from './errors.ts'
export { loadConfig, parseConfig } from './load.ts'
export type { Config, EngineConfig, JournalConfig } from './schema.ts'
