import { enums, remote } from '../../libvirt/index.ts'
import { flag, type Handler, handles } from './handler.ts'

/** `VIR_DRV_FEATURE_…` of src/libvirt_internal.h: what a client asks for by number. */
const FEATURE_KEEPALIVE = 10
const FEATURE_EVENT_CALLBACK = 14
const FEATURE_CLOSE_CALLBACK = 15
const FEATURES: ReadonlySet<number> = new Set([
  FEATURE_KEEPALIVE,
  FEATURE_EVENT_CALLBACK,
  FEATURE_CLOSE_CALLBACK,
])

/** `VIR_CONNECT_RO` of libvirt-host.h. */
const CONNECT_READ_ONLY = 1
const CONNECT_FLAGS = 3

/** What `connect_get_uri` answers, and the name that `connect_open` takes. */
export const HYPERVISOR_URI = 'test:///default'

const early = { early: true }
const login = { early: true, beforeLogin: true }

/** Opening, closing and questions about the connection. */
export const CONNECT_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_AUTH_LIST, (_, { session }) => ({ types: session.authentication.types }), login),
  handles(
    remote.REMOTE_PROC_AUTH_SASL_INIT,
    (_, { session }) => ({ mechlist: session.authentication.mechanisms }),
    login,
  ),
  handles(
    remote.REMOTE_PROC_AUTH_SASL_START,
    ({ mech, nil, data }, { session }) => session.authentication.start(mech, nil === 0 ? data : undefined),
    login,
  ),
  handles(
    remote.REMOTE_PROC_AUTH_SASL_STEP,
    ({ nil, data }, { session }) => session.authentication.step(nil === 0 ? data : undefined),
    login,
  ),
  handles(
    remote.REMOTE_PROC_CONNECT_SUPPORTS_FEATURE,
    ({ feature }, { session }) => {
      if (feature === FEATURE_KEEPALIVE) session.enableKeepalive()
      return { supported: flag(FEATURES.has(feature)) }
    },
    early,
  ),
  handles(
    remote.REMOTE_PROC_CONNECT_OPEN,
    ({ name, flags }, { session }) => {
      session.open({ name, readOnly: (flags & CONNECT_FLAGS & CONNECT_READ_ONLY) !== 0 })
      return undefined
    },
    early,
  ),
  handles(
    remote.REMOTE_PROC_CONNECT_CLOSE,
    (_, { session }) => {
      session.close()
      return undefined
    },
    early,
  ),
  handles(remote.REMOTE_PROC_CONNECT_GET_URI, () => ({ uri: HYPERVISOR_URI })),
  handles(remote.REMOTE_PROC_CONNECT_GET_HOSTNAME, (_, { hostname }) => ({ hostname })),
  handles(remote.REMOTE_PROC_CONNECT_GET_TYPE, () => ({ type: 'TEST' })),
  handles(remote.REMOTE_PROC_CONNECT_GET_VERSION, () => ({ hv_ver: 2 })),
  handles(remote.REMOTE_PROC_CONNECT_GET_LIB_VERSION, (_, { libVersion }) => ({ lib_ver: libVersion })),
  handles(remote.REMOTE_PROC_CONNECT_IS_SECURE, () => ({ secure: 1 })),
  handles(remote.REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, (_, { session }) => {
    session.setCloseCallback(true)
    return undefined
  }),
  handles(remote.REMOTE_PROC_CONNECT_UNREGISTER_CLOSE_CALLBACK, (_, { session }) => {
    session.setCloseCallback(false)
    return undefined
  }),
  handles(remote.REMOTE_PROC_NODE_GET_SECURITY_MODEL, () => ({
    model: Buffer.from('testSecurity\0'),
    doi: Buffer.from('\0'),
  })),
  handles(remote.REMOTE_PROC_NODE_GET_INFO, () => ({
    model: Buffer.from('x86_64'.padEnd(32, '\0')),
    memory: 67_108_864,
    cpus: 16,
    mhz: 2400,
    nodes: 1,
    sockets: 1,
    cores: 8,
    threads: 2,
  })),
]

/** The procedures that register and deregister callbacks. */
export const EVENT_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, ({ eventID, dom }, { session }) => ({
    callbackID: session.register({ object: 'domain', eventId: eventID, key: dom?.uuid }),
  })),
  handles(remote.REMOTE_PROC_CONNECT_NETWORK_EVENT_REGISTER_ANY, ({ eventID, net }, { session }) => ({
    callbackID: session.register({ object: 'network', eventId: eventID, key: net?.uuid }),
  })),
  handles(remote.REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY, ({ eventID, pool }, { session }) => ({
    callbackID: session.register({ object: 'pool', eventId: eventID, key: pool?.uuid }),
  })),
  handles(remote.REMOTE_PROC_CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY, ({ eventID, dev }, { session }) => ({
    callbackID: session.register({ object: 'nodedev', eventId: eventID, key: dev?.name }),
  })),
  handles(remote.REMOTE_PROC_CONNECT_SECRET_EVENT_REGISTER_ANY, ({ eventID, secret }, { session }) => ({
    callbackID: session.register({ object: 'secret', eventId: eventID, key: secret?.uuid }),
  })),
  handles(remote.REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, ({ callbackID }, { session }) => {
    session.deregister('domain', callbackID)
    return undefined
  }),
  handles(remote.REMOTE_PROC_CONNECT_NETWORK_EVENT_DEREGISTER_ANY, ({ callbackID }, { session }) => {
    session.deregister('network', callbackID)
    return undefined
  }),
  handles(remote.REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY, ({ callbackID }, { session }) => {
    session.deregister('pool', callbackID)
    return undefined
  }),
  handles(remote.REMOTE_PROC_CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY, ({ callbackID }, { session }) => {
    session.deregister('nodedev', callbackID)
    return undefined
  }),
  handles(remote.REMOTE_PROC_CONNECT_SECRET_EVENT_DEREGISTER_ANY, ({ callbackID }, { session }) => {
    session.deregister('secret', callbackID)
    return undefined
  }),
]

/** `VIR_CONNECT_CLOSE_REASON_EOF`: what a client is told when the hypervisor goes away. */
export const CLOSE_REASON: number = enums.virConnectCloseReason.VIR_CONNECT_CLOSE_REASON_EOF
