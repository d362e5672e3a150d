/** Listing page by page, at a Glance that pages as it likes. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { createGlance } from '../../src/lproxy/glance.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import type { GlanceImage } from '../../src/sandbox/glance/image.ts';
import { listImages } from '../../src/sandbox/glance/listing.ts';
import { rejection } from '../support/errors.ts';
import { listAll } from '../support/glanceContract.ts';

type Answer = { readonly status?: number; readonly body: unknown };

const tokens = { token: async () => 'token', replace: async () => 'token' };

const imageAt = (index: number, hidden = false): GlanceImage => ({
  id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  name: `image ${index}`,
  owner: 'p',
  status: 'active',
  visibility: 'private',
  diskFormat: 'raw',
  containerFormat: 'bare',
  minDisk: 0,
  minRam: 0,
  protected: false,
  hidden,
  tags: [],
  size: index,
  checksum: null,
  hashAlgorithm: null,
  hashValue: null,
  createdAt: 1_700_000_000_000 + Math.floor(index / 3) * 1000,
  updatedAt: 1_700_000_000_000,
  properties: new Map(),
  members: new Map(),
});

const row = (index: number) => ({ id: imageAt(index).id, status: 'active', visibility: 'private', name: null });

describe('listing of a Glance', () => {
  let server: Server;
  let answer: (url: URL, request: IncomingMessage) => Answer;
  let asked: string[];
  let base: string;
  const opened: ImageStore[] = [];

  function open(limits: Parameters<typeof createGlance>[0]['limits'] = {}, endpoint = base): ImageStore {
    const store = createGlance({ endpoint, label: 'test', tokens, projectId: 'p', publishes: false, limits });
    opened.push(store);
    return store;
  }

  before((done) => {
    server = createServer((request, response) => {
      const url = new URL(request.url!, 'http://glance.invalid');
      asked.push(request.url!);
      const { status = 200, body } = answer(url, request);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    }).listen(0, '127.0.0.1', done);
  });
  beforeEach(() => {
    asked = [];
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await Promise.all(opened.map((store) => store.close()));
    server.close();
  });

  const caller = { projectId: 'p', roles: new Set(['member']) };

  it('has each image once, in the order of the service, whatever the pages', async () => {
    const store = open({ pageImages: 1000 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        async (kinds, most) => {
          const images = kinds.map((hidden, index) => imageAt(index, hidden));
          answer = (url) => ({ body: listImages(caller, images, url.searchParams, { usual: 25, most }) });
          const found = (await listAll(store)).map(({ id }) => id);
          const wanted = [false, true].flatMap((hidden) =>
            images
              .filter((image) => image.hidden === hidden)
              .reverse()
              .map(({ id }) => id),
          );
          expect(found).to.deep.equal(wanted);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('goes on where images come and go meanwhile, and has every image once that stays', async () => {
    const store = open({ pageImages: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 3, max: 12 }),
        fc.array(fc.tuple(fc.nat(5), fc.nat(12)), { maxLength: 3 }),
        async (count, removals) => {
          let images = Array.from({ length: count }, (_, index) => imageAt(index));
          const gone = new Set<string>();
          let pages = 0;
          answer = (url) => {
            pages += 1;
            for (const [page, index] of removals)
              if (page + 1 === pages) {
                gone.add(imageAt(index).id);
                images = images.filter(({ id }) => id !== imageAt(index).id);
              }
            try {
              return { body: listImages(caller, images, url.searchParams, { usual: 25, most: 1000 }) };
            } catch (error) {
              return { status: 400, body: { message: String(error), code: '400 Bad Request', title: 'Bad Request' } };
            }
          };
          const found = (await listAll(store)).map(({ id }) => id);
          expect(new Set(found).size).to.equal(found.length);
          for (const { id } of images) expect(found).to.include(id);
          for (const id of found) if (!images.some((image) => image.id === id)) expect(gone.has(id)).to.equal(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('follows only the query of a link, at its own address', async () => {
    const nexts: Record<string, string | undefined> = {
      '': 'http://attacker.invalid:1/other?marker=1',
      1: '//attacker.invalid/x?marker=2',
      2: '?marker=3',
      3: '/v2/images',
    };
    answer = (url) => {
      const marker = url.searchParams.get('marker') ?? '';
      const hidden = url.searchParams.has('os_hidden');
      return { body: hidden ? { images: [] } : { images: [row(Number(marker))], next: nexts[marker] } };
    };
    expect((await listAll(open({}, `${base}/some/where/v2/`))).length).to.equal(4);
    expect(asked.map((path) => path.replace(/limit=\d+/, 'limit=N'))).to.deep.equal([
      '/some/where/v2/images?limit=N',
      '/some/where/v2/images?marker=1',
      '/some/where/v2/images?marker=2',
      '/some/where/v2/images?marker=3',
      '/some/where/v2/images?limit=N&os_hidden=true',
    ]);
  });

  it('asks for fewer images where those of a page have too many bytes', async () => {
    const store = open({ pageImages: 100, pageBytes: 30_000 });
    const heavy = (index: number) => index >= 100 && index < 120;
    const images = Array.from({ length: 150 }, (_, index) => ({
      ...imageAt(index),
      properties: new Map(heavy(index) ? [['p', 'x'.repeat(9000)]] : []),
    }));
    answer = (url) => ({ body: listImages(caller, images, url.searchParams, { usual: 25, most: 1000 }) });
    expect((await listAll(store)).map(({ id }) => id)).to.deep.equal(images.map(({ id }) => id).reverse());
    expect(asked.length).to.be.below(40);
    images.push({ ...imageAt(200), properties: new Map([['p', 'x'.repeat(30_000)]]) });
    await rejection(listAll(store), 'glance_malformed');
  });

  it('goes on after an empty page that is not the last one', async () => {
    answer = (url) => {
      const marker = url.searchParams.get('marker');
      if (url.searchParams.has('os_hidden')) return { body: { images: [] } };
      return { body: marker === null ? { images: [], next: '?marker=1' } : { images: [row(1)] } };
    };
    expect((await listAll(open())).length).to.equal(1);
  });

  it('asks for one name where only that is wanted, unless Glance would take it for several', async () => {
    answer = () => ({ body: { images: [] } });
    for (const name of ['a & b', 'in:a,b'])
      for await (const page of open().list({ name })) expect(page).to.deep.equal([]);
    const names = asked.map((path) => new URL(path, base).searchParams.get('name'));
    expect(names).to.deep.equal(['a & b', 'a & b', null, null]);
  });

  it('that goes round in circles, or has no end, is refused', async () => {
    const next = (marker: number) => `/v2/images?marker=${marker}`;
    answer = (url) => {
      const marker = Number(url.searchParams.get('marker') ?? 0);
      return { body: { images: [row(marker)], next: next((marker + 1) % 3) } };
    };
    expect((await rejection(listAll(open()), 'glance_malformed')).details).to.include('circle');
    answer = (url) => {
      const marker = Number(url.searchParams.get('marker') ?? 0);
      return { body: { images: [row(marker)], next: next(marker + 1) } };
    };
    await rejection(listAll(open({ pages: 20 })), 'glance_malformed');
    expect(asked.length).to.be.below(50);
  });

  it('that never gets past an image that is gone is given up', async () => {
    answer = (url) =>
      url.searchParams.has('marker')
        ? { status: 400, body: { message: 'No image found' } }
        : { body: { images: [row(1)], next: '/v2/images?marker=x' } };
    await rejection(listAll(open()), 'glance_unreachable');
    expect(asked.length).to.be.below(20);
  });

  it('of something else than images is refused', async () => {
    const bodies: unknown[] = [
      {},
      [],
      { images: {} },
      { images: [{ id: '../x', status: 'active', visibility: 'private' }] },
      { images: [{ ...row(1), visibility: 'secret' }] },
      { images: [{ ...row(1), size: -1 }] },
      { images: [{ ...row(1), checksum: 'no hex' }] },
      { images: [{ ...row(1), created_at: 'yesterday' }] },
      { images: [row(1)], next: 5 },
      { images: [row(1)], next: 'http://' },
    ];
    for (const body of bodies) {
      answer = () => ({ body });
      await rejection(listAll(open()), 'glance_malformed');
    }
  });

  it('reads known members only: no places of bytes, nothing of Glance itself', async () => {
    const body = {
      ...row(1),
      checksum: '0123456789ABCDEF0123456789abcdef',
      os_hash_algo: 'SHA512',
      os_hash_value: 'AB',
      locations: [{ url: 'file:///secret' }],
      direct_url: 'rbd://secret',
      stores: 'fs',
      self: '/v2/images/1',
      file: '/v2/images/1/file',
      schema: '/v2/schemas/image',
      virtual_size: 5,
      os_glance_stage_host: 'http://inside',
      kernel_id: null,
      number: 5,
      os_distro: 'debian',
    };
    answer = (url) => ({ body: { images: url.searchParams.has('os_hidden') ? [] : [body] } });
    const [image] = await listAll(open());
    expect(Object.fromEntries(image!.properties)).to.deep.equal({ os_distro: 'debian' });
    expect(image).to.include({ name: '', checksum: '0123456789abcdef0123456789abcdef', sizeBytes: null });
    expect(image!.hash).to.deep.equal({ algorithm: 'sha512', value: 'ab' });
    expect(JSON.stringify(image)).to.not.match(/secret|inside/);
  });
});
