/** Images and what is said of them: make, change, share, delete. */
import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { rejection } from './errors.ts';
import { type GlanceBench, type GlanceUser, newImage, pieces, plainImage } from './glanceContract.ts';

export function describeGlanceImages(current: () => GlanceBench): void {
  describe('images', () => {
    let ann: GlanceUser;
    let bob: GlanceUser;
    let root: GlanceUser;

    before(async () => {
      [ann, bob, root] = await Promise.all([current().newUser(), current().newUser(), current().newUser('admin')]);
    });

    it('are made as they are described, under the id that was chosen', async () => {
      const id = randomUUID();
      const attributes = plainImage({
        name: 'café ☕ "quoted"',
        visibility: 'shared',
        diskFormat: 'qcow2',
        minDiskGib: 3,
        minRamMib: 512,
        protected: true,
        hidden: true,
        tags: ['b', 'a/ö'],
        properties: new Map([
          ['os_distro', 'debian'],
          ['with/slash', ''],
          ['with~tilde', '~1'],
          ['constructor', 'x'],
        ]),
      });
      const made = await ann.store.create(id, attributes);
      const { tags, properties, ...plain } = attributes;
      expect(made).to.include({ id, owner: ann.projectId, status: 'queued', ...plain });
      expect(made).to.include({ sizeBytes: null, checksum: null, hash: null });
      expect([...made.tags].sort()).to.deep.equal([...tags].sort());
      expect(Object.fromEntries(made.properties)).to.deep.equal(Object.fromEntries(properties));
      expect(made.createdAt).to.be.closeTo(Date.now(), 60_000);
      expect(await ann.store.get(id)).to.deep.equal(made);
      await ann.store.update(id, { protected: false });
      await ann.store.delete(id);
    });

    it('are made once, however often the same caller asks', async () => {
      const id = randomUUID();
      const first = await ann.store.create(id, plainImage({ name: 'once' }));
      expect(await ann.store.create(id, plainImage({ name: 'twice' }))).to.deep.equal(first);
      await rejection(bob.store.create(id, plainImage()), 'image_conflict');
      const shown = await ann.store.create(randomUUID(), plainImage({ visibility: 'community' }));
      await rejection(bob.store.create(shown.id, plainImage()), 'image_conflict');
    });

    it('are not made with what nobody may say', async () => {
      for (const key of ['os_glance_x', 'status', 'locations', 'id', 'stores', ''])
        await rejection(
          ann.store.create(randomUUID(), plainImage({ properties: new Map([[key, 'x']]) })),
          'image_refused',
        );
      await rejection(ann.store.create(randomUUID(), plainImage({ diskFormat: 'floppy' })), 'image_refused');
      await rejection(ann.store.create(randomUUID(), plainImage({ name: 'n'.repeat(256) })), 'image_refused');
    });

    it('are changed where they differ, and nowhere else', async () => {
      const { id } = await newImage(ann.store, 'content', {
        properties: new Map([
          ['kept', 'k'],
          ['a/b', '1'],
          ['c~d', '2'],
          ['gone', '3'],
        ]),
      });
      const before = await ann.store.get(id);
      const changed = await ann.store.update(id, {
        name: 'new name',
        visibility: 'community',
        minDiskGib: 1,
        minRamMib: 2,
        hidden: true,
        tags: ['x'],
        properties: new Map([
          ['a/b', 'one'],
          ['c~d', null],
          ['gone', null],
          ['never there', null],
          ['~0/~1', 'new'],
        ]),
      });
      expect(changed).to.include({
        name: 'new name',
        visibility: 'community',
        minDiskGib: 1,
        minRamMib: 2,
        hidden: true,
      });
      expect(changed.tags).to.deep.equal(['x']);
      expect(Object.fromEntries(changed.properties)).to.deep.equal({ kept: 'k', 'a/b': 'one', '~0/~1': 'new' });
      expect(changed).to.include({ checksum: before.checksum, sizeBytes: 7, status: 'active', protected: false });
      expect(await ann.store.update(id, { name: 'new name', tags: ['x'] })).to.deep.equal(changed);
    });

    it('are changed and deleted by their owners only', async () => {
      const { id } = await newImage(ann.store, 'content', { visibility: 'community' });
      await rejection(bob.store.update(id, { name: 'mine' }), 'image_refused');
      await rejection(bob.store.delete(id), 'image_refused');
      const hidden = await newImage(ann.store, 'content');
      await rejection(bob.store.get(hidden.id), 'image_not_found');
      await rejection(bob.store.update(hidden.id, { name: 'mine' }), 'image_not_found');
      await bob.store.delete(hidden.id);
      expect((await ann.store.get(hidden.id)).status).to.equal('active');
      await ann.store.delete(id);
      await rejection(ann.store.get(id), 'image_not_found');
      await ann.store.delete(id);
    });

    it('are public where an admin says so', async () => {
      expect([ann.store.publishes, root.store.publishes]).to.deep.equal([false, true]);
      await rejection(ann.store.create(randomUUID(), plainImage({ visibility: 'public' })), 'image_refused');
      const { id } = await newImage(ann.store, 'content');
      await rejection(ann.store.update(id, { visibility: 'public' }), 'image_refused');
      const made = await root.store.create(randomUUID(), plainImage({ visibility: 'public' }));
      expect((await bob.store.get(made.id)).visibility).to.equal('public');
      await root.store.delete(made.id);
    });

    it('are not deleted while they are protected', async () => {
      const { id } = await newImage(ann.store, 'content', { protected: true });
      await rejection(ann.store.delete(id), 'image_conflict');
      await ann.store.update(id, { protected: false });
      await ann.store.delete(id);
    });

    it('are shared with members', async () => {
      const { id } = await newImage(ann.store, 'content', { visibility: 'shared' });
      expect(await ann.store.members(id)).to.deep.equal([]);
      await ann.store.addMember(id, bob.projectId);
      await ann.store.addMember(id, bob.projectId);
      expect(await ann.store.members(id)).to.deep.equal([{ projectId: bob.projectId, status: 'pending' }]);
      expect((await bob.store.get(id)).owner).to.equal(ann.projectId);
      await rejection(bob.store.addMember(id, root.projectId), 'image_refused');
      const own = await newImage(ann.store, 'content');
      await rejection(ann.store.addMember(own.id, bob.projectId), 'image_refused');
    });

    it('are not found by what is no id', async () => {
      for (const id of ['', '../images', 'a/b', 'x?y', '%2e', 'a'.repeat(65), randomUUID(), 'none']) {
        await rejection(ann.store.get(id), 'image_not_found');
        await rejection(ann.store.update(id, { name: 'x' }), 'image_not_found');
        await rejection(ann.store.write(id, pieces('x'), 1), 'image_not_found');
        await rejection(ann.store.read(id, 0)[Symbol.asyncIterator]().next(), 'image_not_found');
      }
    });
  });
}
