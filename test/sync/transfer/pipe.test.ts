import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { type PipeOptions, pipe } from '../../../src/sync/transfer/pipe.ts';
import { createThrottle } from '../../../src/sync/transfer/throttle.ts';

const content = randomBytes(3_500_000);

type Write = PipeOptions<number>['write'];

/** Keeps what it is given. */
function sink(into: Buffer[] = []): Write {
  return async (pieces) => {
    for await (const piece of pieces) into.push(piece);
    return Buffer.concat(into).length;
  };
}

const optionsWith = (more: Partial<PipeOptions<number>> = {}): PipeOptions<number> => ({
  read: async function* (offset) {
    for (let at = offset; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536);
  },
  sizeBytes: content.length,
  write: sink(),
  throttle: createThrottle(null),
  signal: new AbortController().signal,
  look: () => undefined,
  lookAtEnd: () => undefined,
  ...more,
});

const failing = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error,
  );

/** What is not in use any more is given back at once. */
const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

describe('a pipe', () => {
  it('brings all bytes, looks at each, and tells how many were passed on', async () => {
    const [got, looked]: [Buffer[], Buffer[]] = [[], []];
    const told: number[] = [];
    const options = optionsWith({
      write: sink(got),
      look: (piece) => looked.push(piece),
      onBytes: (n) => told.push(n),
    });
    expect(await pipe(options)).to.equal(content.length);
    expect(Buffer.concat(got).equals(content)).to.equal(true);
    expect(Buffer.concat(looked).equals(content)).to.equal(true);
    expect(told).to.deep.equal([1_048_576, 2_097_152, 3_145_728, 3_500_000]);
  });

  it('keeps no more than it reads ahead, however much there is', async () => {
    const sizeBytes = 400_000_000;
    let most = 0;
    const read: PipeOptions<number>['read'] = async function* () {
      for (let at = 0; at < sizeBytes; at += 100_000) yield Buffer.alloc(100_000);
    };
    const write: Write = async (pieces) => {
      let n = 0;
      for await (const piece of pieces) {
        n += piece.length;
        if (n % 50_000_000 < 1_048_576) {
          await new Promise(setImmediate);
          collectGarbage();
          most = Math.max(most, process.memoryUsage().arrayBuffers);
        }
      }
      return n;
    };
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    expect(await pipe(optionsWith({ sizeBytes, read, write }))).to.equal(sizeBytes);
    expect(most - before).to.be.lessThan(120_000_000);
  });

  it('of nothing brings nothing, and looks at the end', async () => {
    let ended = 0;
    expect(await pipe(optionsWith({ sizeBytes: 0, lookAtEnd: () => (ended += 1) }))).to.equal(0);
    expect(ended).to.equal(1);
  });

  for (const when of ['look', 'lookAtEnd'] as const)
    it(`keeps back a part of what ${when} refuses, and throws what it threw`, async () => {
      const got: Buffer[] = [];
      const bad = new AllianceError('image_unsafe');
      let pieces = 0;
      const refuse = (): void => {
        pieces += 1;
        if (when === 'lookAtEnd' || pieces === 4) throw bad;
      };
      expect(await failing(pipe(optionsWith({ write: sink(got), [when]: refuse })))).to.equal(bad);
      expect(Buffer.concat(got).length).to.be.lessThan(content.length);
    });

  it('throws what its content broke by, whatever the sink makes of it', async () => {
    const gone = new AllianceError('image_not_found');
    const write: Write = async (pieces) => {
      try {
        return await sink()(pieces, new AbortController().signal);
      } catch {
        throw new AllianceError('glance_unreachable');
      }
    };
    const read: PipeOptions<number>['read'] = async function* () {
      yield content.subarray(0, 10);
      throw gone;
    };
    expect(await failing(pipe(optionsWith({ write, read })))).to.equal(gone);
  });

  it('throws what the sink throws, and ends the source', async () => {
    const full = new AllianceError('image_quota');
    let ended: AbortSignal | undefined;
    const read: PipeOptions<number>['read'] = async function* (_offset, signal) {
      ended = signal;
      for (;;) yield content.subarray(0, 1_000_000);
    };
    const write: Write = async (pieces) => {
      for await (const _ of pieces) throw full;
      return 0;
    };
    expect(await failing(pipe(optionsWith({ read, write, sizeBytes: 1e12 })))).to.equal(full);
    expect(ended?.aborted).to.equal(true);
  });

  it('is not done where the sink says so before it has all, or after its content broke', async () => {
    const early: Write = async (pieces) => {
      for await (const _ of pieces) break;
      return 0;
    };
    expect(await failing(pipe(optionsWith({ write: early })))).to.deep.include({ errorName: 'image_mismatch' });
    const deaf: Write = async (pieces) => {
      await sink()(pieces, new AbortController().signal).catch(() => undefined);
      return 0;
    };
    const bad = new AllianceError('image_unsafe');
    const lookAtEnd = (): void => {
      throw bad;
    };
    expect(await failing(pipe(optionsWith({ write: deaf, lookAtEnd })))).to.equal(bad);
  });

  it('ends by its signal in the middle, with its reason', async () => {
    const controller = new AbortController();
    const reason = new AllianceError('shutting_down');
    const onBytes = (): void => controller.abort(reason);
    expect(await failing(pipe(optionsWith({ signal: controller.signal, onBytes })))).to.equal(reason);
    expect(await failing(pipe(optionsWith({ signal: controller.signal })))).to.equal(reason);
  });

  it('ends when the sink takes nothing for too long', async () => {
    const write: Write = async (pieces, signal) => {
      for await (const _ of pieces)
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      return 0;
    };
    const error = (await failing(pipe(optionsWith({ write, idleMs: 30 })))) as AllianceError;
    expect(error).to.deep.include({ errorName: 'connection_lost', retryable: true });
    expect(error.details).to.match(/^Nothing was taken from byte 0 on/);
  });

  it('flows no faster than its share', async () => {
    const throttle = createThrottle([{ fromMinute: 0, bytesPerS: 4_000_000 }]);
    const began = performance.now();
    const both = [pipe(optionsWith({ throttle })), pipe(optionsWith({ throttle }))];
    expect(await Promise.all(both)).to.deep.equal([content.length, content.length]);
    // 7 MB at 4 MB a second, of which the first quarter of a second may come at once, and the last part is not waited for.
    expect(performance.now() - began).to.be.within(1100, 4000);
  });
});
