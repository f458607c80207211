import { remote } from '../../libvirt/index.ts'
import { secretReference, secretXml } from '../state/secrets.ts'
import { changes, type Handler, handles, listed } from './handler.ts'

/** Secrets. */
export const SECRET_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_CONNECT_LIST_ALL_SECRETS, ({ need_results }, { hypervisor }) => {
    const { items, ret } = listed(hypervisor.secrets.list().map(secretReference), need_results)
    return { secrets: items, ret }
  }),
  handles(remote.REMOTE_PROC_CONNECT_NUM_OF_SECRETS, (_, { hypervisor }) => ({
    num: hypervisor.secrets.list().length,
  })),
  handles(remote.REMOTE_PROC_SECRET_LOOKUP_BY_UUID, ({ uuid }, { hypervisor }) => ({
    secret: secretReference(hypervisor.secrets.byUuid(uuid)),
  })),
  handles(remote.REMOTE_PROC_SECRET_LOOKUP_BY_USAGE, ({ usageType, usageID }, { hypervisor }) => ({
    secret: secretReference(hypervisor.secrets.byUsage(usageType, usageID)),
  })),
  handles(remote.REMOTE_PROC_SECRET_GET_XML_DESC, ({ secret }, { hypervisor }) => ({
    xml: secretXml(hypervisor.secrets.byUuid(secret.uuid)),
  })),
  changes(remote.REMOTE_PROC_SECRET_DEFINE_XML, ({ xml }, { hypervisor }) => ({
    secret: secretReference(hypervisor.secrets.defineXml(xml)),
  })),
  changes(remote.REMOTE_PROC_SECRET_UNDEFINE, ({ secret }, { hypervisor }) => {
    hypervisor.secrets.undefine(hypervisor.secrets.byUuid(secret.uuid))
    return undefined
  }),
  changes(remote.REMOTE_PROC_SECRET_SET_VALUE, ({ secret, value }, { hypervisor }) => {
    hypervisor.secrets.setValue(hypervisor.secrets.byUuid(secret.uuid), value)
    return undefined
  }),
  changes(remote.REMOTE_PROC_SECRET_GET_VALUE, ({ secret }, { hypervisor }) => ({
    value: hypervisor.secrets.value(hypervisor.secrets.byUuid(secret.uuid)),
  })),
]
