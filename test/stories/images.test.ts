/** A partner's images over the session, from one Glance to the other, with the way cut off in between. */
import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { AllianceError } from '../../src/core/errors.ts';
import { partnerImageLimits } from '../../src/core/limits.ts';
import type { ImageStore } from '../../src/lproxy/imageStore.ts';
import { partnerImages } from '../../src/rproxy/images.ts';
import { pairClouds } from '../support/cloud.ts';
import { qcow2 } from '../support/diskImages.ts';
import { rejection } from '../support/errors.ts';
import {
  addImage,
  collect,
  type GlanceCloud,
  imageEnv,
  listAll,
  newAttributes,
  pieces,
  startGlanceCloud,
} from '../support/imageCloud.ts';

const mib = 1024 * 1024;

describe('images between two clouds', function () {
  this.timeout(60_000);
  let east: GlanceCloud;
  let west: GlanceCloud;
  /** East's images, as west has them. */
  let remote: ImageStore;

  before(async () => {
    east = await startGlanceCloud('east', (project) =>
      imageEnv('west', {
        read: true,
        names: 'debian*,big*',
        write: true,
        project,
        quota_gib: 1,
        quota_images: 4,
        write_visibility: 'shared',
      }),
    );
    west = await startGlanceCloud('west');
    const { atAcceptor } = await pairClouds(east.cloud, west.cloud, { role: 'both' });
    remote = partnerImages(west.cloud.installation.pool, atAcceptor);
  });
  after(async () => {
    await west?.stop();
    await east?.stop();
  });
  afterEach(async () => {
    for (const { id } of await listAll(east.own)) await east.own.delete(id);
    for (const { imageId, region } of await east.cloud.installation.store.partnerImages.list())
      await east.cloud.installation.store.partnerImages.forget({ imageId, region }, 'gone');
  });

  /** Ends every channel that west has to east. */
  const cut = (): void => {
    for (const channels of west.cloud.installation.pool.channels().values())
      for (const { connection } of channels) connection.close();
  };

  it('shows what the filter admits, and nothing else', async () => {
    const seen = await addImage(east.own, Buffer.from('a'), {
      name: 'debian 13',
      visibility: 'public',
      tags: ['x'],
      properties: new Map([['os_distro', 'debian']]),
      minDiskGib: 2,
    });
    const hidden = [
      await addImage(east.own, Buffer.from('b'), { name: 'debian 13', visibility: 'private' }),
      await addImage(east.own, Buffer.from('c'), { name: 'other', visibility: 'public' }),
      await addImage(east.own, Buffer.from('d'), {
        name: 'debian',
        visibility: 'public',
        properties: new Map([['alliance_transfer', '1']]),
      }),
    ];
    const images = await listAll(remote);
    expect(images).to.deep.equal([seen]);
    expect(await remote.get(seen.id)).to.deep.equal(seen);
    for (const { id } of [...hidden, { id: randomUUID() }]) {
      const errors = [
        await rejection(remote.get(id), 'image_not_found'),
        await rejection(collect(remote.read(id, 0)), 'image_not_found'),
      ];
      for (const { message } of errors) expect(message).not.to.contain('visib');
    }
  });

  it('lists all pages, each image once', async () => {
    const made = [];
    for (let i = 0; i < 60; i++)
      made.push(await addImage(east.own, Buffer.from([i]), { name: `debian ${i}`, visibility: 'public' }));
    expect((await listAll(remote)).map(({ id }) => id)).to.have.members(made.map(({ id }) => id));
  });

  it('reads content from the start, from the middle, and at its end', async () => {
    const content = randomBytes(9 * mib + 77);
    const { id } = await addImage(east.own, content, { visibility: 'public' });
    expect((await collect(remote.read(id, 0))).equals(content)).to.equal(true);
    for (const offset of [1, mib, 5 * mib + 3, content.length - 1, content.length])
      expect((await collect(remote.read(id, offset))).equals(content.subarray(offset)), `from ${offset}`).to.equal(
        true,
      );
    await rejection(collect(remote.read(id, content.length + 1)), 'image_conflict');
  });

  it('goes on reading where the connection was cut', async () => {
    const content = randomBytes(20 * mib);
    const { id } = await addImage(east.own, content, { visibility: 'public' });
    const parts: Buffer[] = [];
    let cuts = 0;
    for await (const piece of remote.read(id, 0)) {
      parts.push(Buffer.from(piece));
      if (parts.length % 6 === 2) {
        cut();
        cuts++;
      }
    }
    expect(Buffer.concat(parts).equals(content)).to.equal(true);
    expect(cuts).to.be.greaterThan(2);
    const downloads = east.glance.requests.filter(
      ({ method, path }) => method === 'GET' && path.includes(`${id}/file`),
    );
    expect(downloads, 'one stream out of Glance serves them all').to.have.length(1);
  });

  it('goes on reading where Glance broke off', async () => {
    const content = randomBytes(6 * mib);
    const { id } = await addImage(east.own, content, { visibility: 'public' });
    east.glance.faults.next({ method: 'GET', path: /\/file$/, kind: 'cut', after: 2.5 * mib });
    expect((await collect(remote.read(id, 0))).equals(content)).to.equal(true);
  });

  const write = async (content: Buffer, changes = {}, onPiece: (count: number) => void = () => undefined) => {
    const id = randomUUID();
    await remote.create(id, newAttributes(changes));
    async function* source() {
      let count = 0;
      for await (const piece of pieces(content, 300_000)) {
        onPiece(count++);
        yield piece;
      }
    }
    return remote.write(id, source(), content.length);
  };

  it('makes an image that is its own, and changes and deletes it', async () => {
    const content = randomBytes(3 * mib + 5);
    const properties = new Map([
      ['os_distro', 'debian'],
      ['alliance_transfer', '17'],
    ]);
    const made = await write(content, { name: 'mine', properties, tags: ['t'], visibility: 'public', protected: true });
    expect(made).to.deep.include({ name: 'mine', status: 'active', sizeBytes: content.length, visibility: 'private' });
    expect(made.owner, 'nobody else there says that it is theirs').to.equal('');
    expect(made.properties).to.deep.equal(properties);
    expect(made.protected).to.equal(false);
    const there = east.glance.images.get(made.id)!;
    expect((await collect(east.own.read(made.id, 0))).equals(content)).to.equal(true);
    expect(there.owner).to.equal(east.projectId);
    const changed = await remote.update(made.id, {
      name: 'mine 2',
      visibility: 'community',
      properties: new Map<string, string | null>([
        ['alliance_transfer', null],
        ['a', 'b'],
      ]),
    });
    expect(changed).to.deep.include({ name: 'mine 2', visibility: 'private' });
    expect([...changed.properties]).to.have.deep.members([
      ['os_distro', 'debian'],
      ['a', 'b'],
    ]);
    expect((await remote.update(made.id, { visibility: 'shared' })).visibility).to.equal('shared');
    expect((await listAll(remote)).map(({ name }) => name)).to.deep.equal(['mine 2']);
    await remote.delete(made.id);
    await remote.delete(made.id);
    await rejection(remote.get(made.id), 'image_not_found');
    expect(east.glance.images.has(made.id)).to.equal(false);
    const records = await east.cloud.installation.store.audit.list({ kind: 'image', newest: true, limit: 4 });
    expect(records.map(({ outcome }) => outcome)).to.deep.equal(['asked', 'stored', 'image_refused', 'deleted']);
  });

  it('goes on writing where the connection was cut, in one upload', async () => {
    const content = randomBytes(20 * mib + 1);
    const made = await write(content, {}, (count) => {
      if (count % 20 === 10) cut();
    });
    expect((await collect(east.own.read(made.id, 0))).equals(content)).to.equal(true);
    const uploads = east.glance.requests.filter(({ method, path }) => method === 'PUT' && path.includes(made.id));
    expect(uploads).to.have.length(1);
  });

  it('writes an empty image', async () => {
    expect(await write(Buffer.alloc(0))).to.deep.include({ status: 'active', sizeBytes: 0 });
  });

  it('an upload that the partner lost has to begin anew, and can', async () => {
    const content = randomBytes(8 * mib);
    east.glance.faults.next({ method: 'PUT', path: /\/file$/, kind: 'reset', after: 2 * mib });
    const id = randomUUID();
    await remote.create(id, newAttributes());
    const error = (await remote
      .write(id, pieces(content), content.length)
      .catch((thrown: unknown) => thrown)) as AllianceError;
    expect(error.retryable, error.message).to.equal(true);
    const made = await remote.write(id, pieces(content), content.length);
    expect(made.status).to.equal('active');
    expect((await collect(east.own.read(id, 0))).equals(content)).to.equal(true);
  });

  it('a content that fails on its way becomes no image', async () => {
    const id = randomUUID();
    await remote.create(id, newAttributes());
    async function* broken() {
      yield randomBytes(2 * mib);
      throw new Error('the source is gone');
    }
    const thrown = await remote.write(id, broken(), 4 * mib).catch((error: unknown) => error);
    expect((thrown as Error).message).to.equal('the source is gone');
    expect(east.glance.images.get(id)!.status).not.to.equal('active');
    await remote.delete(id);
    expect(east.glance.images.has(id)).to.equal(false);
  });

  it('no more images and no more bytes than the quota', async () => {
    for (let i = 0; i < 4; i++) await remote.create(randomUUID(), newAttributes());
    await rejection(remote.create(randomUUID(), newAttributes()), 'image_quota');
    const [{ id } = { id: '' }] = await listAll(remote);
    const large = 1024 * mib + 1;
    await rejection(remote.write(id, pieces(Buffer.alloc(8 * mib)), large), 'image_quota');
    expect(east.glance.images.get(id)!.status).to.equal('queued');
  });

  it('touches no image that it did not make', async () => {
    const seen = await addImage(east.own, Buffer.from('a'), { visibility: 'public' });
    const hidden = await addImage(east.own, Buffer.from('b'));
    await rejection(remote.update(seen.id, { name: 'x' }), 'image_refused');
    await rejection(remote.delete(seen.id), 'image_refused');
    await rejection(remote.write(seen.id, pieces(Buffer.from('x')), 1), 'image_refused');
    await rejection(remote.create(seen.id, newAttributes()), 'image_conflict');
    await rejection(remote.update(hidden.id, { name: 'x' }), 'image_not_found');
    await remote.delete(hidden.id);
    await rejection(remote.write(hidden.id, pieces(Buffer.from('x')), 1), 'image_not_found');
    await rejection(remote.create(hidden.id, newAttributes()), 'image_conflict');
    expect((await listAll(east.own)).map(({ id }) => id)).to.have.members([seen.id, hidden.id]);
    expect(await east.cloud.installation.store.partnerImages.list()).to.deep.equal([]);
  });

  it('an image that names files of a hypervisor never becomes one', async () => {
    const id = randomUUID();
    await remote.create(id, newAttributes({ diskFormat: 'qcow2' }));
    const content = qcow2({ backing: '/etc/shadow' });
    await rejection(remote.write(id, pieces(content), content.length), 'image_unsafe');
    expect(east.glance.images.get(id)!.status).not.to.equal('active');
    const disguised = randomUUID();
    await remote.create(disguised, newAttributes());
    await rejection(remote.write(disguised, pieces(qcow2()), qcow2().length), 'image_unsafe');
    const good = await write(qcow2(), { diskFormat: 'qcow2' });
    expect(good.status).to.equal('active');
  });

  it('a store that slows down slows down who writes', async () => {
    const content = randomBytes(40 * mib);
    let sent = 0;
    east.glance.faults.next({ method: 'PUT', path: /\/file$/, kind: 'slow', after: mib, delayMs: 20_000 });
    const id = randomUUID();
    await remote.create(id, newAttributes());
    async function* source() {
      for await (const piece of pieces(content, mib)) {
        sent += piece.length;
        yield piece;
      }
    }
    const end = new AbortController();
    const writing = remote.write(id, source(), content.length, { signal: end.signal });
    writing.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const { uploadHeldBytes, chunksInFlight } = partnerImageLimits;
    expect(sent).to.be.lessThan(uploadHeldBytes + (chunksInFlight + 4) * mib);
    end.abort(new Error('enough'));
    expect(await writing.catch((error: Error) => error.message)).to.equal('enough');
  });
});
