/** One stream out of Glance that answers many questions. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../../src/core/errors.ts';
import { partnerImageLimits } from '../../../src/core/limits.ts';
import { ReadStream } from '../../../src/server/images/readStream.ts';
import { Reads } from '../../../src/server/images/reads.ts';
import { rejection } from '../../support/errors.ts';
import { until } from '../../support/until.ts';

const { chunkBytes, readAheadBytes, readBehindBytes, readsPerPartner } = partnerImageLimits;

/** Of every content here; longer than any period of what is read. */
const content = randomBytes(3 * chunkBytes + 123);
const partOf = (offset: number, end: number): Buffer => {
  const parts: Buffer[] = [];
  for (let at = offset; at < end; ) {
    const within = at % content.length;
    const part = content.subarray(within, within + end - at);
    parts.push(part);
    at += part.length;
  }
  return Buffer.concat(parts);
};

/** Tells the content in pieces, and overwrites each when the next one is asked for, as a store may. */
function sourceOf(sizeBytes: number, { pieceBytes = 100_000, endAt = sizeBytes, fail = false } = {}) {
  const seen = { opened: [] as number[], read: 0, closed: 0 };
  const read = async function* (_id: string, offset: number) {
    seen.opened.push(offset);
    const piece = Buffer.alloc(pieceBytes);
    try {
      for (let at = offset; at < endAt; ) {
        const length = Math.min(pieceBytes, endAt - at);
        partOf(at, at + length).copy(piece);
        at += length;
        seen.read = at;
        yield piece.subarray(0, length);
        piece.fill(0xee);
      }
      if (fail) throw new Error('broken');
    } finally {
      seen.closed++;
    }
  };
  return { store: { read }, seen };
}

