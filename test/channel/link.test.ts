import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { wireLimits } from '../../src/core/limits.ts';
import { FrameOpener, FrameSealer } from '../../src/crypto/frames.ts';
import { refusal } from '../support/errors.ts';
import { farKeys, type LinkEnd, linkEnd, nearKeys, writePing } from '../support/linkEnd.ts';
import { type SocketPair, socketPair } from '../support/socketPair.ts';
import { callFrame } from '../support/wireFrame.ts';

const pingFrame = (seqid: number, text = 'hello'): Buffer =>
  callFrame('ping', seqid, { cloud_id: 'east', request_data: text });
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Turned by tests that would otherwise wait for half a minute. */
const limits = wireLimits as { drainTimeoutMs: number; lingerMs: number };

let pairs: SocketPair[] = [];
const newPair = async (halfOpen = false): Promise<SocketPair> => {
  const pair = await socketPair(halfOpen);
  pairs.push(pair);
  return pair;
};
const endPairs = () => {
  for (const pair of pairs) pair.destroy();
  pairs = [];
};

/** Links at both ends. */
async function links(sealed: boolean): Promise<{ near: LinkEnd; far: LinkEnd; pair: SocketPair }> {
  const pair = await newPair();
  const [near, far] = [linkEnd(pair.near), linkEnd(pair.far)];
  if (sealed) {
    near.link.secure(nearKeys);
    far.link.secure(farKeys);
  }
  return { near, far, pair };
}

/** A link at the near end, secured; the far end is a bare socket, with a sealer of the peer's. */
async function attacked(): Promise<{ near: LinkEnd; pair: SocketPair; sealer: FrameSealer }> {
  const pair = await newPair();
  const near = linkEnd(pair.near);
  near.link.secure(nearKeys);
  return { near, pair, sealer: new FrameSealer(farKeys.sendKey, farKeys.sendIv) };
}

/** Everything that comes off a socket until `sizeBytes` are there. */
function gather(socket: SocketPair['far'], sizeBytes: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let all = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      all = Buffer.concat([all, chunk]);
      if (all.length >= sizeBytes) resolve(all);
    });
  });
}

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

  describe('batches', () => {
    it('what one turn encodes leaves as one sealed frame', async () => {
      const pair = await newPair();
      const near = linkEnd(pair.near);
      near.link.secure(nearKeys);
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
      far.onMessage = () => far.link.secure(farKeys);
      near.ping(1);
      near.link.secure(nearKeys);
      near.ping(2);
      await far.received(2);
      expect(far.sealed).to.deep.equal([false, true]);
    });
  });

  describe('one sealed frame with thousands of messages', () => {
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
        if (sealed) near.link.secure(nearKeys);
        const frame = Buffer.alloc(4 + Math.min(n, 100), sealed ? 0xa1 : 0x82);
        frame.writeUInt32BE(n);
        expect(await fate(frame, near, pair), `${n}`).to.equal(expected);
      }
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
      const { drainTimeoutMs, lingerMs } = limits;
      try {
        limits.drainTimeoutMs = 60;
        limits.lingerMs = 30;
        for (const [sizeBytes, count, expected] of [
          [1_000_000, 12, 'connection_lost'],
          [10, 1, undefined],
        ] as const) {
          const pair = await newPair(true);
          pair.far.pause();
          const near = linkEnd(pair.near);
          near.link.secure(nearKeys);
          for (const seqid of upTo(count)) writePing(near.link, seqid, 'x'.repeat(sizeBytes));
          near.link.end();
          expect((await near.closed)?.errorName).to.equal(expected);
        }
        const stuck = await newPair(true);
        stuck.far.pause();
        const near = linkEnd(stuck.near);
        near.link.secure(nearKeys);
        for (const seqid of upTo(12)) writePing(near.link, seqid, 'x'.repeat(1_000_000));
        expect((await near.closed)?.details).to.contain('does not read');
      } finally {
        Object.assign(limits, { drainTimeoutMs, lingerMs });
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
