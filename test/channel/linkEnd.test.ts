/** Back-pressure, and every way that a link ends. */
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { wireLimits } from '../../src/core/limits.ts';
import { refusal } from '../support/errors.ts';
import { linkEnd, nearKeys, writePing } from '../support/linkEnd.ts';
import {
  attacked,
  endPairs,
  gather,
  turnableLimits as limits,
  links,
  newPair,
  pingFrame,
  upTo,
} from '../support/linkPair.ts';

describe('link, slow or at its end,', () => {
  afterEach(endPairs);

  describe('a peer that does not read', () => {
    it('is not read from either, until it reads; then everything is there', async () => {
      const { near, far } = await links(true);
      far.link.pause();
      const sent = upTo(12);
      for (const seqid of sent) writePing(near.link, seqid, 'x'.repeat(1_000_000));
      await turn();
      // 12 MB exceed what the kernel takes: now the near end takes nothing in.
      far.ping(1);
      for (let i = 0; i < 20; i++) await turn();
      expect(near.seen).to.deep.equal([]);
      far.link.resume();
      await Promise.all([near.received(1), far.received(sent.length)]);
      expect(far.seen).to.deep.equal(sent);
    });

    for (const kind of ['plain', 'sealed, but not proved'])
      it(`gets no more than a little kept for it while it is nobody (${kind})`, async () => {
        const pair = await newPair();
        pair.far.pause();
        const near = linkEnd(pair.near);
        if (kind !== 'plain') near.link.secure(nearKeys, 'awaited');
        // In a turn of its own each, as answers leave; those who are held back may still be answered what they asked before.
        let held = false;
        pair.near.pause = () => {
          held = true;
          return pair.near;
        };
        for (let seqid = 1; !held; seqid++) {
          writePing(near.link, seqid, 'x'.repeat(8000));
          await turn();
          expect(pair.near.writableLength).to.be.lessThan(wireLimits.plainUnsentBytes + 16_384);
        }
        expect(near.counts.sent).to.be.greaterThan(wireLimits.plainUnsentBytes);
      });

    it('keeps back no more than the owner allows: a pause of the owner outlives the drain', async () => {
      const { near, far } = await links(true);
      far.link.pause();
      for (const seqid of upTo(12)) writePing(near.link, seqid, 'x'.repeat(1_000_000));
      await turn();
      near.link.pause();
      far.ping(1);
      far.link.resume();
      await far.received(12);
      for (let i = 0; i < 20; i++) await turn();
      expect(near.seen).to.deep.equal([]);
      near.link.resume();
      await near.received(1);
    });
  });

  describe('the end', () => {
    it('is told once, whatever happens afterwards', async () => {
      const { near, far } = await links(false);
      near.link.close();
      near.link.close();
      near.link.end();
      near.link.resume();
      await far.closed;
      await turn();
      expect(near.counts.closes).to.equal(1);
      expect(far.counts.closes).to.equal(1);
      expect(near.link.closed).to.equal(true);
    });

    it('by close loses what was not flushed, and tells why', async () => {
      const { near, far } = await links(true);
      near.ping(1);
      near.link.close();
      expect(await near.closed).to.equal(undefined);
      await far.closed;
      expect(far.seen).to.deep.equal([]);
      expect(near.link.writer.length).to.be.greaterThan(0);
    });

    it('refuses what is committed after it, and leaves nothing in the writer', async () => {
      const { near } = await links(false);
      near.link.close();
      refusal(() => near.ping(1), 'connection_lost');
      expect(near.link.writer.length).to.equal(0);
    });

    it('by a reset of the peer is a lost connection', async () => {
      const { near, pair } = await attacked();
      pair.far.resetAndDestroy();
      expect((await near.closed)?.errorName).to.equal('connection_lost');
    });

    it('by the peer is orderly, also in the middle of a frame', async () => {
      const { near, pair, sealer } = await attacked();
      pair.far.end(sealer.seal(pingFrame(1)).subarray(0, 10));
      expect(await near.closed).to.equal(undefined);
      expect(near.seen).to.deep.equal([]);
    });

    it('loses no last answer, though the peer has sent more than was read', async () => {
      const { lingerMs } = limits;
      // Long enough that only the peer's own end, behind all that it sent, can end the test.
      limits.lingerMs = 60_000;
      const pair = await newPair();
      const near = linkEnd(pair.near);
      near.onMessage = () => near.link.pause();
      const errors: Error[] = [];
      pair.far.on('error', (error) => errors.push(error));
      const flood = Buffer.concat(upTo(20_000).map((seqid) => pingFrame(seqid)));
      const flooded = new Promise<void>((resolve) => pair.far.write(flood, () => resolve()));
      await near.received(1);
      const answer = gather(pair.far, pingFrame(9).length);
      near.ping(9);
      near.link.end();
      await Promise.all([flooded, once(pair.far, 'close')]);
      expect((await answer).equals(pingFrame(9))).to.equal(true);
      expect(errors).to.deep.equal([]);
      expect(near.seen).to.deep.equal([1]);
      expect(await near.closed).to.equal(undefined);
      limits.lingerMs = lingerMs;
    });

    it('waits for what is under way, though the peer has ended its side', async () => {
      const pair = await newPair(true);
      const near = linkEnd(pair.near);
      for (const seqid of upTo(12)) writePing(near.link, seqid, 'x'.repeat(16_000));
      near.link.end();
      pair.far.end();
      const size = pingFrame(1, 'x'.repeat(16_000)).length;
      expect(await gather(pair.far, 12 * size)).to.have.length(12 * size);
      expect(await near.closed).to.equal(undefined);
    });

    it('comes all the same when the peer neither reads nor ends', async () => {
      const { plainDrainTimeoutMs, lingerMs } = limits;
      try {
        limits.plainDrainTimeoutMs = 60;
        limits.lingerMs = 30;
        for (const [sizeBytes, count, expected] of [
          [1_000_000, 12, 'deadline_exceeded'],
          [10, 1, undefined],
        ] as const) {
          const pair = await newPair(true);
          pair.far.pause();
          const near = linkEnd(pair.near);
          near.link.secure(nearKeys, 'awaited');
          for (const seqid of upTo(count)) writePing(near.link, seqid, 'x'.repeat(sizeBytes));
          near.link.end();
          expect((await near.closed)?.errorName).to.equal(expected);
        }
        const stuck = await newPair(true);
        stuck.far.pause();
        const near = linkEnd(stuck.near);
        near.link.secure(nearKeys, 'awaited');
        for (const seqid of upTo(12)) writePing(near.link, seqid, 'x'.repeat(1_000_000));
        expect((await near.closed)?.details).to.contain('does not read');
      } finally {
        Object.assign(limits, { plainDrainTimeoutMs, lingerMs });
      }
    });

    it('reaches the peer also when it is slow to read', async () => {
      const { near, far } = await links(true);
      far.link.pause();
      for (const seqid of upTo(12)) writePing(near.link, seqid, 'x'.repeat(1_000_000));
      near.link.end();
      far.link.resume();
      await far.received(12);
      expect(await near.closed).to.equal(undefined);
    });
  });
});
