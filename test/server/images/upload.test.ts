/** Chunks of a partner become one stream. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { AllianceError } from '../../../src/core/errors.ts';
import { partnerImageLimits } from '../../../src/core/limits.ts';
import type { ImageStore, StoredImage } from '../../../src/lproxy/imageStore.ts';
import { Upload } from '../../../src/server/images/upload.ts';
import { rejection } from '../../support/errors.ts';
import { until } from '../../support/until.ts';

const image = { status: 'active' } as StoredImage;
const mib = 1024 * 1024;

/** A store that takes as many pieces as it is let. */
function storeOf() {
  const taken: Buffer[] = [];
  let open = true;
  let wake: () => void = () => undefined;
  const write: ImageStore['write'] = async (_id, content, _size, { signal } = {}) => {
    for await (const piece of content) {
      taken.push(Buffer.from(piece));
      while (!open && !signal?.aborted)
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal?.addEventListener('abort', () => resolve(), { once: true });
        });
      signal?.throwIfAborted();
    }
    return image;
  };
  const hold = (held: boolean) => {
    open = !held;
    wake();
  };
  return { store: { write }, hold, bytes: () => Buffer.concat(taken) };
}

function begin(
  sizeBytes: number,
  { diskFormat = 'raw', stored = (): Promise<void> => Promise.resolve(), leastRateMs = 60_000 } = {},
) {
  const target = storeOf();
  const ends: unknown[] = [];
  const upload = new Upload({
    store: target.store,
    id: 'i',
    diskFormat,
    sizeBytes,
    leastRateMs,
    onStored: stored,
    onEnd: (failure) => ends.push(failure),
  });
  return { ...target, upload, ends };
}

