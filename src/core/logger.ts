type LogMethod = (fields: Record<string, unknown>, message: string) => void

/** What rooms need of a logger; pino's `Logger` is one. Fields first, then a constant message. */
export interface Logger {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
}

const ignore: LogMethod = () => {}

/** Says nothing; the default of library entry points. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
