export { ConfigError } from './errors.ts'
export { loadConfig, parseConfig } from './load.ts'
export type { AccessConfig, Config, EngineConfig, JournalConfig, SocketConfig } from './schema.ts'
