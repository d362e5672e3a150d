/** Contract of a Keystone: projects that the broker makes, knows again, switches off and removes. */
import { expect } from 'chai';
import { createKeystone, type Keystone } from '../../src/lproxy/keystone.ts';
import { rejection } from './errors.ts';
import { inDefault } from './keystoneApi.ts';
import type { Bench } from './keystoneContract.ts';

export function describeProjects(bench: () => Bench): void {
  let keystone: Keystone;
  let weak: Keystone;
  const unique = (name: string) => `${name}-${Date.now().toString(36)}`;

  before(async () => {
    const { keystone: running, newUser } = bench();
    const login = (name: string, password: string, project: string) =>
      createKeystone({
        authUrl: running.url,
        credentials: { method: 'password', user: inDefault(name), password },
        scope: { project: inDefault(project) },
      });
    keystone = login('admin', running.adminPassword, 'admin');
    const user = await newUser();
    weak = login(user.name, user.password, user.project.name);
  });
  after(() => Promise.all([keystone.close(), weak.close()]));

  const newProject = (name: string) => ({
    name,
    domainId: 'default',
    description: 'Made for west, request é 1',
    tags: ['alliance', 'alliance-partner:west', 'alliance-request:0123456789abcdef0123456789abcdef'],
  });

  it('makes a project with its tags, once by name, and finds it again, also switched off', async () => {
    const project = newProject(unique('made'));
    const made = await keystone.createProject(project);
    expect(made).to.deep.include({ name: project.name, domainId: 'default' });
    expect(made!.tags).to.have.members(project.tags);
    expect(await keystone.createProject(project)).to.equal(null);
    expect(await keystone.switchOffProject(made!.id)).to.equal(true);
    const [found, ...more] = await keystone.projectsNamed({ name: project.name, domainId: 'default' });
    expect(more).to.deep.equal([]);
    expect(found!.id).to.equal(made!.id);
    expect(found!.tags).to.have.members(project.tags);
    expect(await keystone.findProject(made!.id)).to.equal(null);
    expect(await keystone.projectsNamed({ name: unique('none'), domainId: 'default' })).to.deep.equal([]);
  });

  it('removes a project and its tokens, and one that is gone is gone', async () => {
    const user = await bench().newUser();
    expect((await keystone.validateToken(user.token)).status).to.equal('valid');
    expect(await keystone.deleteProject(user.project.id)).to.equal(true);
    expect((await keystone.validateToken(user.token)).status).to.equal('invalid');
    expect(await keystone.deleteProject(user.project.id)).to.equal(false);
    expect(await keystone.switchOffProject(user.project.id)).to.equal(false);
    for (const odd of ['', '..', 'a/b', `${user.project.id}?x`])
      expect(await keystone.deleteProject(odd)).to.equal(false);
  });

  it('says that a user without the rights is refused', async () => {
    await rejection(weak.createProject(newProject(unique('weak'))), 'keystone_refused');
    await rejection(weak.deleteProject(bench().admin.slice(0, 32).replace(/\W/g, 'a')), 'keystone_refused');
  });
}
