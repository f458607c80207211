export { chooseMechanism, createSaslClient, createSaslServer, SASL_MECHANISMS } from './choose.ts'
export { SaslError, type SaslErrorCode } from './errors.ts'
export type {
  SaslClient,
  SaslClientOptions,
  SaslCredentials,
  SaslLayer,
  SaslLayerWish,
  SaslServer,
  SaslServerOptions,
  SaslServerReply,
} from './mechanism.ts'
