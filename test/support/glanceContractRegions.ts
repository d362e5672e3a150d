/** Regions, logins and tokens. */
import { expect } from 'chai';
import { createGlanceRegions } from '../../src/lproxy/glanceRegions.ts';
import { rejection } from './errors.ts';
import { type GlanceBench, type GlanceUser, listAll } from './glanceContract.ts';

export function describeGlanceRegions(current: () => GlanceBench): void {
  describe('regions', () => {
    let ann: GlanceUser;

    before(async () => {
      ann = await current().newUser();
    });

    it('are those of the catalog', async () => {
      expect(await ann.regions.regions()).to.include(current().glance.region);
      expect(await ann.regions.projectId()).to.equal(ann.projectId);
      const { details } = await rejection(ann.regions.store('nowhere'), 'region_not_found');
      expect(details).to.include(current().glance.region).and.include('nowhere');
      expect(await ann.regions.store(current().glance.region)).to.equal(ann.store);
    });

    it('are reached by an old address, and within another project', async () => {
      const { api, admin, glance } = current();
      const project = await api.create(admin, 'project', { name: `second of ${ann.name}`, domain_id: 'default' });
      const [user] = (await api.must('GET', `/users?name=${ann.name}`, { token: admin })).at('users') as {
        id: string;
      }[];
      await api.grant(admin, project.id, user!.id, 'member');
      const regions = createGlanceRegions({
        authUrl: glance.keystone.url.replace('/v3', '/v2.0/'),
        credentials: {
          method: 'password',
          user: { name: ann.name, domain: { name: 'Default' } },
          password: ann.password,
        },
        scope: { project: { id: ann.projectId } },
        project: { name: `second of ${ann.name}`, domain: { name: 'Default' } },
      });
      expect(await regions.projectId()).to.equal(project.id);
      expect(await listAll(await regions.store(glance.region))).to.be.an('array');
      await regions.close();
    });

    it('refuse whoever cannot log in', async () => {
      const regions = createGlanceRegions({
        authUrl: current().glance.keystone.url,
        credentials: { method: 'password', user: { name: ann.name, domain: { id: 'default' } }, password: 'wrong' },
        scope: { project: { id: ann.projectId } },
      });
      await rejection(regions.regions(), 'keystone_refused');
      await regions.close();
    });
  });
}
