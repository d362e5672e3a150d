/** What a link does about peers that break the protocol. */
import { once } from 'node:events';
import { expect } from 'chai';
import fc from 'fast-check';
import { wireLimits } from '../../src/core/limits.ts';
import { FrameSealer } from '../../src/crypto/frames.ts';
import { farKeys, type LinkEnd, linkEnd, nearKeys } from '../support/linkEnd.ts';
import { attacked, endPairs, gather, newPair, pingFrame, strange, upTo } from '../support/linkPair.ts';
import type { SocketPair } from '../support/socketPair.ts';

describe('link, attacked,', () => {
  afterEach(endPairs);

  describe('cuts off, without a byte,', () => {
    /** What the link made of the bytes; the messages that came before count too. */
    async function fate(bytes: Buffer | Buffer[], near: LinkEnd, pair: SocketPair): Promise<string | undefined> {
      let answered = 0;
      pair.far.on('data', (chunk: Buffer) => {
        answered += chunk.length;
      });
      for (const chunk of Array.isArray(bytes) ? bytes : [bytes]) pair.far.write(chunk);
      const error = await near.closed;
      if (!pair.far.destroyed) await once(pair.far, 'close');
      expect(answered).to.equal(0);
      return error?.errorName;
    }

    it('a plain frame after the link was secured', async () => {
      const { near, pair } = await attacked();
      expect(await fate(pingFrame(1), near, pair)).to.equal('wire_malformed');
      expect(near.seen).to.deep.equal([]);
    });

    it('a plain frame after sealed ones', async () => {
      const { near, pair, sealer } = await attacked();
      expect(await fate([sealer.seal(pingFrame(1)), pingFrame(2)], near, pair)).to.equal('wire_malformed');
      expect(near.seen).to.deep.equal([1]);
    });

    it('a sealed frame on a plain link', async () => {
      const pair = await newPair();
      const near = linkEnd(pair.near);
      const sealer = new FrameSealer(farKeys.sendKey, farKeys.sendIv);
      expect(await fate(sealer.seal(pingFrame(1)), near, pair)).to.equal('wire_malformed');
    });

    it('a frame that is played again', async () => {
      const { near, pair, sealer } = await attacked();
      const frame = sealer.seal(pingFrame(1));
      expect(await fate([frame, frame], near, pair)).to.equal('wire_malformed');
      expect(near.seen).to.deep.equal([1]);
    });

    it('frames out of order, or with one left out', async () => {
      for (const order of [[1, 0], [1], [0, 2]]) {
        const { near, pair, sealer } = await attacked();
        const frames = upTo(3).map((seqid) => sealer.seal(pingFrame(seqid)));
        const sent = order.map((index) => frames[index]!);
        expect(await fate(sent, near, pair)).to.equal('wire_malformed');
        expect(near.seen).to.deep.equal(order[0] === 0 ? [1] : []);
      }
    });

    it('its own frames, reflected', async () => {
      const { near, pair } = await attacked();
      near.ping(1);
      const frame = await gather(pair.far, pingFrame(1).length + 21);
      pair.far.removeAllListeners('data');
      expect(await fate(frame, near, pair)).to.equal('wire_malformed');
      expect(near.seen).to.deep.equal([]);
    });

    it('a frame of another channel', async () => {
      const { near, pair } = await attacked();
      const other = new FrameSealer(Buffer.alloc(32, 9), Buffer.alloc(12, 9));
      expect(await fate(other.seal(pingFrame(1)), near, pair)).to.equal('wire_malformed');
      expect(near.counts.confirmed).to.equal(0);
    });

    it('a frame with any bit changed', async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (which) => {
          const { near, pair, sealer } = await attacked();
          const frame = sealer.seal(pingFrame(1));
          // The length is left as it is: with a larger one, the rest is waited for.
          const bit = 32 + (which % ((frame.length - 4) * 8));
          frame[bit >> 3]! ^= 1 << (bit & 7);
          expect(await fate(frame, near, pair)).to.equal('wire_malformed');
          expect(near.seen).to.deep.equal([]);
          endPairs();
        }),
        { numRuns: 40 },
      );
    });

    it('a frame with another length, be it shorter, zero or too large', async () => {
      const { plainFrameBytes, sealedFrameBytes } = wireLimits;
      for (const [sealed, n, expected] of [
        [true, 0, 'wire_malformed'],
        [true, 16, 'wire_malformed'],
        [true, 17, 'wire_malformed'],
        [true, sealedFrameBytes + 1, 'frame_too_large'],
        [true, 0xffff_ffff, 'wire_malformed'],
        [false, 0, 'wire_malformed'],
        [false, plainFrameBytes + 1, 'frame_too_large'],
        [false, 0xffff_ffff, 'wire_malformed'],
      ] as const) {
        const pair = await newPair();
        const near = linkEnd(pair.near);
        if (sealed) near.link.secure(nearKeys, 'given');
        const frame = Buffer.alloc(4 + Math.min(n, 100), sealed ? 0xa1 : 0x82);
        frame.writeUInt32BE(n);
        expect(await fate(frame, near, pair), `${n}`).to.equal(expected);
      }
    });

    it('a large frame before a first one has proved that the peer holds the keys', async () => {
      const large = () => sealer.seal(pingFrame(2, 'x'.repeat(wireLimits.plainFrameBytes)));
      const { plainFrameBytes } = wireLimits;
      let sealer = new FrameSealer(farKeys.sendKey, farKeys.sendIv);
      const fresh = async () => {
        sealer = new FrameSealer(farKeys.sendKey, farKeys.sendIv);
        const { near, pair } = await strange();
        near.link.secure(nearKeys, 'awaited');
        return { near, pair };
      };
      const first = await fresh();
      expect(await fate(large(), first.near, first.pair)).to.equal('frame_too_large');
      const second = await fresh();
      second.pair.far.write(Buffer.concat([sealer.seal(pingFrame(1)), large()]));
      await second.near.received(2);
      const header = await fresh();
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(plainFrameBytes + 1);
      expect(await fate(bytes, header.near, header.pair)).to.equal('frame_too_large');
    });

    it('a plaintext whose messages do not fill it exactly', async () => {
      const ping = pingFrame(1);
      const longer = Buffer.from(ping);
      longer.writeUInt32BE(ping.length - 3);
      for (const tail of [Buffer.alloc(1), Buffer.alloc(3), Buffer.alloc(4), longer, Buffer.alloc(5, 0xff)]) {
        const { near, pair, sealer } = await attacked();
        expect(await fate(sealer.seal(Buffer.concat([ping, tail])), near, pair)).to.equal('wire_malformed');
        expect(near.seen).to.deep.equal([1]);
      }
    });

    it('what makes its owner throw', async () => {
      const { near, pair, sealer } = await attacked();
      near.onMessage = () => {
        throw new Error('no such luck');
      };
      expect(await fate(sealer.seal(pingFrame(1)), near, pair)).to.equal('internal');
    });
  });
});
