/** What becomes of calls when a Glance, its answers or connections fail. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createGlance, type GlanceLimits } from '../../src/lproxy/glance.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { type SandboxGlance, startGlance } from '../../src/sandbox/glance.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { rejection } from '../support/errors.ts';
import { listAll, newImage, pieces, plainImage, readAll } from '../support/glanceContract.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

const mib = 1024 * 1024;

describe('glance, when something fails', () => {
  let keystone: SandboxKeystone;
  let glance: SandboxGlance;
  let token: string;
  let projectId: string;
  let store: ImageStore;
  const opened: ImageStore[] = [];
  const bytes = randomBytes(2 * mib);

  function open(limits: Partial<GlanceLimits> = {}, tokens: readonly string[] = [token]): ImageStore {
    const left = [...tokens];
    const source = {
      token: async () => left[0]!,
      replace: async (stale: string) => {
        if (left[0] === stale && left.length > 1) left.shift();
        return left[0]!;
      },
    };
    const options = { endpoint: glance.url, label: 'test', tokens: source, projectId, publishes: false };
    const made = createGlance({ ...options, limits: { retryBackoffMs: 1, activePollMs: 1, ...limits } });
    opened.push(made);
    return made;
  }

  const seen = (method: string) => glance.requests.filter((request) => request.method === method).length;

  before(async () => {
    keystone = await startSandboxKeystone();
    glance = await startGlance({ keystone });
    const login = passwordLogin('demo', keystone.demoPassword, { project: inDefault('demo') });
    token = await createKeystoneApi(keystone.url).login(login);
    projectId = [...keystone.state.projects.values()].find(({ name }) => name === 'demo')!.id;
    store = open();
  });
  afterEach(() => glance.faults.clear());
  after(async () => {
    await Promise.all(opened.map((each) => each.close()));
    await glance.close();
    await keystone.stop();
  });

  const queued = async () => (await store.create(randomUUID(), plainImage())).id;
  const statusOf = (id: string) => glance.images.get(id)?.status;

  describe('answers', () => {
    it('are asked for again after a broken connection and a short 503, a few times', async () => {
      const { id } = await newImage(store, 'x');
      glance.faults.next({ kind: 'reset', times: 2 });
      expect((await store.get(id)).id).to.equal(id);
      glance.faults.next({ kind: 'status', status: 503, retryAfterS: 0, times: 2 });
      expect((await store.get(id)).id).to.equal(id);
      const before = seen('GET');
      glance.faults.next({ kind: 'reset', times: 3 });
      await rejection(store.get(id), 'glance_unreachable');
      expect(seen('GET') - before).to.equal(3);
    });

    it('that are failures of Glance say so', async () => {
      for (const status of [500, 502, 503, 504, 429]) {
        glance.faults.next({ kind: 'status', status, retryAfterS: 60, message: 'of <b>this</b> & that' });
        const { details, retryAfterMs } = await rejection(store.get(randomUUID()), 'glance_unreachable');
        expect(retryAfterMs).to.equal(60_000);
        expect(details).to.match(new RegExp(`^test answered ${status}: of <b>this</b> & that$`));
      }
    });

    it('tell what was refused', async () => {
      const cases = [
        [400, 'No', 'image_refused'],
        [403, 'No', 'image_refused'],
        [403, 'Quota of the project is used up', 'image_quota'],
        [413, 'Too much', 'image_quota'],
        [404, 'No', 'image_not_found'],
        [410, 'Gone', 'image_not_found'],
        [409, 'No', 'image_conflict'],
        [418, 'No', 'glance_malformed'],
        [302, '', 'glance_malformed'],
      ] as const;
      for (const [status, message, name] of cases) {
        glance.faults.next({ kind: 'status', status, message });
        await rejection(store.get(randomUUID()), name);
      }
      glance.faults.next({ kind: 'status', status: 404 });
      await rejection(listAll(store), 'glance_malformed');
    });

    it('that are no answers are refused', async () => {
      const { id } = await newImage(store, 'x');
      for (const act of [() => store.get(id), () => listAll(store), () => store.members(id)]) {
        glance.faults.next({ kind: 'malformed' });
        await rejection(act(), 'glance_malformed');
      }
      await rejection(
        open({ pageBytes: 100 }).list()[Symbol.asyncIterator]().next() as Promise<unknown>,
        'glance_malformed',
      );
      glance.faults.next({ kind: 'hang' });
      await rejection(open({ requestTimeoutMs: 50 }).get(id), 'glance_unreachable');
    });

    it('that somebody was faster with a change lead to another attempt, a few times', async () => {
      const { id } = await newImage(store, 'x');
      glance.faults.next({ method: 'PATCH', kind: 'status', status: 409, times: 2 });
      expect((await store.update(id, { name: 'mine' })).name).to.equal('mine');
      glance.faults.next({ method: 'PATCH', kind: 'status', status: 409, times: 3 });
      await rejection(store.update(id, { name: 'again' }), 'image_conflict');
      expect(glance.images.get(id)!.name).to.equal('mine');
    });

    it('that were lost do no harm', async () => {
      glance.faults.next({ method: 'POST', kind: 'lost' });
      const { id } = await store.create(randomUUID(), plainImage({ visibility: 'shared' }));
      expect(glance.images.get(id)).to.include({ status: 'queued', owner: projectId });
      glance.faults.next({ method: 'PATCH', kind: 'lost' });
      const changed = await store.update(id, { name: 'new', properties: new Map([['key', 'value']]) });
      expect([changed.name, changed.properties.get('key')]).to.deep.equal(['new', 'value']);
      glance.faults.next({ method: 'PATCH', kind: 'lost' });
      expect((await store.update(id, { properties: new Map([['key', null]]) })).properties.size).to.equal(0);
      glance.faults.next({ method: 'POST', path: /members/, kind: 'lost' });
      await store.addMember(id, 'abc');
      expect([...glance.images.get(id)!.members.keys()]).to.deep.equal(['abc']);
      glance.faults.next({ method: 'DELETE', kind: 'lost' });
      await store.delete(id);
      expect(glance.images.has(id)).to.equal(false);
    });
  });

  describe('a token', () => {
    it('that has ended is replaced once, in any call', async () => {
      const { id } = await newImage(store, bytes);
      const calls: (() => [ImageStore, () => Promise<unknown>])[] = [
        () => with_((each) => each.get(id)),
        () => with_((each) => listAll(each)),
        () => with_((each) => readAll(each, id)),
        () => with_((each) => each.update(id, { name: randomUUID() })),
        () => with_((each) => each.create(randomUUID(), plainImage())),
        () => with_(async (each) => each.write(await queued(), pieces(bytes), bytes.length)),
      ];
      function with_(act: (each: ImageStore) => Promise<unknown>): [ImageStore, () => Promise<unknown>] {
        const each = open({}, ['ended', token]);
        return [each, () => act(each)];
      }
      for (const make of calls) await make()[1]();
      await rejection(open({}, ['ended', 'also']).get(id), 'glance_refused');
    });

    it('that ends as an upload begins ends that, to be begun again', async () => {
      const id = await queued();
      glance.faults.next({ method: 'PUT', kind: 'status', status: 401 });
      const { retryable } = await rejection(store.write(id, pieces(bytes), bytes.length), 'glance_unreachable');
      expect([retryable, statusOf(id)]).to.deep.equal([true, 'queued']);
      expect((await store.write(id, pieces(bytes), bytes.length)).status).to.equal('active');
    });

    it('that ends between two pages is replaced', async () => {
      await Promise.all([1, 2, 3].map(() => newImage(store, 'x')));
      const each = open({ pageImages: 2 });
      glance.faults.next({ path: /marker/, kind: 'status', status: 401 });
      const ids = (await listAll(each)).map(({ id }) => id);
      expect([...ids].sort()).to.deep.equal([...glance.images.keys()].sort());
    });
  });

  describe('reading', () => {
    it('that breaks off gives what came and says so, and goes on from there', async () => {
      const { id } = await newImage(store, bytes);
      for (const kind of ['reset', 'cut'] as const) {
        glance.faults.next({ method: 'GET', path: /file/, kind, after: mib + 7 });
        const got: Buffer[] = [];
        const reading = (async () => {
          for await (const piece of store.read(id, 5)) got.push(Buffer.from(piece));
        })();
        const error = await rejection(reading, 'glance_unreachable');
        expect(error.retryable).to.equal(true);
        const first = Buffer.concat(got);
        // A reset may take with it what was on its way.
        expect(first.length).to.be.at.most(mib + 7);
        if (kind === 'cut') expect(first.length).to.equal(mib + 7);
        const whole = Buffer.concat([bytes.subarray(0, 5), first, await readAll(store, id, 5 + first.length)]);
        expect(whole.equals(bytes)).to.equal(true);
      }
    });

    it('from a Glance that knows no ranges leaves out what is not wanted', async () => {
      const { id } = await newImage(store, bytes);
      for (const offset of [1, 65_535, 65_536, 65_537, bytes.length - 1, bytes.length]) {
        glance.faults.next({ path: /file/, kind: 'unranged' });
        expect((await readAll(store, id, offset)).equals(bytes.subarray(offset)), `from ${offset}`).to.equal(true);
      }
    });

    it('ends when nothing comes for too long, and not when the reader is slow', async () => {
      const { id } = await newImage(store, randomBytes(12 * mib));
      const impatient = open({ idleTimeoutMs: 300 });
      let read = 0;
      for await (const piece of impatient.read(id, 0)) {
        if (read === 0) await sleep(900);
        read += piece.length;
      }
      expect(read).to.equal(12 * mib);
      glance.faults.next({ path: /file/, kind: 'slow', after: mib, delayMs: 60_000 });
      await rejection(readAll(impatient, id), 'glance_unreachable');
    });

    it('ends at once when its signal says so', async () => {
      const { id } = await newImage(store, bytes);
      const abort = new AbortController();
      const reason = new Error('enough');
      glance.faults.next({ path: /file/, kind: 'slow', after: mib, delayMs: 60_000 });
      const reading = (async () => {
        for await (const _ of store.read(id, 0, { signal: abort.signal })) setImmediate(() => abort.abort(reason));
      })();
      expect(await reading.catch((error: unknown) => error)).to.equal(reason);
    });
  });

  describe('writing', () => {
    it('that breaks off is told, ends its source, and leaves no image', async () => {
      const id = await queued();
      let ended = false;
      const source = async function* () {
        try {
          for (;;) yield bytes;
        } finally {
          ended = true;
        }
      };
      glance.faults.next({ method: 'PUT', kind: 'reset', after: 3 * mib });
      const before = seen('PUT');
      await rejection(store.write(id, source(), 64 * mib), 'glance_unreachable');
      await until('the end of the source', () => ended);
      await until('the image to be queued', () => statusOf(id) === 'queued');
      expect(seen('PUT') - before).to.equal(1);
    });

    it('whose answer is lost counts where all of it is stored', async () => {
      const id = await queued();
      glance.faults.next({ method: 'PUT', kind: 'lost' });
      expect((await store.write(id, pieces(bytes), bytes.length)).status).to.equal('active');
      const other = await queued();
      glance.faults.next({ method: 'PUT', kind: 'reset', after: bytes.length - 1 });
      const writing = store.write(other, pieces(bytes), bytes.length);
      await rejection(writing, 'glance_unreachable');
      expect(statusOf(other)).to.equal('queued');
    });

    it('is not undone by looks at it that fail', async () => {
      const id = await queued();
      const get = { method: 'GET', kind: 'status', status: 500 } as const;
      glance.faults.next({ ...get, skip: 1, times: 3 });
      expect((await store.write(id, pieces(bytes), bytes.length)).status).to.equal('active');
      const other = await queued();
      glance.faults.next({ ...get, skip: 1, times: 9 });
      await rejection(store.write(other, pieces(bytes), bytes.length), 'glance_unreachable');
    });

    it('waits until the image is active, and tells where it never will be', async () => {
      const id = await queued();
      glance.faults.next({ method: 'PUT', kind: 'importing', delayMs: 50 });
      expect((await store.write(id, pieces(bytes), bytes.length)).status).to.equal('active');
      const other = await queued();
      glance.faults.next({ method: 'PUT', kind: 'killed' });
      const { details } = await rejection(store.write(other, pieces(bytes), bytes.length), 'image_conflict');
      expect(details).to.include('killed');
      const third = await queued();
      glance.faults.next({ method: 'PUT', kind: 'importing', delayMs: 60_000 });
      await rejection(open({ activeTimeoutMs: 20 }).write(third, pieces(bytes), bytes.length), 'image_conflict');
    });

    it('is told as wrong when less was stored', async () => {
      const id = await queued();
      glance.faults.next({ method: 'PUT', kind: 'cut', after: mib });
      await rejection(store.write(id, pieces(bytes), bytes.length), 'image_mismatch');
      expect(glance.images.get(id)).to.include({ status: 'active', size: mib });
    });

    it('of more than there is room for is refused, before and in the middle', async () => {
      glance.quota.imageBytes = mib;
      try {
        const id = await queued();
        await rejection(store.write(id, pieces(bytes), bytes.length), 'image_quota');
        expect(statusOf(id)).to.equal('queued');
      } finally {
        glance.quota.imageBytes = Number.POSITIVE_INFINITY;
      }
      const id = await queued();
      const content = async function* () {
        yield bytes.subarray(0, mib);
        await until('the upload to begin', () => statusOf(id) === 'saving');
        glance.quota.imageBytes = mib / 2;
        yield bytes.subarray(mib);
      };
      try {
        await rejection(store.write(id, content(), bytes.length), 'image_quota');
        await until('the image to be queued', () => statusOf(id) === 'queued');
      } finally {
        glance.quota.imageBytes = Number.POSITIVE_INFINITY;
      }
    });

    it('reads its source no faster than it is taken, and ends where nothing is', async () => {
      const id = await queued();
      let given = 0;
      const source = async function* () {
        for (;;) {
          given += bytes.length;
          yield bytes;
        }
      };
      glance.faults.next({ method: 'PUT', kind: 'slow', after: mib, delayMs: 60_000 });
      await rejection(open({ idleTimeoutMs: 300 }).write(id, source(), 1024 * mib), 'glance_unreachable');
      // What buffers of the two sockets hold.
      expect(given).to.be.below(24 * mib);
    });

    it('ends when its signal says so', async () => {
      const id = await queued();
      const abort = new AbortController();
      const reason = new Error('enough');
      const source = async function* () {
        yield bytes;
        abort.abort(reason);
        yield bytes;
      };
      const writing = store.write(id, source(), 4 * mib, { signal: abort.signal });
      expect(await writing.catch((error: unknown) => error)).to.equal(reason);
      await until('the image to be queued', () => statusOf(id) === 'queued');
    });

    it('of nothing that can be written, or for which no connection is free, ends its source', async () => {
      let ended = 0;
      const content: AsyncIterable<Buffer> = {
        [Symbol.asyncIterator]: () => ({
          next: async () => ({ done: false, value: bytes }),
          return: async () => {
            ended++;
            return { done: true, value: undefined };
          },
        }),
      };
      await rejection(store.write(randomUUID(), content, 1), 'image_not_found');
      expect(ended).to.equal(1);
      const whole = await queued();
      await store.write(whole, pieces(Buffer.alloc(32 * mib)), 32 * mib);
      const one = open({ contentConnections: 1, connectionWaitMs: 100 });
      const reading = one.read(whole, 0)[Symbol.asyncIterator]();
      await reading.next();
      const { details } = await rejection(one.write(await queued(), content, 1), 'glance_unreachable');
      expect(details).to.include('all connections');
      expect(ended).to.equal(2);
      await reading.return?.();
    });
  });
});
