import { expect } from 'chai';
import { AllianceError } from '../../../src/core/errors.ts';
import { transferLimits } from '../../../src/core/limits.ts';
import { type ReadFrom, readResuming } from '../../../src/sync/transfer/resume.ts';

const content = Buffer.from('0123456789abcdef');
const lost = (details = 'cut'): AllianceError => new AllianceError('connection_lost', { details });

/** Each attempt gives so many bytes, and then breaks unless that is all. */
function breaking(lengths: readonly number[], asked: number[] = []): ReadFrom {
  const left = [...lengths];
  return async function* (offset) {
    asked.push(offset);
    const part = content.subarray(offset, offset + (left.shift() ?? content.length));
    yield part;
    if (offset + part.length < content.length) throw lost();
  };
}

async function read(
  from: ReadFrom,
  { sizeBytes = content.length, signal = new AbortController().signal, idleMs = 1000, pauseMs = 1 } = {},
) {
  const got: Buffer[] = [];
  for await (const piece of readResuming(from, { sizeBytes, signal, idleMs, pause: () => pauseMs }))
    got.push(Buffer.from(piece));
  return Buffer.concat(got);
}
const failing = (work: Promise<unknown>): Promise<AllianceError> =>
  work.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error as AllianceError,
  );

describe('a read that breaks', () => {
  it('goes on at the byte where it was', async () => {
    const asked: number[] = [];
    expect(await read(breaking([3, 5], asked))).to.deep.equal(content);
    expect(asked).to.deep.equal([0, 3, 8]);
  });

  it('that ends too early goes on, too', async () => {
    let attempts = 0;
    const early: ReadFrom = async function* (offset) {
      attempts += 1;
      yield content.subarray(offset, offset + 9);
    };
    expect(await read(early)).to.deep.equal(content);
    expect(attempts).to.equal(2);
  });

  it('too often without getting on fails with what broke it', async () => {
    let attempts = 0;
    const dead: ReadFrom = async function* () {
      attempts += 1;
      if (attempts < 0) yield content;
      throw lost('dead');
    };
    expect((await failing(read(dead))).details).to.equal('dead');
    expect(attempts).to.equal(transferLimits.resumes + 1);
  });

  it('by what will not be better is not tried again', async () => {
    let attempts = 0;
    const gone: ReadFrom = async function* () {
      attempts += 1;
      if (attempts < 0) yield content;
      throw new AllianceError('image_not_found');
    };
    expect((await failing(read(gone))).errorName).to.equal('image_not_found');
    expect(attempts).to.equal(1);
  });

  it('never gives more than there is to be', async () => {
    const error = await failing(read(breaking([]), { sizeBytes: 10 }));
    expect(error).to.deep.include({ errorName: 'image_mismatch', retryable: false });
  });

  it('in silence is ended, also where the source does not heed its signal', async () => {
    let attempts = 0;
    const silent: ReadFrom = async function* (offset) {
      attempts += 1;
      if (attempts === 1) {
        yield content.subarray(0, 4);
        await new Promise(() => undefined);
      }
      yield content.subarray(offset);
    };
    expect(await read(silent, { idleMs: 20 })).to.deep.equal(content);
    expect(attempts).to.equal(2);
  });

  it('is not idle while the reader takes its time', async () => {
    let attempts = 0;
    const plain: ReadFrom = async function* (offset) {
      attempts += 1;
      yield content.subarray(offset, offset + 8);
      yield content.subarray(offset + 8);
    };
    const { signal } = new AbortController();
    let got = 0;
    for await (const piece of readResuming(plain, { sizeBytes: content.length, signal, idleMs: 20 })) {
      got += piece.length;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    expect([got, attempts]).to.deep.equal([16, 1]);
  });

  it('ends with the reason of its signal, also between two attempts', async () => {
    const controller = new AbortController();
    const reason = new AllianceError('sync_running');
    const cut: ReadFrom = async function* () {
      setTimeout(() => controller.abort(reason), 10);
      yield content.subarray(0, 1);
      throw lost();
    };
    expect(await failing(read(cut, { signal: controller.signal, pauseMs: 60_000 }))).to.equal(reason);
  });
});
