import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { readAhead } from '../../../src/sync/transfer/readAhead.ts';

async function* counting(lengths: readonly number[]): AsyncGenerator<Buffer> {
  let next = 0;
  for (const length of lengths) yield Buffer.from(Array.from({ length }, () => next++ % 251));
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
          for await (const piece of readAhead(counting(lengths), { pieceBytes, pieces })) {
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

  it('passes on what has that size already, without copying it', async () => {
    const whole = Buffer.from('abcd');
    const got: Buffer[] = [];
    const source = async function* () {
      yield* [whole, Buffer.from('ef'), Buffer.from('ghijkl')];
    };
    for await (const piece of readAhead(source(), { pieceBytes: 4 })) got.push(piece);
    expect(got[0]).to.equal(whole);
    expect(got.map(String)).to.deep.equal(['abcd', 'efgh', 'ijkl']);
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
