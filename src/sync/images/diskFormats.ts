/** What each disk format must look like, and what of it may name other files. */
import { guestDisk, iso, noDescriptor } from './diskGuest.ts';
import { type Check, isZero, need, textAt, unsafe } from './diskParts.ts';
import { vhd, vhdx } from './diskVhd.ts';
import { vmdk } from './diskVmdk.ts';

/** Dirty, corrupt, compression, extended L2 entries. Bit 2 is an external data file; nobody knows what later ones will be. */
const qcow2Features = 0b11011n;

function* qcow2(): Check {
  const head = yield* need('qcow2', 0, 72);
  if (!textAt(head, 'QFI\u00fb')) throw unsafe('qcow2', 'the content is no qcow2.');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw unsafe('qcow2', `version ${version} is not known.`);
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0) throw unsafe('qcow2', 'it has a backing file.');
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw unsafe('qcow2', 'its clusters have no possible size.');
  if (version === 2) return;
  const more = yield* need('qcow2', 72, 32);
  const features = more.readBigUInt64BE(0);
  if ((features & 4n) !== 0n) throw unsafe('qcow2', 'it has an external data file.');
  if ((features & ~qcow2Features) !== 0n) throw unsafe('qcow2', 'it has features that are not known.');
  const headerBytes = more.readUInt32BE(28);
  if (headerBytes < 104 || headerBytes % 8 !== 0 || headerBytes > 2 ** clusterBits)
    throw unsafe('qcow2', 'its header has no possible length.');
}

function* vdi(): Check {
  const head = yield* need('vdi', 0, 456);
  if (head.readUInt32LE(64) !== 0xbeda107f) throw unsafe('vdi', 'the content is no VDI.');
  const type = head.readUInt32LE(76);
  if (type !== 1 && type !== 2) throw unsafe('vdi', 'it is part of a chain of images.');
  if (!isZero(head.subarray(424, 456))) throw unsafe('vdi', 'it has a parent.');
  yield* noDescriptor('vdi', head);
}

function* ploop(): Check {
  const head = yield* need('ploop', 0, 16);
  if (!textAt(head, 'WithoutFreeSpace') && !textAt(head, 'WithouFreSpacExt'))
    throw unsafe('ploop', 'the content is no ploop image.');
  yield* noDescriptor('ploop', head);
}

const checks: ReadonlyMap<string, () => Check> = new Map([
  ['raw', () => guestDisk('raw')],
  // A file system, a kernel and its RAM disk are whatever they are, but none of them is a disk image of another kind.
  ['ami', () => guestDisk('ami')],
  ['aki', () => guestDisk('aki')],
  ['ari', () => guestDisk('ari')],
  ['iso', iso],
  ['qcow2', qcow2],
  ['vmdk', vmdk],
  ['vhd', vhd],
  ['vhdx', vhdx],
  ['vdi', vdi],
  ['ploop', ploop],
]);

export const checkOf = (diskFormat: string | null): (() => Check) | undefined =>
  diskFormat === null ? undefined : checks.get(diskFormat);
