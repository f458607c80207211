export { msgpackCodec } from './codec.ts'
export { Daemon, type DaemonOptions, type DaemonStats } from './daemon.ts'
export { DaemonError, type GuestReport, type HostReport, hostReport, stateNumber } from './routes.ts'
