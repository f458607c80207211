export { msgpackCodec } from './codec.ts'
export { Daemon, type DaemonOptions } from './daemon.ts'
