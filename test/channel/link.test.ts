import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { channelLimits, wireLimits } from '../../src/core/limits.ts';
import { FrameOpener } from '../../src/crypto/frames.ts';
import { refusal } from '../support/errors.ts';
import { farKeys, linkEnd, nearKeys, writePing } from '../support/linkEnd.ts';
import { attacked, endPairs, gather, links, newPair, pingFrame, strange, upTo } from '../support/linkPair.ts';

describe('link', () => {
  afterEach(endPairs);

  for (const sealed of [false, true]) {
    const kind = sealed ? 'sealed' : 'plain';

    it(`${kind}: carries messages both ways, in order`, async () => {
      const { near, far } = await links(sealed);
      near.ping(1, 2, 3);
      far.ping(7, 8);
      await Promise.all([far.received(3), near.received(2)]);
      expect(far.seen).to.deep.equal([1, 2, 3]);
      expect(near.seen).to.deep.equal([7, 8]);
      expect([...near.sealed, ...far.sealed].every((each) => each === sealed)).to.equal(true);
      expect(near.link.sealed).to.equal(sealed);
      expect(near.counts.confirmed).to.equal(sealed ? 1 : 0);
      expect(near.link.confirmed).to.equal(sealed);
    });

    it(`${kind}: a pause holds back all messages but the one under way, and resume brings them in order`, async () => {
      const { near, far } = await links(sealed);
      far.onMessage = (seqid) => {
        if (seqid === 2) far.link.pause();
      };
      near.ping(1, 2, 3, 4);
      await far.received(2);
      near.ping(5);
      await turn();
      expect(far.seen).to.deep.equal([1, 2]);
      far.link.resume();
      await far.received(5);
      expect(far.seen).to.deep.equal([1, 2, 3, 4, 5]);
    });

    it(`${kind}: what was sent before an end arrives, then the end`, async () => {
      const { near, far } = await links(sealed);
      near.ping(1, 2);
      near.link.end();
      expect(await far.closed).to.equal(undefined);
      expect(await near.closed).to.equal(undefined);
      expect(far.seen).to.deep.equal([1, 2]);
      expect(near.counts.closes + far.counts.closes).to.equal(2);
    });

    it(`${kind}: takes nothing more after an end, neither to send nor to deliver`, async () => {
      const { near, far } = await links(sealed);
      far.onMessage = () => {
        far.ping(9);
        far.link.end();
      };
      near.ping(1, 2, 3);
      await Promise.all([near.closed, far.closed]);
      expect(far.seen).to.deep.equal([1]);
      expect(near.seen).to.deep.equal([9]);
      expect(far.link.closed).to.equal(true);
      refusal(() => far.ping(10), 'connection_lost');
      expect(await far.closed).to.equal(undefined);
    });

    it(`${kind}: a message too large is refused, with nothing sent and the rest unharmed`, async () => {
      const { near, far } = await links(sealed);
      near.ping(1);
      const limit = sealed ? wireLimits.sealedFrameBytes - 17 : wireLimits.plainFrameBytes + 4;
      const overhead = pingFrame(2, '').length;
      // The text's own length takes more bytes the longer it is; the largest that fits is found from above.
      const lengthOf = (size: number) => overhead + size + (size < 2 ** 14 ? 1 : size < 2 ** 21 ? 2 : 3);
      let size = limit - overhead;
      while (lengthOf(size) > limit) size--;
      refusal(() => writePing(near.link, 2, 'x'.repeat(size + 1)), 'frame_too_large');
      writePing(near.link, 3, 'x'.repeat(size));
      near.ping(4);
      await far.received(3);
      expect(far.seen).to.deep.equal([1, 3, 4]);
    });

    it(`${kind}: any traffic arrives as it was sent, however it is cut`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat({ max: 12_000 }), fc.boolean()), { maxLength: 30 }),
          async (sends) => {
            const { near, far } = await links(sealed);
            for (const [index, [size, flush]] of sends.entries()) {
              writePing(near.link, index + 1, 'x'.repeat(size));
              if (flush) await turn();
            }
            near.link.end();
            await far.closed;
            expect(far.seen).to.deep.equal(upTo(sends.length));
            endPairs();
          },
        ),
        { numRuns: 15 },
      );
    });
  }

  it('counts the bytes that it reads', async () => {
    const { near, pair } = await attacked();
    pair.far.write(pingFrame(1));
    await near.closed;
    expect(near.counts.bytes).to.equal(pingFrame(1).length);
  });

  it('ends when the keys of the channel are used up', async () => {
    const limits = channelLimits as { frames: number };
    const { frames } = limits;
    try {
      const { near, far } = await links(true);
      limits.frames = 2;
      for (const seqid of upTo(3)) {
        near.ping(seqid);
        await turn();
      }
      expect((await near.closed)?.details).to.contain('used up');
      await far.closed;
      expect(far.seen).to.deep.equal([1, 2]);
    } finally {
      limits.frames = frames;
    }
  });

  it('is sealed once', async () => {
    const { near } = await links(true);
    expect(() => near.link.secure(nearKeys, 'awaited')).to.throw(TypeError, 'sealed already');
  });

  it('counts the bytes that it sends', async () => {
    const { near, far } = await links(false);
    near.ping(1, 2);
    await far.received(2);
    expect(near.counts.sent).to.equal(2 * pingFrame(1).length);
  });

  describe('the first sealed frame of who dials', () => {
    it('holds one message, and as little as a plain one', async () => {
      const pair = await newPair();
      const [near, far] = [linkEnd(pair.near), linkEnd(pair.far)];
      near.link.secure(nearKeys, 'given');
      far.link.secure(farKeys, 'awaited');
      expect(near.link.opening).to.equal(true);
      refusal(() => writePing(near.link, 1, 'x'.repeat(wireLimits.plainFrameBytes)), 'frame_too_large');
      for (const seqid of upTo(40)) {
        writePing(near.link, seqid, 'x'.repeat(seqid === 1 ? wireLimits.plainFrameBytes - 60 : 500_000));
        expect(near.link.opening).to.equal(false);
      }
      await far.received(40);
      expect(far.seen).to.deep.equal(upTo(40));
    });
  });

  describe('batches', () => {
    it('what one turn encodes leaves as one sealed frame', async () => {
      const pair = await newPair();
      const near = linkEnd(pair.near);
      near.link.secure(nearKeys, 'awaited');
      near.ping(...upTo(100));
      const plaintext = Buffer.concat(upTo(100).map((seqid) => pingFrame(seqid)));
      const frame = await gather(pair.far, plaintext.length + 21);
      expect(frame.readUInt32BE(0)).to.equal(frame.length - 4);
      const opener = new FrameOpener(farKeys.receiveKey, farKeys.receiveIv);
      expect(opener.open(frame.subarray(4)).equals(plaintext)).to.equal(true);
    });

    it('outgrow no frame: many large messages of one turn all arrive', async () => {
      const { near, far } = await links(true);
      for (const seqid of upTo(20)) writePing(near.link, seqid, 'x'.repeat(1_000_000));
      await far.received(20);
      expect(far.seen).to.deep.equal(upTo(20));
      expect(near.link.usedShare).to.be.greaterThan(0);
    });

    it('what was encoded before the link is secured leaves plain, first', async () => {
      const { near, far } = await links(false);
      far.onMessage = (seqid) => {
        if (seqid === 1) far.link.secure(farKeys, 'awaited');
      };
      near.ping(1);
      near.link.secure(nearKeys, 'given');
      near.ping(2);
      await far.received(2);
      expect(far.sealed).to.deep.equal([false, true]);
    });
  });

  describe('one sealed frame with thousands of messages', () => {
    for (const sealed of [true, false])
      it(`leaves others their turn, though each is answered at once (${sealed ? 'sealed' : 'plain'})`, async () => {
        const { near, pair, sealer } = sealed ? await attacked() : await strange();
        const perTurn: number[] = [];
        let now = 0;
        const look = () => {
          perTurn.push(now);
          now = 0;
          if (near.seen.length < 5000) setImmediate(look);
        };
        near.onMessage = (seqid) => {
          if (seqid === 1) look();
          now++;
          near.ping(seqid);
        };
        const flood = Buffer.concat(upTo(5000).map((seqid) => pingFrame(seqid)));
        pair.far.resume();
        pair.far.write(sealer ? sealer.seal(flood) : flood);
        await near.received(5000);
        perTurn.push(now);
        expect(Math.max(...perTurn)).to.be.at.most(wireLimits.messagesPerTurn);
        expect(near.seen).to.deep.equal(upTo(5000));
      });

    it('is delivered as fast as the owner takes it, and nothing is read meanwhile', async () => {
      const count = 5000;
      const { near, pair, sealer } = await attacked();
      let inHand = 0;
      let most = 0;
      near.onMessage = () => {
        inHand++;
        most = Math.max(most, inHand);
        near.link.pause();
        setImmediate(() => {
          inHand--;
          near.link.resume();
        });
      };
      pair.far.write(sealer.seal(Buffer.concat(upTo(count).map((seqid) => pingFrame(seqid)))));
      pair.far.write(sealer.seal(pingFrame(count + 1)));
      await near.received(count + 1);
      expect(near.seen).to.deep.equal(upTo(count + 1));
      expect(most).to.equal(1);
    });

    it('can be paused and resumed from within each delivery', async () => {
      const { near, pair, sealer } = await attacked();
      near.onMessage = () => {
        near.link.pause();
        near.link.resume();
      };
      pair.far.write(sealer.seal(Buffer.concat(upTo(20_000).map((seqid) => pingFrame(seqid)))));
      pair.far.write(sealer.seal(pingFrame(20_001)));
      await near.received(20_001);
      expect(near.seen).to.deep.equal(upTo(20_001));
    });

    it('ends at once when the owner closes in its middle', async () => {
      const { near, pair, sealer } = await attacked();
      near.onMessage = (seqid) => {
        if (seqid === 10) near.link.close();
      };
      pair.far.write(sealer.seal(Buffer.concat(upTo(3000).map((seqid) => pingFrame(seqid)))));
      await near.closed;
      await once(pair.far, 'close');
      expect(near.seen).to.have.length(10);
    });
  });
});
