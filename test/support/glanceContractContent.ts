/** Bytes of images, in and out. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { rejection } from './errors.ts';
import { type GlanceBench, type GlanceUser, newImage, pieces, plainImage, readAll } from './glanceContract.ts';
import { until } from './until.ts';

const hashOf = (algorithm: string, bytes: Buffer): string => createHash(algorithm).update(bytes).digest('hex');

export function describeGlanceContent(current: () => GlanceBench): void {
  describe('content', () => {
    let ann: GlanceUser;
    let bob: GlanceUser;
    const bytes = randomBytes(3 * 1024 * 1024 + 17);

    before(async () => {
      [ann, bob] = await Promise.all([current().newUser(), current().newUser()]);
    });

    const queued = async () => (await ann.store.create(randomUUID(), plainImage())).id;

    it('goes in by pieces, and is hashed', async () => {
      const id = await queued();
      const parts = [bytes.subarray(0, 1), Buffer.alloc(0), bytes.subarray(1, 70_000), bytes.subarray(70_000)];
      const image = await ann.store.write(id, pieces(...parts), bytes.length);
      expect(image).to.include({ id, status: 'active', sizeBytes: bytes.length, checksum: hashOf('md5', bytes) });
      expect(image.hash).to.deep.equal({ algorithm: 'sha512', value: hashOf('sha512', bytes) });
      expect(await ann.store.get(id)).to.deep.equal(image);
      expect((await readAll(ann.store, id)).equals(bytes)).to.equal(true);
    });

    it('comes out from any byte on', async () => {
      const { id } = await newImage(ann.store, bytes);
      for (const offset of [0, 1, 65_536, bytes.length - 1])
        expect((await readAll(ann.store, id, offset)).equals(bytes.subarray(offset)), `from ${offset}`).to.equal(true);
      expect((await readAll(ann.store, id, bytes.length)).length).to.equal(0);
      await rejection(readAll(ann.store, id, bytes.length + 1), 'image_conflict');
    });

    it('may be none at all', async () => {
      const image = await newImage(ann.store, '');
      expect(image).to.include({ status: 'active', sizeBytes: 0, checksum: hashOf('md5', Buffer.alloc(0)) });
      expect((await readAll(ann.store, image.id)).length).to.equal(0);
    });

    it('is read no further than it is wanted', async () => {
      const { id } = await newImage(ann.store, bytes);
      for await (const piece of ann.store.read(id, 5)) {
        expect(piece.equals(bytes.subarray(5, 5 + piece.length))).to.equal(true);
        break;
      }
      expect((await readAll(ann.store, id)).equals(bytes)).to.equal(true);
    });

    it('goes into an image that has none, once', async () => {
      const { id } = await newImage(ann.store, 'first');
      await rejection(ann.store.write(id, pieces('second'), 6), 'image_conflict');
      expect((await readAll(ann.store, id)).toString()).to.equal('first');
      const empty = await queued();
      await rejection(readAll(ann.store, empty), 'image_conflict');
    });

    it('goes into one of its own project only, and out to who may see it', async () => {
      const own = await queued();
      await rejection(bob.store.write(own, pieces('x'), 1), 'image_not_found');
      const { id } = await ann.store.create(randomUUID(), plainImage({ visibility: 'community' }));
      await rejection(bob.store.write(id, pieces('x'), 1), 'image_refused');
      await ann.store.write(id, pieces('seen'), 4);
      expect((await readAll(bob.store, id)).toString()).to.equal('seen');
    });

    it('that fails on its way is rethrown, and the image does not become active', async () => {
      const failures: [AsyncIterable<Buffer>, RegExp][] = [
        [failing([bytes, bytes]), /its source/],
        [failing([]), /its source/],
      ];
      for (const [content, message] of failures) {
        const id = await queued();
        const failure = await ann.store.write(id, content, bytes.length * 2 + 1).catch((error: unknown) => error);
        expect(String(failure)).to.match(message);
        await until('queued', async () => (await ann.store.get(id)).status === 'queued');
        const image = await ann.store.write(id, pieces(bytes), bytes.length);
        expect(image.checksum).to.equal(hashOf('md5', bytes));
      }
    });

    it('of another length than it was said to have is refused, and the image does not become active', async () => {
      for (const length of [bytes.length - 1, bytes.length + 1]) {
        const id = await queued();
        await rejection(ann.store.write(id, pieces(bytes), length), 'image_mismatch');
        await until('queued', async () => (await ann.store.get(id)).status === 'queued');
      }
    });

    it('of an image that is deleted meanwhile is refused', async () => {
      const id = await queued();
      const content = async function* () {
        yield bytes;
        await until('saving', async () => (await ann.store.get(id)).status === 'saving');
        await ann.store.delete(id);
        yield bytes;
      };
      await rejection(ann.store.write(id, content(), bytes.length * 2), 'image_not_found');
    });
  });
}

async function* failing(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
  throw new Error('its source broke');
}
