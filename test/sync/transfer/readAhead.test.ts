import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { readAhead } from '../../../src/sync/transfer/readAhead.ts';

/** One buffer for all pieces, as a source may do that is read a piece at a time. */
async function* reusing(lengths: readonly number[]): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(1000);
  let next = 0;
  for (const length of lengths) {
    for (let i = 0; i < length; i++) buffer[i] = next++ % 251;
    yield buffer.subarray(0, length);
  }
}

describe('reading ahead', () => {
  it('gives the same bytes in pieces of one size, however they came', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 700 }),
        fc.integer({ min: 1, max: 4 }),
        async (lengths, pieceBytes, pieces) => {
          const got: Buffer[] = [];
          for await (const piece of readAhead(reusing(lengths), { pieceBytes, pieces })) {
            got.push(piece);
            if (piece.length % 3 === 0) await turn();
          }
          const total = lengths.reduce((sum, length) => sum + length, 0);
          expect(Buffer.concat(got)).to.deep.equal(Buffer.from(Array.from({ length: total }, (_, i) => i % 251)));
          expect(got.slice(0, -1).every(({ length }) => length === pieceBytes)).to.equal(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads so far ahead and no further', async () => {
    let read = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (;;) {
        read += 1;
        yield Buffer.alloc(10);
      }
    }
    const ahead = readAhead(source(), { pieceBytes: 10, pieces: 4 });
    await ahead.next();
    for (let i = 0; i < 50; i++) await turn();
    expect(read).to.be.within(5, 6);
    await ahead.return();
    const before = read;
    for (let i = 0; i < 50; i++) await turn();
    expect(read - before).to.be.at.most(1);
  });

  it('what breaks the source comes after what it gave', async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.from('abc');
      throw new Error('broken');
    }
    const got: string[] = [];
    const reading = (async () => {
      for await (const piece of readAhead(source(), { pieceBytes: 2 })) got.push(piece.toString());
    })();
    expect(await reading.catch((error: Error) => error.message)).to.equal('broken');
    expect(got).to.deep.equal(['ab']);
  });
});
