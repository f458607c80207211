export { askControl, askControlLines } from './control-client.ts'
export { type ControlOptions, ControlServer, type Route } from './control-server.ts'
export { HttpError } from './errors.ts'
export { toJson } from './json.ts'
