import { enums, type Procedure, remote } from '../../libvirt/index.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { type Pool, poolReference, poolXml } from '../state/pools.ts'
import { changes, flag, type Handler, handles, listed, passes } from './handler.ts'

const { virConnectListAllStoragePoolsFlags: LIST, virStoragePoolState } = enums

type PoolArgs = { pool: remote.RemoteNonnullStoragePool }

function asks<Args extends PoolArgs, Result>(
  procedure: Procedure<Args, Result>,
  answer: (pool: Pool, args: Args) => Result,
): Handler {
  return handles(procedure, (args, { hypervisor }) => answer(hypervisor.pools.find(args.pool), args))
}

function acts<Args extends PoolArgs>(
  procedure: Procedure<Args, undefined>,
  act: (pool: Pool, pools: Hypervisor['pools'], args: Args) => void,
): Handler {
  return changes(procedure, (args, { hypervisor }) => {
    act(hypervisor.pools.find(args.pool), hypervisor.pools, args)
    return undefined
  })
}

/** Storage pools; they hold no volumes. */
export const POOL_HANDLERS: readonly Handler[] = [
  handles(remote.REMOTE_PROC_CONNECT_LIST_ALL_STORAGE_POOLS, ({ need_results, flags }, { hypervisor }) => {
    const found = hypervisor.pools.list().filter((pool) => isListed(pool, flags))
    const { items, ret } = listed(found.map(poolReference), need_results)
    return { pools: items, ret }
  }),
  handles(remote.REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_NAME, ({ name }, { hypervisor }) => ({
    pool: poolReference(hypervisor.pools.byName(name)),
  })),
  handles(remote.REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_UUID, ({ uuid }, { hypervisor }) => ({
    pool: poolReference(hypervisor.pools.byUuid(uuid)),
  })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_GET_INFO, (pool) => ({
    state: pool.active
      ? virStoragePoolState.VIR_STORAGE_POOL_RUNNING
      : virStoragePoolState.VIR_STORAGE_POOL_INACTIVE,
    capacity: pool.active ? pool.capacityBytes : 0,
    allocation: pool.active ? pool.allocationBytes : 0,
    available: pool.active ? pool.capacityBytes - pool.allocationBytes : 0,
  })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_GET_XML_DESC, (pool) => ({ xml: poolXml(pool) })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_GET_AUTOSTART, (pool) => ({ autostart: flag(pool.autostart) })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_IS_ACTIVE, (pool) => ({ active: flag(pool.active) })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_IS_PERSISTENT, (pool) => ({ persistent: flag(pool.persistent) })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_NUM_OF_VOLUMES, () => ({ num: 0 })),
  asks(remote.REMOTE_PROC_STORAGE_POOL_LIST_ALL_VOLUMES, () => ({ vols: [], ret: 0 })),
  acts(remote.REMOTE_PROC_STORAGE_POOL_CREATE, (pool, pools) => pools.start(pool)),
  acts(remote.REMOTE_PROC_STORAGE_POOL_BUILD, (pool, pools) => pools.build(pool)),
  acts(remote.REMOTE_PROC_STORAGE_POOL_DESTROY, (pool, pools) => pools.stop(pool)),
  acts(remote.REMOTE_PROC_STORAGE_POOL_DELETE, (pool, pools) => pools.delete(pool)),
  acts(remote.REMOTE_PROC_STORAGE_POOL_REFRESH, (pool, pools) => pools.refresh(pool)),
  acts(remote.REMOTE_PROC_STORAGE_POOL_UNDEFINE, (pool, pools) => pools.undefine(pool)),
  acts(remote.REMOTE_PROC_STORAGE_POOL_SET_AUTOSTART, (pool, pools, { autostart }) =>
    pools.setAutostart(pool, autostart !== 0),
  ),
  changes(remote.REMOTE_PROC_STORAGE_POOL_DEFINE_XML, ({ xml }, { hypervisor }) => ({
    pool: poolReference(hypervisor.pools.defineXml(xml)),
  })),
  changes(remote.REMOTE_PROC_STORAGE_POOL_CREATE_XML, ({ xml }, { hypervisor }) => ({
    pool: poolReference(hypervisor.pools.createXml(xml)),
  })),
]

function isListed(pool: Pool, flags: number): boolean {
  return passes(flags, [
    [
      [LIST.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE, pool.active],
      [LIST.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE, !pool.active],
    ],
    [
      [LIST.VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT, pool.persistent],
      [LIST.VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT, !pool.persistent],
    ],
    [
      [LIST.VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART, pool.autostart],
      [LIST.VIR_CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART, !pool.autostart],
    ],
  ])
}
