const CLUSTER_BITS = 16
const CLUSTER = 1 << CLUSTER_BITS
const MAGIC = 0x514649fb
/** A cluster that nothing shares: what the tables call “copied”. */
const COPIED = 1n << 63n

/** A qcow2 image (docs/interop/qcow2.txt, version 2) of `bytes` whose first cluster begins with `start`; the rest reads as zeros. */
export function qcow2(start: Buffer, bytes: number): Buffer {
  const [refcountTable, refcountBlock, l1Table, l2Table, data] = [1, 2, 3, 4, 5].map((n) => n * CLUSTER) as [
    number,
    number,
    number,
    number,
    number,
  ] // five in, five out
  const image = Buffer.alloc(6 * CLUSTER)
  image.writeUInt32BE(MAGIC, 0)
  image.writeUInt32BE(2, 4)
  image.writeUInt32BE(CLUSTER_BITS, 20)
  image.writeBigUInt64BE(BigInt(bytes), 24)
  image.writeUInt32BE(1, 36) // entries of the L1 table: enough for 512 MiB
  image.writeBigUInt64BE(BigInt(l1Table), 40)
  image.writeBigUInt64BE(BigInt(refcountTable), 48)
  image.writeUInt32BE(1, 56) // clusters of the refcount table
  image.writeBigUInt64BE(BigInt(refcountBlock), refcountTable)
  for (let cluster = 0; cluster < 6; cluster++) image.writeUInt16BE(1, refcountBlock + 2 * cluster)
  image.writeBigUInt64BE(BigInt(l2Table) | COPIED, l1Table)
  image.writeBigUInt64BE(BigInt(data) | COPIED, l2Table)
  start.copy(image, data)
  return image
}
