/** What a partner may answer about images that it should not: nothing of it is listed, stored or shown. */
import { expect } from 'chai';
import { partnerImageLimits } from '../../src/core/limits.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { partnerImages } from '../../src/rproxy/images.ts';
import type { MethodName, Result } from '../../src/wire/methods.ts';
import {
  Image,
  ImageAttributes,
  ImageData,
  ImageHash,
  ImagePage,
  type ImageQuery,
  type ImageRange,
  ImageReceipt,
  ImageVisibility,
  type ImageWrite,
  toInt64,
  toNumber,
} from '../../src/wire/types.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { type FalsePartner, startFalsePartner, stopFalsePartners } from '../support/falsePartner.ts';
import { collect, listAll, newAttributes, pieces } from '../support/imageCloud.ts';

const id = '11111111-2222-4333-8444-555555555555';
const { chunkBytes, pageImages } = partnerImageLimits;

interface Changes {
  readonly image?: Partial<ConstructorParameters<typeof Image>[0]>;
  readonly attributes?: Partial<ConstructorParameters<typeof ImageAttributes>[0]>;
}

function imageOf({ image = {}, attributes = {} }: Changes = {}): Image {
  const said = { name: 'debian', visibility: ImageVisibility.PUBLIC, min_disk: 0, min_ram: 0, tags: [], ...attributes };
  return new Image({
    id,
    attributes: new ImageAttributes(said as ConstructorParameters<typeof ImageAttributes>[0]),
    owner: 'p',
    status: 'active',
    yours: false,
    size: toInt64(10),
    ...image,
  } as ConstructorParameters<typeof Image>[0]);
}

