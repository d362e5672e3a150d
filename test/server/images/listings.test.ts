/** Listings of partners, over sources that stand still where a test wants it. */
import { expect } from 'chai';
import { partnerDefaults } from '../../../src/core/configSchema.ts';
import { partnerImageLimits } from '../../../src/core/limits.ts';
import type { StoredImage } from '../../../src/lproxy/imageStore.ts';
import type { ImageRules } from '../../../src/server/images/access.ts';
import { type ListingSource, Listings } from '../../../src/server/images/listings.ts';
import { rejection } from '../../support/errors.ts';
import { newAttributes } from '../../support/imageCloud.ts';

const {
  quota_gib: quotaGib,
  quota_images: quotaImages,
  write_visibility: writeVisibility,
  ...rest
} = partnerDefaults.images;
const rules: ImageRules = { ...rest, quotaGib, quotaImages, writeVisibility };

describe('listings of partners', () => {
  let listings: Listings;
  beforeEach(() => {
    listings = new Listings();
  });
  afterEach(() => listings.close());

  const imageOf = (id: string): StoredImage => ({
    ...newAttributes(),
    id,
    owner: 'p',
    status: 'active',
    sizeBytes: 1,
    checksum: null,
    hash: null,
    createdAt: null,
    updatedAt: null,
  });

  /** Counts how often it was read from its beginning. */
  class Source implements ListingSource {
    walks = 0;
    readonly #ids: readonly string[];

    constructor(ids: readonly string[]) {
      this.#ids = ids;
    }

    async *all() {
      this.walks++;
      for (const id of this.#ids) yield { image: imageOf(id), yours: false };
    }

    async has(id: string): Promise<boolean> {
      return this.#ids.includes(id);
    }
  }

  const page = async (source: ListingSource, after?: string, more: { rules?: ImageRules } = {}) => {
    const { images, nextAfter } = await listings.page('p', { region: 'r', limit: 2, rules, after, ...more }, source);
    return [images.map(({ image }) => image.id).join(''), nextAfter];
  };

  it('go on where the last page ended', async () => {
    const source = new Source(['a', 'b', 'c', 'd', 'e']);
    expect(await page(source)).to.deep.equal(['ab', 'b']);
    expect(await page(source, 'b')).to.deep.equal(['cd', 'd']);
    expect(await page(source, 'd')).to.deep.equal(['e', null]);
    expect(source.walks).to.equal(1);
  });

  it('begin anew where the operator has said something else meanwhile', async () => {
    expect(await page(new Source(['a', 'b', 'c', 'd']))).to.deep.equal(['ab', 'b']);
    const fewer = new Source(['b', 'd']);
    expect(await page(fewer, 'b', { rules: { ...rules, names: ['x'] } })).to.deep.equal(['d', null]);
    expect(fewer.walks).to.equal(1);
  });

  it('begin anew where they are old', async () => {
    listings = new Listings({ cursorAgeMs: 0 });
    const source = new Source(['a', 'b', 'c', 'd', 'e']);
    expect(await page(source)).to.deep.equal(['ab', 'b']);
    expect(await page(source, 'b')).to.deep.equal(['cd', 'd']);
    expect(source.walks).to.equal(2);
  });

  it('end where a page takes too long', async () => {
    listings = new Listings({ walkMs: 50 });
    const never: ListingSource = {
      async *all(signal: AbortSignal) {
        yield { image: imageOf('a'), yours: false };
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      },
      has: async () => true,
    };
    expect((await rejection(page(never), 'overloaded')).details).to.include('too long');
  });

  it('look for no image that is not there', async () => {
    const source = new Source(['a', 'b', 'c']);
    expect((await rejection(page(source, 'x'), 'bad_request')).field).to.equal('after');
    expect(source.walks).to.equal(0);
  });

  it('are put together for a partner so many at a time, and for others all the same', async () => {
    let goOn!: () => void;
    const wait = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const slow: ListingSource = {
      async *all() {
        await wait;
        yield { image: imageOf('a'), yours: false };
      },
      has: async () => true,
    };
    const walks = Array.from({ length: partnerImageLimits.walksPerPartner }, () => page(slow));
    await rejection(page(slow), 'overloaded');
    const question = { region: 'r', limit: 2, rules, after: undefined };
    expect((await listings.page('q', question, new Source(['a']))).images).to.have.length(1);
    goOn();
    for (const walk of walks) expect(await walk).to.deep.equal(['a', null]);
    expect(await page(slow)).to.deep.equal(['a', null]);
  });

  it('have room again for a partner after one that failed, which is told to stop', async () => {
    let stopped = 0;
    const failing: ListingSource = {
      async *all(signal: AbortSignal) {
        signal.addEventListener('abort', () => stopped++);
        yield { image: imageOf('a'), yours: false };
        throw new Error('no more');
      },
      has: async () => true,
    };
    for (let i = 0; i <= partnerImageLimits.walksPerPartner; i++)
      expect(await page(failing).catch((error: Error) => error.message)).to.equal('no more');
    expect(stopped).to.equal(partnerImageLimits.walksPerPartner + 1);
  });
});
