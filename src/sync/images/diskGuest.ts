/** Content that begins with what the guest wrote: nothing may be taken for a disk image of another format, as QEMU would when it probes. */
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

export function* unlikeOthers(format: string): Generator<Part, Answer, Answer> {
  const answer = yield { offset: 0, lengthBytes: probeBytes };
  const other = probe(answer.bytes);
  if (other) throw unsafe(format, `the content begins as that of a ${other} image.`);
  return answer;
}

export function* guestDisk(format: string): Check {
  yield* unlikeOthers(format);
}

export function* iso(): Check {
  yield* unlikeOthers('iso');
  const descriptor = yield* need('iso', 0x8000, 6);
  if (!textAt(descriptor, 'CD001', 1)) throw unsafe('iso', 'the content is no ISO 9660 file system.');
}