describe('server/images/readStream', () => {
  it('answers questions of any order with one stream', async () => {
    const sizeBytes = content.length;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1000, max: 300_000 }),
        fc.array(fc.tuple(fc.nat(sizeBytes - 1), fc.integer({ min: 1, max: chunkBytes })), {
          minLength: 1,
          maxLength: 6,
        }),
        async (pieceBytes, questions) => {
          const { store, seen } = sourceOf(sizeBytes, { pieceBytes });
          const stream = new ReadStream({ store, id: 'i', offset: 0, sizeBytes, onEnd: () => undefined });
          const answers = await Promise.all(questions.map(([offset, length]) => stream.read(offset, length)));
          for (const [index, [offset, length]] of questions.entries())
            expect(answers[index]!.equals(partOf(offset, Math.min(sizeBytes, offset + length)))).to.equal(true);
          stream.close();
          expect(seen.opened).to.deep.equal([0]);
        },
      ),
      { numRuns: 30, endOnFailure: true },
    );
  }).timeout(60_000);

  it('reads ahead so much and no more, and keeps so much of what was told', async () => {
    const sizeBytes = 40 * chunkBytes;
    const { store, seen } = sourceOf(sizeBytes, { pieceBytes: chunkBytes });
    const stream = new ReadStream({ store, id: 'i', offset: 0, sizeBytes, onEnd: () => undefined });
    await stream.read(0, chunkBytes);
    await until('it has read ahead', () => seen.read >= chunkBytes + readAheadBytes);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen.read).to.be.at.most(2 * chunkBytes + readAheadBytes);
    for (let at = chunkBytes; at < 20 * chunkBytes; at += chunkBytes) await stream.read(at, chunkBytes);
    expect(stream.covers(20 * chunkBytes - readBehindBytes)).to.equal(true);
    expect(stream.covers(20 * chunkBytes - readBehindBytes - chunkBytes - 1)).to.equal(false);
    expect(
      (await stream.read(20 * chunkBytes - readBehindBytes, 10)).equals(
        partOf(20 * chunkBytes - readBehindBytes, 20 * chunkBytes - readBehindBytes + 10),
      ),
    ).to.equal(true);
    stream.close();
    await until('its source is closed', () => seen.closed === 1);
  });

  for (const [what, options, error] of [
    ['ends early', { endAt: 1000 }, 'glance_unreachable'],
    ['is longer than it should be', { endAt: chunkBytes + 5000 }, 'glance_malformed'],
  ] as const)
    it(`a content that ${what} answers nobody with what is not there`, async () => {
      const { store } = sourceOf(chunkBytes, options);
      let ended = 0;
      const stream = new ReadStream({ store, id: 'i', offset: 0, sizeBytes: chunkBytes, onEnd: () => ended++ });
      await rejection(stream.read(500, chunkBytes), error);
      expect([ended, stream.covers(0)]).to.deep.equal([1, false]);
    });

  describe('of several', () => {
    const question = (store: ReturnType<typeof sourceOf>['store'], offset: number, id = 'i') => ({
      store,
      region: 'r',
      id,
      sizeBytes: 64 * chunkBytes,
      offset,
      lengthBytes: 1000,
      onOpen: async () => undefined,
    });

    it('nothing is told before it is noted that a stream was opened, from wherever in the content', async () => {
      const reads = new Reads();
      const { store, seen } = sourceOf(64 * chunkBytes);
      let noted = 0;
      let goOn!: () => void;
      const wait = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const onOpen = () => {
        noted++;
        return wait;
      };
      let told = 0;
      const answers = [1, 1001].map((offset) => reads.read('p', { ...question(store, offset), onOpen }));
      for (const answer of answers) void answer.then(() => told++);
      await until('the bytes are there', () => seen.read > 2001);
      expect([noted, told]).to.deep.equal([1, 0]);
      goOn();
      await Promise.all(answers);
      expect(noted).to.equal(1);
      const full = () => Promise.reject(new AllianceError('overloaded'));
      await rejection(reads.read('p', { ...question(store, 0, 'other'), onOpen: full }), 'overloaded');
      await until('what could not be noted was closed', () => seen.closed === 1);
      reads.close();
    });

    it('what is read too slowly is closed, and for a while kept for no other question', async () => {
      const reads = new Reads({ leastRateMs: 100 });
      const { store, seen } = sourceOf(64 * chunkBytes);
      await reads.read('p', question(store, 0));
      await until('it was closed', () => seen.closed === 1);
      await reads.read('p', question(store, 1000));
      await until('so was the next one', () => seen.closed === 2);
      expect(seen.opened).to.deep.equal([0, 1000]);
      reads.close();
    });

    it('what is read fast enough stays, and so does what was read to its end', async () => {
      const reads = new Reads({ leastRateMs: 100 });
      const { store, seen } = sourceOf(64 * chunkBytes);
      const short = sourceOf(3000);
      await reads.read('q', { ...question(short.store, 0), sizeBytes: 3000 });
      const began = performance.now();
      for (let at = 0; performance.now() - began < 450; at += 100_000) {
        await reads.read('p', { ...question(store, at), lengthBytes: 100_000 });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await reads.read('q', { ...question(short.store, 1000), sizeBytes: 3000 });
      expect([seen.opened, short.seen.opened]).to.deep.equal([[0], [0]]);
      reads.close();
    });

    it('another place has a stream of its own, and each is found again', async () => {
      const reads = new Reads();
      const { store, seen } = sourceOf(64 * chunkBytes);
      for (const offset of [0, 32 * chunkBytes, 1000, 32 * chunkBytes + 1000, 2000])
        expect((await reads.read('p', question(store, offset))).equals(partOf(offset, offset + 1000))).to.equal(true);
      expect(seen.opened).to.deep.equal([0, 32 * chunkBytes]);
      await reads.read('q', question(store, 0));
      expect(seen.opened).to.have.length(3);
      reads.close();
      await until('all are closed', () => seen.closed === 3);
    });

    it('one partner has so many, and the one that was not used for longest makes room', async () => {
      const reads = new Reads();
      const { store, seen } = sourceOf(64 * chunkBytes);
      for (let i = 0; i < readsPerPartner; i++) await reads.read('p', question(store, 0, `i${i}`));
      await reads.read('p', question(store, 1000, 'i0'));
      await reads.read('p', question(store, 0, 'more'));
      await until('one was closed', () => seen.closed === 1);
      await reads.read('p', question(store, 2000, 'i0'));
      expect(seen.opened).to.have.length(readsPerPartner + 1);
      await reads.read('p', question(store, 1000, 'i1'));
      expect(seen.opened).to.have.length(readsPerPartner + 2);
      reads.close();
    });

    it('one that somebody waits for makes no room', async () => {
      const reads = new Reads();
      const never = {
        read: async function* () {
          await new Promise(() => undefined);
          yield Buffer.alloc(0);
        },
      };
      const waiting = Array.from({ length: readsPerPartner }, (_, i) => reads.read('p', question(never, 0, `i${i}`)));
      for (const each of waiting) each.catch(() => undefined);
      await rejection(
        Promise.resolve().then(() => reads.read('p', question(never, 0, 'more'))),
        'overloaded',
      );
      reads.close();
      for (const each of waiting) await rejection(each, 'shutting_down');
    });
  });
});
