import { messageOf } from '../core/errors.ts'
import { enums, remote } from '../libvirt/index.ts'
import { createSaslServer, SASL_MECHANISMS, type SaslLayer, type SaslServer } from '../sasl/index.ts'
import { refusal, type SimulatorError } from './errors.ts'

/** Who may log in by SASL. */
export interface SimulatorSasl {
  /** Names and passwords. */
  readonly users: Readonly<Record<string, string>>
  /** Mechanisms to offer; all that are known by default. On plain TCP only those that encrypt are offered. */
  readonly mechanisms?: readonly string[]
}

/** A reply to SASL_START and SASL_STEP. */
type Reply = remote.RemoteAuthSaslStepRet

/** The login of one client (remote_daemon_dispatch.c: remoteDispatchAuthSasl…). */
export class Authentication {
  readonly #sasl: SimulatorSasl | undefined
  /** Whether the bytes are secret already: UNIX sockets and TLS. */
  readonly #isSecure: boolean
  #server: SaslServer | undefined
  #isDone: boolean

  constructor(sasl: SimulatorSasl | undefined, isSecure: boolean) {
    this.#sasl = sasl
    this.#isSecure = isSecure
    this.#isDone = sasl === undefined
  }

  /** Whether the client may call what it likes. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Authentications to be done: one of remote_auth_type. */
  get types(): number[] {
    return [this.#isDone ? remote.REMOTE_AUTH_NONE : remote.REMOTE_AUTH_SASL]
  }

  get mechanisms(): string {
    return this.#offered().join(',')
  }

  /** What goes around all bytes after the reply that completes the login. */
  get layer(): SaslLayer | undefined {
    return this.#isDone ? this.#server?.layer : undefined
  }

  async start(mechanism: string, data: Buffer | undefined): Promise<Reply> {
    if (!this.#sasl || this.#server || !this.#offered().includes(mechanism)) throw failed()
    const { users } = this.#sasl
    this.#server = createSaslServer(mechanism, {
      password: (name) => (Object.hasOwn(users, name) ? users[name] : undefined),
      service: 'libvirt',
      host: 'localhost',
      layer: this.#isSecure ? 'none' : 'required',
    })
    return await this.step(data)
  }

  async step(data: Buffer | undefined): Promise<Reply> {
    if (!this.#server || this.#isDone) throw failed()
    try {
      const { complete, data: answer } = await this.#server.step(data)
      this.#isDone = complete
      return {
        complete: complete ? 1 : 0,
        nil: answer === undefined ? 1 : 0,
        data: answer ?? Buffer.alloc(0),
      }
    } catch (error) {
      this.#server = undefined
      throw failed(messageOf(error))
    }
  }

  #offered(): readonly string[] {
    const wanted = this.#sasl?.mechanisms ?? SASL_MECHANISMS
    return this.#isSecure ? wanted : wanted.filter((name) => name === 'DIGEST-MD5')
  }
}

function failed(why = 'not offered, or out of order'): SimulatorError {
  const { VIR_ERR_AUTH_FAILED } = enums.virErrorNumber
  return refusal(VIR_ERR_AUTH_FAILED, `authentication failed: ${why}`, enums.virErrorDomain.VIR_FROM_RPC)
}
