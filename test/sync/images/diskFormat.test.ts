/** Disk images as they are, and as somebody would make them who wants a hypervisor to read its own files. */
import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../../src/core/errors.ts';
import { createInspector, inspected } from '../../../src/sync/images/diskFormat.ts';
import { type Bytes, iso, qcow2, vdi, vhd, vhdx, vmdk } from '../../support/diskImages.ts';
import { rejection } from '../../support/errors.ts';

const guest: Bytes = Buffer.alloc(4096, 0x33);
const vmdkText = '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 4 FLAT "/etc/shadow" 0\n';
/** Nothing that a probe sees, but QEMU opens it where it is told that it is a VMDK. */
const hiddenText = `x\n${vmdkText}`;
const longText = (bytes: number): Bytes => Buffer.concat([Buffer.alloc(bytes, 0x33), Buffer.from('createType="vmfs"')]);
const withText = (bytes: Bytes, at: number): Bytes => {
  bytes.write('createType="vmfs"', at);
  return bytes;
};

const cases: readonly [what: string, format: string, bytes: Bytes, problem?: string][] = [
  ['a qcow2', 'qcow2', qcow2()],
  ['a qcow2 of version 2', 'qcow2', qcow2({ version: 2 })],
  ['a qcow2 that is dirty and compressed', 'qcow2', qcow2({ features: 9n })],
  ['a qcow2 with a backing file', 'qcow2', qcow2({ backing: '/etc/shadow' }), 'backing file'],
  ['a qcow2 with a data file', 'qcow2', qcow2({ features: 4n }), 'external data file'],
  ['a qcow2 of version 2 with a backing file', 'qcow2', qcow2({ version: 2, backing: 'x' }), 'backing file'],
  ['a qcow2 of version 1', 'qcow2', qcow2({ version: 1 }), 'version 1'],
  ['a qcow2 with features of tomorrow', 'qcow2', qcow2({ features: 1n << 40n }), 'not known'],
  ['a qcow2 with a short header', 'qcow2', qcow2({ headerBytes: 8 }), 'header'],
  ['a raw disk that says to be qcow2', 'qcow2', guest, 'no qcow2'],
  ['a qcow2 that is cut off', 'qcow2', qcow2().subarray(0, 100), 'ends before'],
  ['nothing', 'qcow2', Buffer.alloc(0), 'ends before'],
  ['a sparse VMDK', 'vmdk', vmdk()],
  ['a streamed VMDK', 'vmdk', vmdk({ stream: true })],
  ['a VMDK that is a text', 'vmdk', Buffer.from(vmdkText), 'ends before'],
  ['a long VMDK that is a text', 'vmdk', Buffer.concat([Buffer.from(vmdkText), guest]), 'no VMDK'],
  ['a flat VMDK', 'vmdk', vmdk({ createType: 'monolithicFlat' }), 'another kind'],
  ['two kinds of VMDK', 'vmdk', vmdk({ more: 'createType="monolithicFlat"' }), 'another kind'],
  ['a VMDK with an extent elsewhere', 'vmdk', vmdk({ extents: ['RW 2 FLAT "/etc/shadow" 0'] }), 'extents'],
  ['a VMDK with an extent by a path', 'vmdk', vmdk({ extents: ['RW 2 SPARSE "/etc/shadow"'] }), 'extents'],
  ['a VMDK with two extents', 'vmdk', vmdk({ extents: ['RW 2 SPARSE "a"', 'RW 2 SPARSE "b"'] }), 'extents'],
  ['a VMDK with a parent', 'vmdk', vmdk({ more: 'parentFileNameHint="/etc/shadow"' }), 'parent'],
  ['a VMDK with a parent by its id', 'vmdk', vmdk({ more: 'parentCID=12345678' }), 'parent'],
  ['a VMDK that has its changes tracked', 'vmdk', vmdk({ more: 'changeTrackPath="/x"' }), 'changes'],
  ['a VMDK without capacity', 'vmdk', vmdk({ capacity: 0n }), 'capacity'],
  ['a VMDK with its descriptor elsewhere', 'vmdk', vmdk({ descriptorSector: 9n }), 'where it belongs'],
  ['a VMDK with another header at its end', 'vmdk', vmdk({ stream: true, footerCapacity: 9n }), 'footer'],
  ['a VMDK whose header at its end has no capacity', 'vmdk', vmdk({ stream: true, footerCapacity: 0n }), 'capacity'],
  ['a VMDK with a descriptor behind its descriptor', 'vmdk', vmdk({ descriptor: `a=b\0${vmdkText}` }), 'does not end'],
  ['a VMDK whose descriptor never ends', 'vmdk', vmdk({ descriptor: '#'.repeat(20 * 512) }), 'does not end'],
  ['a VMDK with lines that end in returns', 'vmdk', vmdk({ more: '#\rparentFileNameHint="/x"' }), 'parent'],
  ['a VMDK with a parent in a comment', 'vmdk', vmdk({ more: '# parentFileNameHint="/etc/shadow"' }), 'parent'],
  ['a VMDK with a parent in a value', 'vmdk', vmdk({ more: 'ddb.x = "parentFileNameHint=_/etc/shadow"' }), 'parent'],
  ['a VMDK with a parent in a name', 'vmdk', vmdk({ more: 'ddb.parentFileNameHint="/etc/shadow"' }), 'parent'],
  ['a streamed VMDK that is cut off', 'vmdk', vmdk({ stream: true }).subarray(0, -512), 'footer|no VMDK'],
  ['a dynamic VHD', 'vhd', vhd()],
  ['a fixed VHD', 'vhd', vhd({ kind: 2 })],
  ['a VHD that is a difference', 'vhd', vhd({ kind: 4 }), 'neither'],
  ['a VHD that is a difference by its end', 'vhd', vhd({ endKind: 4 }), 'another kind'],
  ['a fixed VHD that begins as a qcow2', 'vhd', vhd({ kind: 2, guest: qcow2() }), 'qcow2'],
  ['a raw disk that says to be a VHD', 'vhd', guest, 'no VHD'],
  ['a VHDX', 'vhdx', vhdx()],
  ['a VHDX with a parent', 'vhdx', vhdx({ hasParent: true }), 'parent'],
  ['a VHDX that says where its parent is', 'vhdx', vhdx({ locator: true }), 'parent'],
  ['a VHDX with a log to play', 'vhdx', vhdx({ log: true }), 'log'],
  ['a VHDX with two tables', 'vhdx', vhdx({ copy: false }), 'differ'],
  ['a VHDX without metadata', 'vhdx', vhdx().subarray(0, 1 << 20), 'ends before'],
  ['a VDI', 'vdi', vdi()],
  ['a VDI that is a difference', 'vdi', vdi({ type: 4 }), 'chain'],
  ['a VDI with a parent', 'vdi', vdi({ parent: true }), 'parent'],
  ['a VDI with a descriptor in it', 'vdi', withText(vdi(), 0), 'descriptor'],
  ['a dynamic VHD with a descriptor in it', 'vhd', withText(vhd(), 20), 'descriptor'],
  ['a VHDX with a descriptor in it', 'vhdx', withText(vhdx(), 600), 'descriptor'],
  ['a ploop image', 'ploop', Buffer.from('WithoutFreeSpace\x02\0\0\0')],
  ['a ploop image with a descriptor in it', 'ploop', Buffer.from('WithoutFreeSpace\ncreateType="x"'), 'descriptor'],
  ['an ISO', 'iso', iso()],
  ['an ISO with a descriptor in it', 'iso', iso(Buffer.from(hiddenText)), 'descriptor'],
  ['an ISO that is all text', 'iso', Buffer.from(iso(Buffer.alloc(0x8800, 0x33)).map((byte) => byte || 1)), 'no ISO'],
  ['an ISO that is cut off', 'iso', iso().subarray(0, 300), 'ends before'],
  ['a fixed VHD with a descriptor in it', 'vhd', vhd({ kind: 2, guest: longText(1000) }), 'descriptor'],
  ['an ISO that begins as a qcow2', 'iso', iso(qcow2().subarray(0, 512)), 'qcow2'],
  ['a raw disk that says to be an ISO', 'iso', Buffer.alloc(1 << 16), 'no ISO'],
  ['a raw disk', 'raw', guest],
  ['a raw disk of a byte', 'raw', Buffer.alloc(1)],
  ['an empty raw disk', 'raw', Buffer.alloc(0)],
  ['a qcow2 that says to be raw', 'raw', qcow2(), 'qcow2'],
  ['a VMDK that says to be raw', 'raw', vmdk(), 'VMDK'],
  ['a short text of a VMDK that says to be raw', 'raw', Buffer.from(vmdkText), 'VMDK'],
  ['a text that QEMU takes for a VMDK', 'raw', Buffer.from('#x\n \r\n#\nversion=2\r\nRW 4 FLAT "/x"'), 'VMDK'],
  ['a raw disk with a descriptor in it', 'raw', Buffer.from(hiddenText), 'descriptor'],
  ['a kernel with a descriptor in it', 'aki', Buffer.from(hiddenText), 'descriptor'],
  ['a raw disk with a descriptor far in its text', 'raw', longText(100_000), 'descriptor'],
  ['a raw disk with a descriptor across two parts', 'raw', longText(512 + 4096 - 5), 'descriptor'],
  ['a raw disk with a descriptor in its first KiBs', 'raw', Buffer.from(`x\0${hiddenText}`), 'descriptor'],
  ['a raw disk with an extent', 'raw', Buffer.from('x\nRW 16 FLAT "/etc/shadow" 0\n'), 'descriptor'],
  ['a raw disk with a file that is a descriptor', 'raw', Buffer.concat([Buffer.alloc(8192), Buffer.from(hiddenText)])],
  ['a script', 'raw', Buffer.from('#!/bin/sh\nexit 0\n')],
  ['a VDI that says to be raw', 'raw', vdi(), 'VDI'],
  ['a VHDX that says to be raw', 'raw', vhdx(), 'VHDX'],
  ['a VHD that says to be raw', 'raw', vhd(), 'VHD'],
  ['a QED that says to be raw', 'raw', Buffer.from('QED\0backing'), 'QED'],
  ['an ISO that says to be raw', 'raw', iso()],
  ['a kernel', 'aki', guest],
  ['a qcow2 that says to be a kernel', 'aki', qcow2(), 'qcow2'],
  ['a file system', 'ami', guest],
  ['a format that nobody knows', 'tar', guest, 'cannot be examined'],
];

