/**
 * VMDK (Virtual Disk Format 5.0): one file that holds everything, so of the kinds monolithicSparse and streamOptimized. A descriptor may
 * name files for its extents and for a parent, by any path.
 */
import { inspectionLimits } from '../../core/limits.ts';
import { type Check, isZero, need, textAt, unsafe } from './diskParts.ts';

const refuse = (problem: string): Error => unsafe('vmdk', problem);

const sectorBytes = 512;
/** QEMU looks for the descriptor there, whatever the header says. */
const descriptorSector = 1n;
const directoryAtEnd = 0xffff_ffff_ffff_ffffn;

interface Header {
  readonly capacity: bigint;
  readonly descriptorOffset: bigint;
  readonly descriptorSectors: bigint;
  readonly directoryOffset: bigint;
}

function readHeader(bytes: Buffer): Header {
  if (!textAt(bytes, 'KDMV')) throw refuse('the content is no VMDK that holds its disk itself.');
  const version = bytes.readUInt32LE(4);
  if (version < 1 || version > 3) throw refuse(`version ${version} is not known.`);
  const header = {
    capacity: bytes.readBigUInt64LE(12),
    descriptorOffset: bytes.readBigUInt64LE(28),
    descriptorSectors: bytes.readBigUInt64LE(36),
    directoryOffset: bytes.readBigUInt64LE(56),
  };
  // Without a capacity, QEMU takes the descriptor for all there is, and follows its extents.
  if (header.capacity === 0n) throw refuse('it has no capacity.');
  return header;
}

export function* vmdk(): Check {
  const header = readHeader(yield* need('vmdk', 0, sectorBytes));
  const { descriptorOffset, descriptorSectors, directoryOffset } = header;
  if (descriptorOffset !== descriptorSector) throw refuse('its descriptor is not where it belongs.');
  if (descriptorSectors < 1n || descriptorSectors > BigInt(inspectionLimits.descriptorBytes / sectorBytes))
    throw refuse('its descriptor has no possible size.');
  checkDescriptor(yield* need('vmdk', sectorBytes, Number(descriptorSectors) * sectorBytes));
  if (directoryOffset === directoryAtEnd) yield* checkFooter(header);
}

function checkDescriptor(bytes: Buffer): void {
  // Whoever reads it as a text of C goes on behind the descriptor where nothing ends it.
  const end = bytes.indexOf(0);
  if (end < 0 || !isZero(bytes.subarray(end))) throw refuse('its descriptor does not end.');
  const text = bytes.toString('latin1', 0, end);
  // QEMU looks for it in the whole text, in comments and in the values of others, too.
  if (/parentfilenamehint/i.test(text)) throw refuse('it has a parent.');
  const lines = text
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const settings = new Map<string, string[]>();
  const extents: string[] = [];
  for (const line of lines) {
    const setting = /^([\w.:-]+)\s*=\s*"?([^"]*)"?$/.exec(line);
    if (setting) {
      const [, key = '', value = ''] = setting;
      settings.set(key.toLowerCase(), [...(settings.get(key.toLowerCase()) ?? []), value.trim()]);
    } else extents.push(line);
  }
  const types = settings.get('createtype') ?? [];
  if (types.length !== 1 || !/^(monolithicSparse|streamOptimized)$/.test(types[0] ?? ''))
    throw refuse('it is of another kind than monolithicSparse and streamOptimized.');
  const parents = settings.get('parentcid') ?? [];
  if (!parents.every((cid) => /^f{8}$/i.test(cid))) throw refuse('it has a parent.');
  if (settings.has('changetrackpath')) throw refuse('it names a file of changes.');
  if (extents.length !== 1 || !/^(RW|RDONLY) \d+ SPARSE "[^"/\\]*"$/.test(extents[0] ?? ''))
    throw refuse('its extents are not the one that it holds itself.');
}

/** Marker, header, marker of the end: of a stream that was written without going back, this second header is the one that counts. */
function* checkFooter(header: Header): Check {
  const { bytes } = yield 'tail';
  if (bytes.length < 3 * sectorBytes) throw refuse('its footer is missing.');
  const last = bytes.subarray(bytes.length - 3 * sectorBytes);
  const footer = readHeader(last.subarray(sectorBytes, 2 * sectorBytes));
  const same = footer.capacity === header.capacity && footer.descriptorOffset === header.descriptorOffset;
  if (!same || footer.descriptorSectors !== header.descriptorSectors || footer.directoryOffset === directoryAtEnd)
    throw refuse('its footer is not that of its header.');
  if (!isZero(last.subarray(2 * sectorBytes))) throw refuse('something follows its footer.');
}
