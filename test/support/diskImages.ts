/** Disk images made by hand, byte by byte, as small as their formats allow. */

export type Bytes = Buffer;

const KIB = 1024;

/** A qcow2 without content. */
export function qcow2({ version = 3, backing = '', features = 0n, headerBytes = 104 } = {}): Bytes {
  const bytes = Buffer.alloc(64 * KIB);
  bytes.write('QFI\u00fb', 'latin1');
  bytes.writeUInt32BE(version, 4);
  if (backing) {
    bytes.writeBigUInt64BE(512n, 8);
    bytes.writeUInt32BE(backing.length, 16);
    bytes.write(backing, 512);
  }
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(1n << 20n, 24);
  if (version === 3) {
    bytes.writeBigUInt64BE(features, 72);
    bytes.writeUInt32BE(4, 96);
    bytes.writeUInt32BE(headerBytes, 100);
  }
  return bytes;
}

const descriptorOf = (createType: string, extents: readonly string[], more = '') =>
  `# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="${createType}"\n${more}\n# Extent description\n${extents.join('\n')}\n\n# The Disk Data Base\nddb.adapterType = "ide"\n`;

export interface VmdkOptions {
  readonly createType?: string;
  readonly extents?: readonly string[];
  readonly more?: string;
  readonly capacity?: bigint;
  readonly descriptorSector?: bigint;
  /** Written without going back: the header that counts is at the end. */
  readonly stream?: boolean;
  /** Capacity that the header at the end says. */
  readonly footerCapacity?: bigint;
  readonly descriptor?: string;
}

export function vmdk(options: VmdkOptions = {}): Bytes {
  const { stream = false, createType = stream ? 'streamOptimized' : 'monolithicSparse', more } = options;
  const { extents = ['RW 2048 SPARSE "disk.vmdk"'], capacity = 2048n, descriptorSector = 1n } = options;
  const header = Buffer.alloc(512);
  header.write('KDMV');
  header.writeUInt32LE(stream ? 3 : 1, 4);
  header.writeBigUInt64LE(capacity, 12);
  header.writeBigUInt64LE(128n, 20);
  header.writeBigUInt64LE(descriptorSector, 28);
  header.writeBigUInt64LE(20n, 36);
  header.writeBigUInt64LE(stream ? 0xffff_ffff_ffff_ffffn : 26n, 56);
  const descriptor = Buffer.alloc(20 * 512);
  descriptor.write(options.descriptor ?? descriptorOf(createType, extents, more));
  const parts = [header, descriptor, Buffer.alloc(8 * KIB, 1)];
  if (stream) {
    const footer = Buffer.from(header);
    footer.writeBigUInt64LE(26n, 56);
    footer.writeBigUInt64LE(options.footerCapacity ?? capacity, 12);
    const marker = Buffer.alloc(512);
    marker.writeUInt32LE(3, 12);
    parts.push(marker, footer, Buffer.alloc(512));
  }
  return Buffer.concat(parts);
}

/** `kind`: 2 fixed, 3 dynamic, 4 a difference. */
export function vhd(options: { kind?: number; endKind?: number; guest?: Bytes } = {}): Bytes {
  const { kind = 3, endKind = kind } = options;
  const guest: Bytes = options.guest ?? Buffer.alloc(2048, 7);
  const footer = (of: number) => {
    const bytes = Buffer.alloc(512);
    bytes.write('conectix');
    bytes.writeUInt32BE(of, 60);
    return bytes;
  };
  return Buffer.concat([...(kind === 2 ? [] : [footer(kind)]), guest, footer(endKind)]);
}

const guid = (text: string) => Buffer.from(text, 'hex');

export function vhdx({ hasParent = false, locator = false, log = false, copy = true } = {}): Bytes {
  const bytes = Buffer.alloc(3 * 1024 * KIB);
  bytes.write('vhdxfile');
  for (const at of [64 * KIB, 128 * KIB]) {
    bytes.write('head', at);
    if (log) bytes.fill(9, at + 48, at + 64);
  }
  for (const at of [192 * KIB, 256 * KIB]) {
    bytes.write('regi', at);
    bytes.writeUInt32LE(1, at + 8);
    guid('06a27c8b90479a4bb8fe575f050f886e').copy(bytes, at + 16);
    bytes.writeBigUInt64LE(BigInt(2048 * KIB), at + 32);
    bytes.writeUInt32LE(1024 * KIB, at + 40);
  }
  if (!copy) bytes[256 * KIB + 4] = 1;
  const metadata = 2048 * KIB;
  bytes.write('metadata', metadata);
  bytes.writeUInt16LE(locator ? 2 : 1, metadata + 10);
  guid('3767a1ca36fa434db3b633f0aa44e76b').copy(bytes, metadata + 32);
  bytes.writeUInt32LE(64 * KIB, metadata + 48);
  guid('2d5fd3a80bb34d45abf7d3d84834ab0c').copy(bytes, metadata + 64);
  bytes.writeUInt32LE(32 * KIB, metadata + 64 * KIB);
  bytes.writeUInt32LE(hasParent ? 2 : 0, metadata + 64 * KIB + 4);
  return bytes;
}

export function vdi({ type = 1, parent = false } = {}): Bytes {
  const bytes = Buffer.alloc(1024);
  bytes.write('<<< Oracle VM VirtualBox Disk Image >>>\n');
  bytes.writeUInt32LE(0xbeda107f, 64);
  bytes.writeUInt32LE(type, 76);
  if (parent) bytes[440] = 1;
  return bytes;
}

export function iso(head?: Bytes): Bytes {
  const bytes = Buffer.alloc(0x8800);
  head?.copy(bytes);
  bytes.write('\u0001CD001\u0001', 0x8000);
  return bytes;
}