/** Undefined where nothing is wrong. */
function look(format: string | null, pieces: readonly Uint8Array[]): string | undefined {
  try {
    const inspector = createInspector(format);
    for (const piece of pieces) inspector.push(piece);
    inspector.end();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof AllianceError)) throw thrown;
    expect(thrown.errorName).to.equal('image_unsafe');
    return thrown.details;
  }
}

function cut(bytes: Bytes, at: readonly number[]): Uint8Array[] {
  const places = [0, ...at.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

describe('sync/images/diskFormat', () => {
  for (const [what, format, bytes, problem] of cases)
    it(`${what} is ${problem === undefined ? 'good' : 'refused'}, however it comes in pieces`, () => {
      const whole = look(format, [bytes]);
      if (problem === undefined) expect(whole).to.equal(undefined);
      else expect(whole).to.match(new RegExp(problem));
      const edges = [1, 72, 104, 512, 513, 1024, bytes.length - 512, bytes.length - 1].filter((at) => at > 0);
      expect(look(format, cut(bytes, edges))).to.equal(whole);
      const places = fc.array(fc.oneof(fc.nat(2048), fc.nat(bytes.length)), { maxLength: 12 });
      fc.assert(
        fc.property(places, (at) => look(format, cut(bytes, at)) === whole),
        { numRuns: 30 },
      );
    });

  it('byte by byte, too', () => {
    for (const [, format, bytes] of cases.filter(([, , { length }]) => length < 40_000))
      expect(
        look(
          format,
          [...bytes].map((byte) => Uint8Array.of(byte)),
        ),
      ).to.equal(look(format, [bytes]));
  });

  it('of no format there is nothing to compare with', () => {
    expect(look(null, [guest])).to.match(/cannot be examined/);
  });

  it('no byte that is changed makes a header that ends anywhere else than in a verdict', () => {
    for (const [format, bytes] of [
      ['qcow2', qcow2()],
      ['vmdk', vmdk({ stream: true })],
      ['vhdx', vhdx()],
      ['vdi', vdi()],
    ] as const) {
      const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
          const changed = Buffer.from(bytes);
          for (const [at, value] of changes) changed[at] = value;
          look(format, [changed]);
        }),
        { numRuns: 50 },
      );
    }
  });

  describe('content on its way', () => {
    async function* pieces(bytes: Bytes, size = 512) {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const collect = async (bytes: Bytes, diskFormat: string) => {
      const passed: Buffer[] = [];
      const stream = inspected(pieces(bytes), { diskFormat, sizeBytes: bytes.length });
      try {
        for await (const piece of stream) passed.push(piece);
        return { passed: Buffer.concat(passed) };
      } catch (error) {
        return { passed: Buffer.concat(passed), error };
      }
    };

    it('that is good arrives as it is', async () => {
      for (const [, format, bytes, problem] of cases)
        if (problem === undefined) expect((await collect(bytes, format)).passed.equals(bytes)).to.equal(true);
    });

    it('that is bad never arrives whole, not even where only its end shows it', async () => {
      for (const [what, format, bytes, problem] of cases) {
        if (problem === undefined) continue;
        const { passed, error } = await collect(bytes, format);
        await rejection(Promise.reject(error), 'image_unsafe');
        expect(passed.length < bytes.length || bytes.length === 0, what).to.equal(true);
      }
    });
  });
});
