/** VHD and VHDX: disks that may be the difference to another one, which they name by its path. */
import { inspectionLimits } from '../../core/limits.ts';
import { noDescriptor, unlikeOthers } from './diskGuest.ts';
import { type Check, isZero, need, textAt, unsafe } from './diskParts.ts';

const footerBytes = 512;
const kinds = { fixed: 2, dynamic: 3 } as const;

function kindOf(footer: Buffer): number {
  if (!textAt(footer, 'conectix')) throw unsafe('vhd', 'the content is no VHD.');
  return footer.readUInt32BE(60);
}

export function* vhd(): Check {
  const head = yield* need('vhd', 0, footerBytes);
  const dynamic = textAt(head, 'conectix');
  // A fixed one is the guest's disk with a footer behind it.
  if (dynamic) {
    if (kindOf(head) !== kinds.dynamic) throw unsafe('vhd', 'it is neither fixed nor dynamic.');
    yield* noDescriptor('vhd', head);
  } else yield* unlikeOthers('vhd', head);
  const { bytes, sizeBytes } = yield 'tail';
  if (sizeBytes < 2 * footerBytes) throw unsafe('vhd', 'the content ends before its footer.');
  const kind = kindOf(bytes.subarray(bytes.length - footerBytes));
  if (kind !== (dynamic ? kinds.dynamic : kinds.fixed)) throw unsafe('vhd', 'its footer is of another kind of disk.');
}

const KIB = 1024;
const tableBytes = 64 * KIB;
const metadataRegion = Buffer.from('06a27c8b90479a4bb8fe575f050f886e', 'hex');
const fileParameters = Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex');
const parentLocator = Buffer.from('2d5fd3a80bb34d45abf7d3d84834ab0c', 'hex');

const refuse = (problem: string): Error => unsafe('vhdx', problem);

export function* vhdx(): Check {
  const head = yield* need('vhdx', 0, 8);
  if (!textAt(head, 'vhdxfile')) throw refuse('the content is no VHDX.');
  yield* noDescriptor('vhdx', head, 64 * KIB);
  for (const offset of [64 * KIB, 128 * KIB]) {
    const header = yield* need('vhdx', offset, 4 * KIB);
    // A log is played when the disk is opened, and may then change whatever is looked at here.
    if (!isZero(header.subarray(48, 64))) throw refuse('it was not closed: its log is not played.');
  }
  const regions = yield* need('vhdx', 192 * KIB, tableBytes);
  const copy = yield* need('vhdx', 256 * KIB, tableBytes);
  if (!regions.equals(copy)) throw refuse('its two tables of regions differ.');
  const { offset, lengthBytes } = findMetadata(regions);
  checkMetadata(yield* need('vhdx', offset, lengthBytes));
}

function findMetadata(regions: Buffer): { readonly offset: number; readonly lengthBytes: number } {
  if (!textAt(regions, 'regi')) throw refuse('its table of regions is missing.');
  const entries = entriesOf(regions, regions.readUInt32LE(8), 16).filter((entry) =>
    entry.subarray(0, 16).equals(metadataRegion),
  );
  const [entry] = entries;
  if (!entry || entries.length > 1) throw refuse('it has not one region of metadata.');
  const offset = Number(entry.readBigUInt64LE(16));
  const lengthBytes = Math.min(entry.readUInt32LE(24), inspectionLimits.metadataBytes);
  if (!Number.isSafeInteger(offset) || offset < 1024 * KIB || lengthBytes < tableBytes)
    throw refuse('its metadata are nowhere.');
  return { offset, lengthBytes };
}

function entriesOf(table: Buffer, count: number, begin: number): Buffer[] {
  if (count > 2047) throw refuse('one of its tables has too many entries.');
  return Array.from({ length: count }, (_, index) => {
    const at = begin + index * 32;
    if (at + 32 > table.length) throw refuse('one of its tables is cut off.');
    return table.subarray(at, at + 32);
  });
}

function checkMetadata(metadata: Buffer): void {
  if (!textAt(metadata, 'metadata')) throw refuse('its metadata are missing.');
  const items = entriesOf(metadata, metadata.readUInt16LE(10), 32);
  const named = (id: Buffer) => items.filter((item) => item.subarray(0, 16).equals(id));
  if (named(parentLocator).length > 0) throw refuse('it has a parent.');
  const [parameters, another] = named(fileParameters);
  if (!parameters || another) throw refuse('it has not one set of parameters.');
  const at = parameters.readUInt32LE(16);
  if (at + 8 > metadata.length) throw refuse('its parameters are nowhere.');
  if ((metadata.readUInt32LE(at + 4) & 2) !== 0) throw refuse('it has a parent.');
}