describe('server/images/upload', () => {
  const content = randomBytes(1000);
  const chunk = (offset: number, end: number) => ({ offset, data: content.subarray(offset, end) });

  it('takes chunks in order, leaves repeated bytes out, and says where a gap begins', async () => {
    const { upload, bytes, ends } = begin(1000);
    expect(await upload.take(chunk(0, 300))).to.deep.equal({ received: 300 });
    expect(await upload.take(chunk(500, 700))).to.deep.equal({ received: 300 });
    expect(await upload.take(chunk(0, 300))).to.deep.equal({ received: 300 });
    expect(await upload.take(chunk(100, 200))).to.deep.equal({ received: 300 });
    expect(await upload.take(chunk(200, 500))).to.deep.equal({ received: 500 });
    expect(await upload.take(chunk(500, 500))).to.deep.equal({ received: 500 });
    await rejection(upload.take({ offset: 500, data: Buffer.alloc(501) }), 'bad_request');
    const last = upload.take(chunk(500, 1000));
    const repeated = upload.take(chunk(600, 1000));
    expect(await last).to.deep.equal({ received: 1000, image });
    expect(await repeated).to.deep.equal({ received: 1000, image });
    expect(bytes().equals(content)).to.equal(true);
    expect(ends).to.deep.equal([undefined]);
  });

  it('whatever comes how often and in which order, the stream is the content', async () => {
    const places = fc.tuple(fc.nat(1000), fc.nat(1000)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    await fc.assert(
      fc.asyncProperty(fc.array(places, { maxLength: 30 }), async (chunks) => {
        const { upload, bytes } = begin(1000);
        for (const [offset, end] of chunks) {
          const before = upload.received;
          const { received } = await upload.take(chunk(offset, end));
          expect(received).to.equal(offset > before ? before : Math.max(before, end));
        }
        await upload.take(chunk(upload.received, 1000));
        expect(bytes().equals(content)).to.equal(true);
      }),
    );
  });

  it('an empty content is there with its first chunk', async () => {
    const { upload } = begin(0);
    expect(await upload.take({ offset: 0, data: Buffer.alloc(0) })).to.deep.equal({ received: 0, image });
  });

  it('lets a partner wait for Glance, and takes no more than it waits for', async () => {
    const { uploadWindowBytes, uploadHeldBytes } = partnerImageLimits;
    const { upload, hold } = begin(100 * mib);
    hold(true);
    const data = Buffer.alloc(mib, 1);
    let answered = 0;
    let offset = 0;
    const answers: Promise<unknown>[] = [];
    const give = () => {
      answers.push(upload.take({ offset, data }).then(() => answered++));
      offset += mib;
    };
    for (let i = 0; i <= uploadHeldBytes / mib; i++) {
      give();
      await new Promise((resolve) => setImmediate(resolve));
    }
    // One of them is with Glance.
    expect(answered).to.equal(uploadWindowBytes / mib + 1);
    await rejection(upload.take({ offset, data }), 'overloaded');
    hold(false);
    await Promise.all(answers);
    expect(upload.received).to.equal(uploadHeldBytes + mib);
    upload.abort(new AllianceError('shutting_down'));
    await rejection(upload.take({ offset, data }), 'shutting_down');
  });

  it('keeps of a chunk only what is new in it', async () => {
    const kept: Buffer[] = [];
    const write: ImageStore['write'] = async (_id, source) => {
      for await (const piece of source) kept.push(piece);
      return image;
    };
    const upload = new Upload({
      ...{ store: { write }, id: 'i', diskFormat: 'raw', sizeBytes: mib + 100 },
      onStored: async () => undefined,
      onEnd: () => undefined,
    });
    for (let offset = 0; offset <= 100; offset++) await upload.take({ offset, data: Buffer.alloc(mib, 1) });
    expect(Buffer.concat(kept)).to.have.length(mib + 100);
    const heldBytes = kept.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    expect(heldBytes).to.be.lessThan(2 * mib);
  });

  it('lets a partner wait for the number of its chunks too, and takes no more than it waits for', async () => {
    const { uploadWindowChunks, uploadHeldChunks } = partnerImageLimits;
    const { upload, hold } = begin(100_000);
    hold(true);
    let answered = 0;
    const answers: Promise<unknown>[] = [];
    let offset = 0;
    const give = () => answers.push(upload.take({ offset: offset++, data: Buffer.alloc(1) }).then(() => answered++));
    give();
    // That one is with Glance.
    await answers[0];
    await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < uploadHeldChunks; i++) give();
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).to.equal(uploadWindowChunks + 1);
    await rejection(upload.take({ offset, data: Buffer.alloc(1) }), 'overloaded');
    hold(false);
    await Promise.all(answers);
    upload.abort(new AllianceError('shutting_down'));
  });

  it('what Glance says of it everybody hears who waits', async () => {
    const failing = new AllianceError('image_conflict');
    const ends: unknown[] = [];
    const upload = new Upload({
      store: {
        write: async (_id, source) => {
          for await (const _ of source) throw failing;
          return image;
        },
      },
      id: 'i',
      diskFormat: 'raw',
      sizeBytes: 1000,
      onStored: async () => undefined,
      onEnd: (failure) => ends.push(failure),
    });
    await upload.take(chunk(0, 500));
    await rejection(upload.take(chunk(500, 1000)), 'image_conflict');
    expect(ends).to.deep.equal([failing]);
  });

  it('is no image before that is noted', async () => {
    const { upload } = begin(1000, { stored: () => Promise.reject(new AllianceError('database_locked')) });
    await rejection(upload.take(chunk(0, 1000)), 'database_locked');
  });

  it('ends where too little comes, and not where the store is slow', async () => {
    const { upload, ends } = begin(1000, { leastRateMs: 50 });
    await upload.take(chunk(0, 500));
    await until('it ended', () => ends.length === 1);
    expect((await rejection(upload.take(chunk(500, 1000)), 'glance_unreachable')).details).to.include('Too little');
    const slow = begin(1000, { leastRateMs: 50 });
    slow.hold(true);
    await slow.upload.take(chunk(0, 400));
    await slow.upload.take(chunk(400, 500));
    const quick = begin(1000, { leastRateMs: 50 });
    await quick.upload.take(chunk(0, 500));
    await until('the same time has passed', () => quick.ends.length === 1);
    expect(slow.ends).to.deep.equal([]);
    slow.hold(false);
    expect(await slow.upload.take(chunk(500, 1000))).to.deep.equal({ received: 1000, image });
  });

  it('its last bytes leave only where that is still allowed', async () => {
    const { store, bytes } = storeOf();
    const upload = new Upload({
      ...{ store, id: 'i', diskFormat: 'raw', sizeBytes: 1000 },
      onLast: () => {
        throw new AllianceError('not_exported');
      },
      onStored: async () => undefined,
      onEnd: () => undefined,
    });
    await upload.take(chunk(0, 500));
    await rejection(upload.take(chunk(500, 1000)), 'not_exported');
    expect(bytes()).to.have.length(500);
  });

  it('a content that may not be is none, and its last bytes never leave', async () => {
    const { upload, bytes } = begin(1000, { diskFormat: 'qcow2' });
    await rejection(upload.take(chunk(0, 1000)), 'image_unsafe');
    expect(bytes()).to.have.length(0);
  });
});
