/** Lists of images. */
import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { createGlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import { type GlanceBench, type GlanceUser, listAll, newImage, plainImage } from './glanceContract.ts';

export function describeGlanceListing(current: () => GlanceBench): void {
  describe('lists', () => {
    let ann: GlanceUser;
    let bob: GlanceUser;

    before(async () => {
      [ann, bob] = await Promise.all([current().newUser(), current().newUser()]);
    });

    it('have every image of the project, page by page, hidden ones too', async () => {
      const made = [];
      for (let index = 0; index < 7; index += 1)
        made.push(await ann.store.create(randomUUID(), plainImage({ hidden: index % 3 === 2, tags: [`${index}`] })));
      const regions = createGlanceRegions({
        authUrl: current().glance.keystone.url,
        credentials: {
          method: 'password',
          user: { name: ann.name, domain: { id: 'default' } },
          password: ann.password,
        },
        scope: { project: { id: ann.projectId } },
        limits: { pageImages: 2 },
      });
      const pages: number[] = [];
      const found = new Map();
      for await (const page of (await regions.store(current().glance.region)).list()) {
        pages.push(page.length);
        for (const image of page) found.set(image.id, image);
      }
      await regions.close();
      expect(Math.max(...pages)).to.equal(2);
      expect(made.map(({ id }) => found.get(id))).to.deep.equal(made);
    });

    it('of one name have all images of that name', async () => {
      const name = `${randomUUID()} & "one", ü=%`;
      for (const each of [name, `in:${name}`]) {
        const made = [await newImage(ann.store, 'content', { name: each })];
        made.push(await ann.store.create(randomUUID(), plainImage({ name: each, hidden: true })));
        const found: string[] = [];
        for await (const page of ann.store.list({ name: each }))
          for (const image of page) if (image.name === each) found.push(image.id);
        expect(found).to.have.members(made.map(({ id }) => id));
      }
    });

    it('have what others show: public images and those that one accepted, no others', async () => {
      const id = async (values: Parameters<typeof plainImage>[0]) => (await newImage(ann.store, 'content', values)).id;
      const community = await id({ visibility: 'community' });
      const own = await id({});
      const shared = await id({ visibility: 'shared' });
      await ann.store.addMember(shared, bob.projectId);
      const seen = async (user: GlanceUser) => new Set((await listAll(user.store)).map((image) => image.id));
      expect([community, own, shared].map((each) => each)).to.satisfy((ids: string[]) => ids.length === 3);
      const ofAnn = await seen(ann);
      expect([community, own, shared].every((each) => ofAnn.has(each))).to.equal(true);
      const ofBob = await seen(bob);
      expect([community, own, shared].some((each) => ofBob.has(each))).to.equal(false);
    });
  });
}
