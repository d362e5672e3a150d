/** Images for partners, against a broker, a Keystone and a Glance that run; the partner speaks the wire by hand. */
import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { AllianceError } from '../../src/core/errors.ts';
import { partnerImageLimits } from '../../src/core/limits.ts';
import { ownerMark, ownerMarkOf } from '../../src/server/images/marks.ts';
import {
  ImageAttributes,
  ImageQuery,
  ImageRange,
  ImageReference,
  ImageUpdate,
  ImageVisibility,
  ImageWrite,
  NewImage,
  toInt64,
  toNumber,
} from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { rejection } from '../support/errors.ts';
import {
  addImage,
  type GlanceCloud,
  imageEnv,
  listAll,
  newAttributes,
  startGlanceCloud,
} from '../support/imageCloud.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import type { RawPeer } from '../support/rawPeer.ts';
import { until } from '../support/until.ts';

describe('images for partners', () => {
  const clock = createShiftedClock();
  let east: GlanceCloud;
  let peer: PartnerPeer;
  let raw: RawPeer;
  /** Of the same partner. */
  let second: RawPeer;
  let other: RawPeer;
  let reader: RawPeer;
  let stranger: RawPeer;

  before(async () => {
    east = await startGlanceCloud(
      'east',
      (project) => {
        const rules = { read: true, write: true, project, quota_gib: 1, quota_images: 20 };
        return {
          ...imageEnv('peer', rules),
          ...imageEnv('north', { ...rules, read: false }),
          ...imageEnv('reader', { read: true }),
          ...imageEnv('misled', { ...rules, project: 'another' }),
        };
      },
      { clock, pauses: { partnerImagesMs: 3600_000 } },
    );
    peer = await PartnerPeer.join(east.cloud);
    const channelOf = async (name: string) => (await PartnerPeer.join(east.cloud, name)).channel();
    raw = await peer.channel();
    second = await peer.channel();
    other = await channelOf('north');
    reader = await channelOf('reader');
    stranger = await channelOf('stranger');
  });
  afterEach(async () => {
    east.glance.faults.clear();
    for (const { id } of await listAll(east.own)) await east.own.delete(id);
    for (const key of await notes()) await east.cloud.installation.store.partnerImages.forget(key, 'gone');
    clock.advance(60_000);
  });
  after(() => east.stop());

  /** Waits until Glance has a request of that method, from the one of that number on. */
  const reached = (method: string, from: number) => () =>
    until(`a ${method} at Glance`, () => east.glance.requests.slice(from).some((request) => request.method === method));
  const notes = () => east.cloud.installation.store.partnerImages.list();
  const reference = (id: string) => new ImageReference({ id });
  const list = (fields: Partial<ImageQuery> = {}, by = raw) =>
    by.call('listImages', new ImageQuery({ limit: 1000, ...fields }));
  const get = (id: string, by = raw) => by.call('getImage', reference(id));
  const read = (id: string, offset = 0, length = 10, by = raw) =>
    by.call('readImageData', new ImageRange({ image: reference(id), offset: toInt64(offset), length }));
  type Said = ConstructorParameters<typeof ImageAttributes>[0];
  const create = (id: string, said: Said = {}, by = raw) =>
    by.call(
      'createImage',
      new NewImage({
        image: reference(id),
        attributes: new ImageAttributes({ name: 'a', disk_format: 'raw', ...said }),
      }),
    );
  const write = (id: string, data: Buffer, { offset = 0, size = data.length } = {}, by = raw) =>
    by.call(
      'writeImageData',
      new ImageWrite({ image: reference(id), offset: toInt64(offset), data, size: toInt64(size) }),
    );
  const update = (id: string, said: Said, removed: string[] = [], by = raw) =>
    by.call(
      'updateImage',
      new ImageUpdate({ image: reference(id), attributes: new ImageAttributes(said), removed_properties: removed }),
    );
  const remove = (id: string, by = raw) => by.call('deleteImage', reference(id));

  it('offers nothing by default', async () => {
    const { id } = await addImage(east.own, Buffer.from('a'), { visibility: 'public' });
    for (const call of [
      list({}, stranger),
      get(id, stranger),
      read(id, 0, 1, stranger),
      create(randomUUID(), {}, stranger),
      write(id, Buffer.alloc(1), {}, stranger),
      update(id, {}, [], stranger),
      remove(id, stranger),
    ])
      await rejection(call, 'not_exported');
    expect((await list({}, reader)).images).to.have.length(1);
    for (const call of [create(randomUUID(), {}, reader), write(id, Buffer.alloc(1), {}, reader), remove(id, reader)])
      await rejection(call, 'not_exported');
    const misled = await (await PartnerPeer.join(east.cloud, 'misled')).channel();
    await rejection(create(randomUUID(), {}, misled), 'not_exported');
  });

  it('knows the region that it stands beside, and says of no other', async () => {
    expect((await list({ region: 'east' })).images).to.deep.equal([]);
    for (const region of ['west', '', 'x\n']) await rejection(list({ region }), 'region_not_found');
    await rejection(list({ region: 'x'.repeat(256) }), 'bad_request');
  });

  it('refuses what cannot be meant', async () => {
    const { id } = await addImage(east.own, Buffer.from('abc'), { visibility: 'public' });
    const { chunkBytes, pageImages } = partnerImageLimits;
    for (const call of [
      list({ limit: 0 }),
      list({ limit: pageImages + 1 }),
      list({ after: randomUUID() }),
      get(''),
      get('x'.repeat(256)),
      read(id, -1),
      read(id, 0, 0),
      read(id, 0, chunkBytes + 1),
      create(id.toUpperCase()),
      create('no-uuid'),
      create(randomUUID(), { disk_format: undefined as never }),
      write(randomUUID(), Buffer.alloc(1), { offset: -1 }),
      write(randomUUID(), Buffer.alloc(chunkBytes + 1)),
    ])
      await rejection(call, 'bad_request');
    for (const wrong of ['../images', `${id}/file`, '%2e%2e']) await rejection(get(wrong), 'image_not_found');
    expect(await notes()).to.deep.equal([]);
  });

  it('goes on with a listing where a page ended, also after a long time', async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.push((await addImage(east.own, Buffer.from([i]), { visibility: 'public' })).id);
    const all: string[] = [];
    let after: string | undefined;
    let asked = 0;
    const requests = () =>
      east.glance.requests.filter(({ method, path }) => method === 'GET' && /images\?/.test(path)).length;
    const before = requests();
    do {
      const page: Awaited<ReturnType<typeof list>> = await list({ limit: 3, ...(after !== undefined && { after }) });
      all.push(...page.images.map(({ id }) => id));
      after = page.next_after;
      asked++;
    } while (after !== undefined);
    expect(all).to.have.members(made);
    expect(asked).to.equal(3);
    expect(requests() - before, 'one listing of Glance for all pages').to.be.at.most(2);
    // The same page again, as a retry asks: nothing is remembered of it.
    const again = await list({ limit: 3, after: all[2]! });
    expect(again.images.map(({ id }) => id)).to.deep.equal(all.slice(3, 6));
    const behind = await list({ limit: 3, after: all[4]! });
    expect(behind.images.map(({ id }) => id)).to.deep.equal(all.slice(5));
    expect(behind.next_after).to.equal(undefined);
    // What it may not see is not looked for.
    const hidden = await addImage(east.own, Buffer.from('h'));
    const listings = requests();
    for (const id of [hidden.id, randomUUID()]) await rejection(list({ after: id }), 'bad_request');
    expect(requests()).to.equal(listings);
  });

  it('an image that may not be seen costs as much as one that is not there, however often it is read', async () => {
    const hidden = await addImage(east.own, Buffer.from('h'));
    const costOf = async (id: string) => {
      const before = east.glance.requests.length;
      for (let i = 0; i < 3; i++) await rejection(read(id), 'image_not_found');
      return east.glance.requests.length - before;
    };
    for (const id of [hidden.id, randomUUID()]) expect(await costOf(id)).to.equal(3);
  });

  it('makes one image of each id, and of none that is there', async () => {
    const id = randomUUID();
    const made = await create(id, { properties: { a: 'b' } });
    expect(made).to.deep.include({ id, status: 'queued', yours: true, owner: east.projectId });
    expect({ ...made.attributes.properties }).to.deep.equal({ a: 'b' });
    expect(await create(id, { name: 'another' })).to.deep.equal(made);
    await rejection(create(id, {}, other), 'image_conflict');
    await rejection(get(id, other), 'image_not_found');
    expect(await get(id)).to.deep.equal(made);
    const theirs = await addImage(east.own, Buffer.from('a'));
    await rejection(create(theirs.id), 'image_conflict');
    await rejection(get(theirs.id), 'image_not_found');
    expect(await notes()).to.have.length(1);
  });

  it('an answer that was lost is given again', async () => {
    const id = randomUUID();
    east.glance.faults.next({ method: 'POST', path: /\/images$/, kind: 'lost', times: 9 });
    await create(id).catch(() => undefined);
    east.glance.faults.clear();
    expect((await create(id)).yours).to.equal(true);
    expect(await notes()).to.have.length(1);
  });

  it('forgets an image that Glance refused to make', async () => {
    east.glance.faults.next({ method: 'POST', path: /\/images$/, kind: 'status', status: 403 });
    await rejection(create(randomUUID()), 'image_refused');
    expect(await notes()).to.deep.equal([]);
  });

  it("an image of somebody else that has the note of a partner is not the partner's", async () => {
    const id = randomUUID();
    await east.own.create(id, newAttributes({ properties: new Map([[ownerMark, 'copied']]) }));
    const key = { region: 'east', imageId: id };
    await east.cloud.installation.store.partnerImages.add(peer.partner, key, { images: 9, bytes: 9 });
    await rejection(get(id), 'image_not_found');
    await rejection(write(id, Buffer.from('x')), 'image_not_found');
    await rejection(update(id, { name: 'x' }), 'image_not_found');
    await remove(id);
    expect((await listAll(east.own)).map((image) => image.id)).to.deep.equal([id]);
    expect(await notes()).to.deep.equal([]);
    // And the mark alone, without the note, makes it nobody's either.
    const marked = randomUUID();
    const mark = ownerMarkOf(peer.partner.uid, marked);
    await east.own.create(marked, newAttributes({ properties: new Map([[ownerMark, mark]]) }));
    await rejection(get(marked), 'image_not_found');
  });

  it('an image may use kernels of the same partner, and no others', async () => {
    const [kernel, foreign, image] = [randomUUID(), randomUUID(), randomUUID()];
    await create(kernel, { disk_format: 'aki', container_format: 'aki' });
    await create(foreign, {}, other);
    const visible = await addImage(east.own, Buffer.from('k'), { visibility: 'public' });
    const ami = (kernel_id: string) => ({ disk_format: 'ami', container_format: 'ami', properties: { kernel_id } });
    for (const wrong of [foreign, visible.id, randomUUID(), '../x'])
      await rejection(create(image, ami(wrong)), 'image_refused');
    await create(image, ami(kernel));
    await rejection(update(image, { properties: { ramdisk_id: foreign } }), 'image_refused');
    const records = await east.cloud.installation.store.audit.list({ kind: 'image', newest: true, limit: 20 });
    expect(records.map(({ outcome }) => outcome)).to.include('image_refused');
  });

  it("a note of a kernel that somebody else made does not make it the partner's", async () => {
    const kernel = await addImage(east.own, Buffer.from('k'));
    const image = randomUUID();
    await create(image);
    // Nobody knows then whether it was made, so the note stays.
    east.glance.faults.next({ kind: 'status', status: 503, method: 'GET', path: new RegExp(kernel.id), times: 9 });
    await rejection(create(kernel.id), 'glance_unreachable');
    east.glance.faults.clear();
    expect((await notes()).map(({ imageId }) => imageId)).to.include(kernel.id);
    await rejection(update(image, { properties: { kernel_id: kernel.id } }), 'image_refused');
  });

  it('changes what may be changed, and its format never', async () => {
    const id = randomUUID();
    await create(id, { properties: { a: '1', b: '2' } });
    const changed = await update(id, { name: 'new', min_disk: 4, properties: { a: '3' } }, ['b']);
    expect(changed.attributes).to.deep.include({ name: 'new', min_disk: 4 });
    expect({ ...changed.attributes.properties }).to.deep.equal({ a: '3' });
    await rejection(update(id, { disk_format: 'qcow2' }), 'image_refused');
    await rejection(update(id, { visibility: ImageVisibility.SHARED }), 'image_refused');
    await rejection(update(id, {}, [ownerMark]), 'image_refused');
    expect((await get(id)).yours).to.equal(true);
  });

  it('a refusal of one attempt forgets nothing that another one made, so nothing is beyond the quota', async () => {
    for (let i = 0; i < 3; i++) {
      const id = randomUUID();
      const slow = { kind: 'slow', method: 'POST', path: /\/images$/, delayMs: 100 } as const;
      const arrived = reached('POST', east.glance.requests.length);
      east.glance.faults.next(slow);
      const refused = create(id, { disk_format: 'nonsense' });
      await arrived();
      const made = create(id, {}, second);
      await rejection(refused, 'image_refused');
      expect((await made).yours).to.equal(true);
      expect((await write(id, Buffer.alloc(65_536))).image).to.deep.include({ status: 'active' });
    }
    const noted = (await notes()).map(({ imageId, state }) => `${imageId} ${state}`);
    expect(noted).to.have.members((await listAll(east.own)).map(({ id }) => `${id} stored`));
  });

  it('what is deleted while it is made is gone', async () => {
    const id = randomUUID();
    const arrived = reached('POST', east.glance.requests.length);
    east.glance.faults.next({ kind: 'slow', method: 'POST', path: /\/images$/, delayMs: 100 });
    const made = create(id);
    await arrived();
    await remove(id, second);
    await made;
    expect(await listAll(east.own)).to.deep.equal([]);
    expect(await notes()).to.deep.equal([]);
  });

  it('one that may still be on its way is not forgotten when it is deleted', async () => {
    const id = randomUUID();
    east.glance.faults.next({ method: 'POST', path: /\/images$/, kind: 'status', status: 503, times: 9 });
    await rejection(create(id), 'glance_unreachable');
    east.glance.faults.clear();
    await remove(id);
    expect(await notes()).to.have.length(1);
  });

  it('of many changes of one image at once some have to wait, and some to come again', async () => {
    const id = randomUUID();
    const arrived = reached('POST', east.glance.requests.length);
    east.glance.faults.next({ kind: 'slow', method: 'POST', path: /\/images$/, delayMs: 200 });
    const first = create(id);
    await arrived();
    const rest = Array.from({ length: partnerImageLimits.turnsWaiting + 2 }, () => create(id, {}, second));
    const all = await Promise.allSettled(rest);
    const failed = all.flatMap((one) => (one.status === 'rejected' ? [(one.reason as AllianceError).errorName] : []));
    expect(failed).to.deep.equal(['overloaded', 'overloaded']);
    expect((await first).id).to.equal(id);
  });

  it('a content of which nobody knows whose it is does not stay', async () => {
    const id = randomUUID();
    await create(id);
    await write(id, Buffer.alloc(10), { size: 20 });
    await east.cloud.installation.store.partnerImages.forget({ region: 'east', imageId: id }, 'gone');
    await rejection(write(id, Buffer.alloc(10), { offset: 10, size: 20 }), 'image_not_found');
    expect(await listAll(east.own)).to.deep.equal([]);
  });

  it('says how much it has of a content, in whatever order chunks come', async () => {
    const id = randomUUID();
    const content = randomBytes(3000);
    const chunk = (from: number, to: number) => write(id, content.subarray(from, to), { offset: from, size: 3000 });
    await create(id);
    const early = await chunk(1000, 2000);
    expect(toNumber(early.received)).to.equal(0);
    const all = await Promise.all([chunk(0, 1000), chunk(1000, 2000), chunk(500, 1500)]);
    expect(all.map(({ received }) => toNumber(received))).to.deep.equal([1000, 2000, 2000]);
    await rejection(write(id, content, { size: 2999 + 1 - 1 }), 'bad_request');
    const last = await chunk(2000, 3000);
    expect(last.image).to.deep.include({ status: 'active' });
    expect(toNumber((await chunk(2000, 3000)).received)).to.equal(3000);
    expect((await read(id, 1000, 1000)).data.equals(content.subarray(1000, 2000))).to.equal(true);
    expect((await read(id, 3000)).data).to.have.length(0);
    await rejection(write(id, content.subarray(1), { size: 2999 }), 'image_conflict');
  });

  it('an image whose content is on its way can be deleted', async () => {
    const id = randomUUID();
    await create(id);
    await write(id, randomBytes(1000), { size: 5000 });
    await remove(id);
    expect(await listAll(east.own)).to.deep.equal([]);
    await rejection(write(id, randomBytes(1000), { offset: 1000, size: 5000 }), 'image_not_found');
    expect(await notes()).to.deep.equal([]);
  });

  it('an upload that is about to begin when its image is deleted does not begin', async () => {
    const id = randomUUID();
    await create(id);
    const arrived = reached('GET', east.glance.requests.length);
    east.glance.faults.next({ kind: 'slow', method: 'GET', path: new RegExp(id), delayMs: 300 });
    const written = rejection(write(id, Buffer.alloc(10)), 'image_not_found');
    await arrived();
    // So that it is there when the upload looks for it.
    east.glance.faults.next({ kind: 'status', method: 'DELETE', times: 9 });
    await rejection(remove(id, second), 'glance_unreachable');
    await written;
    expect((await get(id)).status).to.equal('queued');
  });

  it('one partner has so many uploads at a time, and another one its own', async () => {
    const begin = async (by: RawPeer) => {
      const id = randomUUID();
      await create(id, {}, by);
      return write(id, randomBytes(10), { size: 20 }, by);
    };
    for (let i = 0; i < partnerImageLimits.uploadsPerPartner; i++) await begin(raw);
    await rejection(begin(raw), 'overloaded');
    await begin(other);
    for (const { id } of await listAll(east.own)) {
      await remove(id);
      await remove(id, other);
    }
  });

  it('refuses a content that Glance has no room for, or that is beyond the quota', async () => {
    const id = randomUUID();
    await create(id);
    await rejection(write(id, Buffer.alloc(1), { size: 2 ** 30 + 1 }), 'image_quota');
    expect((await get(id)).status).to.equal('queued');
    east.glance.faults.next({ method: 'PUT', path: /file$/, kind: 'status', status: 413 });
    await rejection(write(id, Buffer.alloc(10)), 'image_quota');
  });

  it('limits how often images are made', async () => {
    let error = '';
    for (let i = 0; i < partnerImageLimits.changesBurst * 2 && error === ''; i++)
      await remove(randomUUID(), other).catch((thrown: AllianceError) => {
        error = thrown.errorName;
      });
    expect(error).to.equal('rate_limited');
  }).timeout(60_000);

  it('finds images that were made for a partner and are not noted', async () => {
    const { partnerImages } = east.cloud.installation.store;
    const [empty, stored, copied] = [randomUUID(), randomUUID(), randomUUID()];
    await create(empty);
    await create(stored);
    await write(stored, Buffer.from('abc'));
    for (const { region, imageId } of await notes()) await partnerImages.forget({ region, imageId }, 'gone');
    const mark = ownerMarkOf(peer.partner.uid, stored);
    await east.own.create(copied, newAttributes({ properties: new Map([[ownerMark, mark]]) }));
    await east.cloud.broker.images.tend();
    const noted = (await notes()).map(({ imageId, state, sizeBytes }) => `${imageId} ${state} ${sizeBytes}`);
    expect(noted).to.have.members([`${empty} open 0`, `${stored} stored 3`]);
    expect((await get(stored)).yours).to.equal(true);
  });

  // Last: sessions end with the day that passes.
  it('tidies up what was left behind, and forgets what is gone', async () => {
    const { partnerImages } = east.cloud.installation.store;
    const tend = () => east.cloud.broker.images.tend();
    const [empty, gone, stored] = [randomUUID(), randomUUID(), randomUUID()];
    await create(empty);
    await create(gone);
    await create(stored);
    await write(stored, Buffer.from('abc'));
    await east.own.delete(gone);
    await tend();
    expect(await notes(), 'it may just be made').to.have.length(3);
    clock.advance(partnerImageLimits.goneMs);
    await tend();
    expect(await partnerImages.find({ region: 'east', imageId: gone })).to.equal(null);
    clock.advance(partnerImageLimits.openKeepMs);
    await tend();
    expect((await notes()).map(({ imageId, state }) => `${imageId} ${state}`)).to.deep.equal([`${stored} stored`]);
    expect((await listAll(east.own)).map(({ id }) => id)).to.deep.equal([stored]);
    east.glance.faults.next({ method: 'GET', path: /images/, kind: 'status', status: 500, times: 99 });
    await tend();
    expect(await notes(), 'a Glance that does not answer has lost nothing').to.have.length(1);
  });
});