describe('rproxy/images', () => {
  let cloud: Cloud;
  let partner: FalsePartner;
  let store: ImageStore;
  let answers: { [M in MethodName]?: (argument: never) => Result<M> | undefined } = {};
  before(async () => {
    const pauses = { bundleMs: 3600_000, newPartnerMs: 3600_000, provisionMs: 3600_000, checkpointMs: 3600_000 };
    cloud = await startCloud({ cloudId: 'west', pauses });
    partner = await startFalsePartner(cloud, {
      answer: ({ method, argument, reply }) => {
        const value = answers[method]?.(argument as never);
        if (value !== undefined) reply(method, value as never);
      },
    });
    store = partnerImages(cloud.installation.pool, partner.partner, { region: 'r1' });
  });
  afterEach(() => {
    answers = {};
  });
  after(async () => {
    await stopFalsePartners();
    await stopClouds();
  });

  it('takes an image as it is told, member by member', async () => {
    const attributes = {
      disk_format: 'qcow2',
      container_format: 'bare',
      min_disk: 3,
      min_ram: 512,
      is_protected: true,
      hidden: true,
      tags: ['a'],
      properties: { os_distro: 'debian', alliance_transfer: '1', partner_alliance_transfer: '2', os_glance_x: '3' },
    };
    const image = {
      checksum: 'a'.repeat(32),
      hash: new ImageHash({ algorithm: 'sha512', value: 'b'.repeat(128) }),
      created_at: toInt64(5),
      updated_at: toInt64(6),
    };
    let region: string | undefined;
    answers = {
      getImage: (argument: { region: string }) => {
        region = argument.region;
        return imageOf({ image, attributes });
      },
    };
    expect(await store.get(id)).to.deep.equal({
      id,
      name: 'debian',
      visibility: 'public',
      diskFormat: 'qcow2',
      containerFormat: 'bare',
      minDiskGib: 3,
      minRamMib: 512,
      protected: true,
      hidden: true,
      tags: ['a'],
      properties: new Map([
        ['os_distro', 'debian'],
        ['partner_alliance_transfer', '2'],
      ]),
      owner: 'p',
      status: 'active',
      sizeBytes: 10,
      checksum: 'a'.repeat(32),
      hash: { algorithm: 'sha512', value: 'b'.repeat(128) },
      createdAt: 5,
      updatedAt: 6,
    });
    expect(region).to.equal('r1');
    answers = { getImage: () => imageOf({ image: { yours: true }, attributes }) };
    const ours = await store.get(id);
    expect([ours.owner, ours.properties.get('alliance_transfer')]).to.deep.equal(['', '2']);
    answers = { getImage: () => imageOf({ image: { owner: '' } }) };
    expect((await store.get(id)).owner, 'of nobody there is not ours').to.equal('-');
  });

  const odd: readonly [what: string, changes: Changes, field: string][] = [
    ['another image', { image: { id: id.replace('1', '2') } }, 'id'],
    ['a path for an id', { image: { id: '../x' } }, 'id'],
    ['a status of its own', { image: { status: 'fine' } }, 'status'],
    ['a negative size', { image: { size: toInt64(-1) } }, 'size'],
    ['a time after all times', { image: { created_at: toInt64(Number.MAX_SAFE_INTEGER) } }, 'created_at'],
    ['a checksum that is none', { image: { checksum: 'A'.repeat(32) } }, 'checksum'],
    ['a hash that is none', { image: { hash: new ImageHash({ algorithm: 'sha512', value: '' }) } }, 'hash'],
    ['a hash by no algorithm', { image: { hash: new ImageHash({ algorithm: '\u001b', value: 'a' }) } }, 'hash'],
    ['a long hash', { image: { hash: new ImageHash({ algorithm: 'x', value: 'a'.repeat(257) }) } }, 'hash'],
    ['an owner that moves the cursor', { image: { owner: '\u001b[2J' } }, 'owner'],
    ['a name that moves the cursor', { attributes: { name: '\u001b[2J' } }, 'name'],
    ['a long name', { attributes: { name: 'x'.repeat(256) } }, 'name'],
    ['no visibility', { attributes: { visibility: undefined as never } }, 'visibility'],
    ['a format that moves the cursor', { attributes: { disk_format: 'a\n' } }, 'disk_format'],
    ['a negative disk', { attributes: { min_disk: -1 } }, 'min_disk'],
    ['many tags', { attributes: { tags: Array.from({ length: 129 }, () => 't') } }, 'tags'],
    ['a tag in two lines', { attributes: { tags: ['a\nb'] } }, 'tags'],
    ['a key in two lines', { attributes: { properties: { 'a\nb': 'x' } } }, 'properties'],
    ['a long value', { attributes: { properties: { a: 'x'.repeat(16 * 1024 + 1) } } }, 'properties'],
  ];
  for (const [what, changes, field] of odd)
    it(`takes it for no answer: ${what}`, async () => {
      answers = { getImage: () => imageOf(changes) };
      const error = await rejection(store.get(id), 'wire_malformed');
      expect([error.field, error.remote]).to.deep.equal([field, false]);
    });

  it("takes no answer about somebody else's image for one about its own", async () => {
    answers = { createImage: () => imageOf(), updateImage: () => imageOf() };
    await rejection(store.create(id, newAttributes()), 'wire_malformed');
    await rejection(store.update(id, { name: 'x' }), 'wire_malformed');
  });

  const listings: readonly [what: string, answer: (query: ImageQuery) => ImagePage][] = [
    [
      'more images than were asked for',
      () =>
        new ImagePage({ images: Array.from({ length: pageImages + 1 }, (_, i) => imageOf({ image: { id: `${i}` } })) }),
    ],
    ['an image twice', () => new ImagePage({ images: [imageOf(), imageOf()] })],
    ['the same page again and again', () => new ImagePage({ images: [imageOf()], next_after: id })],
    ['a page that leads elsewhere', () => new ImagePage({ images: [imageOf()], next_after: 'other' })],
    ['an empty page that leads on', () => new ImagePage({ images: [], next_after: id })],
  ];
  for (const [what, answer] of listings)
    it(`takes it for no listing: ${what}`, async () => {
      answers = { listImages: answer as never };
      await rejection(listAll(store), 'wire_malformed');
    });

  /** A partner that always has one page more. */
  const endless = (count: number, attributes: Changes['attributes'] = {}) => {
    const told = { pages: 0 };
    answers = {
      listImages: () => {
        const images = Array.from({ length: count }, (_, i) =>
          imageOf({ image: { id: `${told.pages}-${i}` }, attributes }),
        );
        told.pages++;
        return new ImagePage({ images, next_after: images.at(-1)!.id });
      },
    };
    return told;
  };

  it('ends a listing that has too many images', async () => {
    const told = endless(pageImages);
    expect((await rejection(listAll(store), 'wire_malformed')).details).to.match(/more than 100000 images/);
    expect(told.pages).to.equal(101);
  });

  it('ends a listing that has too much in it', async () => {
    const values = Array.from({ length: 64 }, (_, i) => [`k${i}`, 'x'.repeat(16 * 1024)] as const);
    const told = endless(2, { properties: Object.fromEntries(values) });
    expect((await rejection(listAll(store), 'wire_malformed')).details).to.match(/bytes of texts/);
    expect(told.pages).to.equal(32);
  });

  it('ends a listing that takes too long', async () => {
    const told = endless(1);
    const hasty = partnerImages(cloud.installation.pool, partner.partner, { listingMs: 0 });
    await rejection(listAll(hasty), 'deadline_exceeded');
    expect(told.pages).to.equal(1);
  });

  const content = Buffer.alloc(3 * chunkBytes + 10, 7);
  const honest = ({ offset, length }: ImageRange) => {
    const at = toNumber(offset);
    return { data: content.subarray(at, at + length), size: toInt64(content.length) };
  };

  it('puts chunks in their order, however they are answered', async () => {
    answers = { readImageData: (range: ImageRange) => new ImageData(honest(range)) };
    expect((await collect(store.read(id, 5))).equals(content.subarray(5))).to.equal(true);
  });

  const contents: readonly [what: string, change: (range: ImageRange) => ConstructorParameters<typeof ImageData>[0]][] =
    [
      ['less than was asked for', (range) => ({ ...honest(range), data: Buffer.alloc(1) })],
      ['more than was asked for', (range) => ({ ...honest(range), data: Buffer.alloc(chunkBytes + 1) })],
      ['nothing', (range) => ({ ...honest(range), data: Buffer.alloc(0) })],
      [
        'another size with each chunk',
        (range) => ({ ...honest(range), size: toInt64(content.length + toNumber(range.offset)) }),
      ],
      ['a negative size', (range) => ({ ...honest(range), size: toInt64(-1) })],
    ];
  for (const [what, change] of contents)
    it(`takes it for no content: ${what}`, async () => {
      answers = { readImageData: (range: ImageRange) => new ImageData(change(range)) };
      await rejection(collect(store.read(id, 0)), 'wire_malformed');
    });

  it('goes on where the chunks stop coming, and gives up in the end', async () => {
    let calls = 0;
    answers = {
      readImageData: (range: ImageRange) => {
        calls++;
        if (calls % 3 === 0) {
          for (const channels of cloud.installation.pool.channels().values())
            for (const { connection } of channels) connection.close();
          return undefined;
        }
        return new ImageData(honest(range));
      },
    };
    expect((await collect(store.read(id, 0))).equals(content)).to.equal(true);
  });

  describe('content that is written', () => {
    const size = content.length;
    const write = () => store.write(id, pieces(content), size);
    const done = () => imageOf({ image: { yours: true, size: toInt64(size) } });
    const receipt = (received: number, image?: Image) =>
      new ImageReceipt({ received: toInt64(received), ...(image && { image }) });
    const endOf = ({ offset, data }: ImageWrite) => toNumber(offset) + data.length;

    it('is sent in order, once, and asked for until it is active', async () => {
      const sent: Buffer[] = [];
      let asked = 0;
      answers = {
        writeImageData: (chunk: ImageWrite) => {
          sent.push(Buffer.from(chunk.data));
          return receipt(endOf(chunk));
        },
        getImage: () => {
          const status = asked++ < 2 ? 'saving' : 'active';
          return imageOf({ image: { yours: true, status, size: toInt64(size) } });
        },
      };
      expect(await write()).to.deep.include({ status: 'active', sizeBytes: size });
      expect(Buffer.concat(sent).equals(content)).to.equal(true);
      expect(asked).to.equal(3);
    });

    it('goes again from where a gap was', async () => {
      let received = 0;
      let refused = 0;
      answers = {
        writeImageData: (chunk: ImageWrite) => {
          // Out of order once: the second one, as if the first one came later.
          if (toNumber(chunk.offset) === chunkBytes && refused++ === 0) return receipt(received);
          if (toNumber(chunk.offset) <= received) received = Math.max(received, endOf(chunk));
          return receipt(received, received === size ? done() : undefined);
        },
      };
      expect((await write()).status).to.equal('active');
      expect(refused).to.equal(2);
    });

    it('does not go again for ever', async () => {
      let received = 0;
      let refusing = 0;
      let sent = 0;
      answers = {
        writeImageData: (chunk: ImageWrite) => {
          sent += chunk.data.length;
          // Each time one chunk of those in flight, so that none fails twice in a row.
          if (toNumber(chunk.offset) === received && refusing === 0) {
            received = endOf(chunk);
            refusing = partnerImageLimits.chunksInFlight - 1;
          } else refusing = Math.max(0, refusing - 1);
          return receipt(received);
        },
      };
      const large = Buffer.alloc(40 * chunkBytes);
      await rejection(store.write(id, pieces(large), large.length), 'wire_malformed');
      expect(received).to.be.greaterThan(8 * chunkBytes);
      expect(sent).to.be.lessThan(3 * large.length);
    });

    it('goes again ever later where nothing is taken', async () => {
      const times: number[] = [];
      answers = {
        writeImageData: ({ offset }: ImageWrite) => {
          if (toNumber(offset) === 0) times.push(performance.now());
          return receipt(0);
        },
      };
      await rejection(write(), 'wire_malformed');
      expect(times).to.have.length(1 + partnerImageLimits.shortReceipts);
      expect(times.at(-1)! - times[1]!).to.be.greaterThan(2 * partnerImageLimits.retryMinMs);
    });

    const bad: readonly [
      what: string,
      answer: (chunk: ImageWrite) => ImageReceipt,
      error: 'wire_malformed' | 'glance_unreachable' | 'image_mismatch',
    ][] = [
      ['more received than was sent', () => receipt(size * 2), 'wire_malformed'],
      ['nothing received, ever', () => receipt(0), 'wire_malformed'],
      [
        'what was received is lost',
        (chunk) => receipt(toNumber(chunk.offset) === 0 ? endOf(chunk) : 0),
        'glance_unreachable',
      ],
      ['another image', (chunk) => receipt(endOf(chunk), imageOf()), 'wire_malformed'],
      [
        'an image that is not active',
        (chunk) => receipt(endOf(chunk), imageOf({ image: { yours: true, status: 'killed' } })),
        'glance_unreachable',
      ],
      [
        'an image of another size',
        (chunk) => receipt(endOf(chunk), imageOf({ image: { yours: true } })),
        'image_mismatch',
      ],
    ];
    for (const [what, answer, error] of bad)
      it(`ends with an error: ${what}`, async () => {
        answers = { writeImageData: answer as never };
        await rejection(write(), error);
      }).timeout(60_000);

    it('has the size that was said', async () => {
      answers = { writeImageData: (chunk: ImageWrite) => receipt(endOf(chunk)) };
      for (const wrong of [size - 1, size + 1])
        await rejection(store.write(id, pieces(content), wrong), 'image_mismatch');
    });
  });

  it('ends a call that nobody wants any more', async () => {
    const end = new AbortController();
    const reading = collect(store.read(id, 0, { signal: end.signal }));
    setImmediate(() => end.abort(new Error('enough')));
    expect(await reading.catch((error: Error) => error.message)).to.equal('enough');
  });

  it('has no members, and adds none', async () => {
    expect(await store.members(id)).to.deep.equal([]);
    await rejection(store.addMember(id, 'p'), 'image_refused');
    await rejection(store.get('../x'), 'image_not_found');
  });
});
