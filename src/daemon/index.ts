export { msgpackCodec } from './codec.ts'
export { Daemon, type DaemonOptions, type DaemonStats } from './daemon.ts'
