/** Content that begins with what the guest wrote: nothing may be taken for a disk image of another format, as QEMU would when it probes. */
import { inspectionLimits } from '../../core/limits.ts';
import { type Answer, type Check, need, type Part, textAt, unsafe } from './diskParts.ts';

/** How much of a file QEMU looks at. */
const probeBytes = 512;

const signatures: readonly (readonly [format: string, text: string, offset: number])[] = [
  ['qcow2', 'QFI\u00fb', 0],
  ['QED', 'QED\0', 0],
  ['VMDK', 'KDMV', 0],
  ['VMDK', 'COWD', 0],
  ['VHD', 'conectix', 0],
  ['VHDX', 'vhdxfile', 0],
  ['VDI', '\u007f\u0010\u00da\u00be', 64],
  ['Parallels', 'WithoutFreeSpace', 0],
  ['Parallels', 'WithouFreSpacExt', 0],
  ['Bochs', 'Bochs Virtual HD Image', 0],
  ['cloop', '#!/bin/sh\n#V2.0 Format', 0],
];

/** A descriptor of a VMDK: comments and empty lines, and then its version. */
const vmdkText = /^(?:#[^\n]*\n| *\r?\n)*version=[123]\r?\n/;

/** The format that this beginning of a file is probed as; undefined: none but raw. */
function probe(head: Buffer): string | undefined {
  for (const [format, text, offset] of signatures) if (textAt(head, text, offset)) return format;
  return textAt(head, '# Disk DescriptorFile') || vmdkText.test(head.toString('latin1')) ? 'VMDK' : undefined;
}

/** What makes a text the descriptor of a VMDK, for whoever is told that it is one, wherever in it that stands. */
const descriptorWords =
  /createtype|parentfilenamehint|disk descriptorfile|\b(?:rw|rdonly)\s+\d+\s+(?:flat|sparse|vmfs|zero)/i;
/** Kept of the part before, for words that begin there. */
const overlapBytes = 64;

function assertNoWords(format: string, text: string): void {
  if (descriptorWords.test(text)) throw unsafe(format, 'the content has the descriptor of a VMDK in it.');
}

/**
 * What is not probed, but opened as a VMDK on somebody's word, is read as a text up to its first NUL. So there must be no descriptor until
 * then, nor in the first part of it, for those who read on.
 *
 * @param head the first bytes, which are looked at, too
 */
export function* noDescriptor(
  format: string,
  head: Buffer,
  endBytes: number = inspectionLimits.textBytes,
): Generator<Part, void, Answer> {
  const { textPartBytes } = inspectionLimits;
  let hasEnded = head.includes(0);
  let before = head.toString('latin1');
  assertNoWords(format, before);
  for (let at = head.length; at < (hasEnded ? textPartBytes : endBytes); ) {
    const lengthBytes = Math.min(textPartBytes, endBytes - at);
    const { bytes } = yield { offset: at, lengthBytes };
    const text = bytes.toString('latin1');
    assertNoWords(format, before.slice(-overlapBytes) + text);
    if (bytes.length < lengthBytes) return;
    hasEnded ||= bytes.includes(0);
    before = text;
    at += lengthBytes;
  }
}

/** @param head the first bytes, as many as were looked at already */
export function* unlikeOthers(format: string, head: Buffer, endBytes?: number): Generator<Part, void, Answer> {
  const other = probe(head);
  if (other) throw unsafe(format, `the content begins as that of a ${other} image.`);
  yield* noDescriptor(format, head, endBytes);
}

export function* guestDisk(format: string): Check {
  const { bytes } = yield { offset: 0, lengthBytes: probeBytes };
  yield* unlikeOthers(format, bytes);
}

const isoDescriptorOffset = 0x8000;

export function* iso(): Check {
  yield* unlikeOthers('iso', yield* need('iso', 0, probeBytes), isoDescriptorOffset);
  const descriptor = yield* need('iso', isoDescriptorOffset, 2048);
  // Some of its fields are always zero, so that a text ends there, too.
  if (!textAt(descriptor, 'CD001', 1) || !descriptor.includes(0))
    throw unsafe('iso', 'the content is no ISO 9660 file system.');
  assertNoWords('iso', descriptor.toString('latin1'));
}
