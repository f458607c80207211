import { VirbusError } from '../core/errors.ts'

/**
 * A configuration that cannot be used; the message names file, line and key.
 *
 * - `ERR_CONFIG_READ`: the file cannot be read.
 * - `ERR_CONFIG_SYNTAX`: it is not YAML.
 * - `ERR_CONFIG_INVALID`: a key is unknown or a value is not what the key takes.
 */
export class ConfigError extends VirbusError<
  'ERR_CONFIG_READ' | 'ERR_CONFIG_SYNTAX' | 'ERR_CONFIG_INVALID'
> {}
