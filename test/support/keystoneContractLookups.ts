/** Contract of a Keystone: who and what is found in it on behalf of foreign users. */
import { expect } from 'chai';
import { createKeystone, type Keystone } from '../../src/lproxy/keystone.ts';
import { inDefault } from './keystoneApi.ts';
import type { Bench } from './keystoneContract.ts';

export function describeLookups(bench: () => Bench): void {
  let keystone: Keystone;
  const unique = (name: string) => `${name}-${Date.now().toString(36)}`;

  before(() => {
    const { url, adminPassword } = bench().keystone;
    keystone = createKeystone({
      authUrl: url,
      credentials: { method: 'password', user: inDefault('admin'), password: adminPassword },
      scope: { project: inDefault('admin') },
    });
  });
  after(() => keystone.close());

  it('finds projects, domains and users by name and by id, and none that is switched off', async () => {
    const { api, admin, newUser } = bench();
    const { id, name, project } = await newUser();
    const ofDefault = (wanted: string) => ({ name: wanted, domainId: 'default' });
    const found = { id: project.id, name: project.name, domainId: 'default', tags: [] };
    expect(await keystone.listProjects(ofDefault(project.name))).to.deep.equal([found]);
    expect(await keystone.findProject(project.id)).to.deep.equal(found);
    expect(await keystone.listProjects({ ...ofDefault(project.name), domainId: 'elsewhere' })).to.deep.equal([]);
    const user = { id, name, domainId: 'default', defaultProjectId: project.id };
    expect(await keystone.listUsers(ofDefault(name))).to.deep.equal([user]);
    expect(await keystone.findUser(id)).to.deep.equal(user);
    expect(await keystone.listDomains({ name: 'Default' })).to.deep.equal([{ id: 'default', name: 'Default' }]);
    expect(await keystone.findDomain('default')).to.deep.equal({ id: 'default', name: 'Default' });
    expect(await keystone.findDomain('none')).to.equal(null);
    // What is no id never becomes part of a path.
    for (const odd of ['..', 'a/b', '', `${project.id}?x`]) expect(await keystone.findProject(odd), odd).to.equal(null);

    await api.must('PATCH', `/projects/${project.id}`, { token: admin, body: { project: { enabled: false } } });
    await api.must('PATCH', `/users/${id}`, { token: admin, body: { user: { enabled: false } } });
    expect(await keystone.listProjects(ofDefault(project.name))).to.deep.equal([]);
    expect([await keystone.findProject(project.id), await keystone.findUser(id)]).to.deep.equal([null, null]);
  });

  it('knows the roles and what each brings with it', async () => {
    const roles = new Map((await keystone.listRoles()).map(({ id, name }) => [name, id]));
    const inferences = await keystone.roleInferences();
    expect(inferences.get(roles.get('admin')!)).to.include(roles.get('member'));
    expect(inferences.get(roles.get('member')!)).to.deep.equal([roles.get('reader')]);
    expect(inferences.has(roles.get('reader')!)).to.equal(false);
  });

  it('lists the roles of a group as they are, and of a user with those of its groups and what they bring', async () => {
    const { api, admin, newUser } = bench();
    const user = await newUser('reader');
    const name = unique('operators');
    const group = await api.create(admin, 'group', { name, domain_id: 'default' });
    const member = await api.roleId(admin, 'member');
    const reader = await api.roleId(admin, 'reader');
    const project = await api.create(admin, 'project', { name: unique('operations') });
    await api.must('PUT', `/projects/${project.id}/groups/${group.id}/roles/${member}`, { token: admin });
    expect(await keystone.listGroups({ name, domainId: 'default' })).to.deep.equal([
      { id: group.id, name, domainId: 'default' },
    ]);
    expect(await keystone.listAssignments({ groupId: group.id })).to.deep.equal([
      { roleId: member, projectId: project.id },
    ]);
    const own = { roleId: reader, projectId: user.project.id };
    expect(await keystone.listAssignments({ userId: user.id })).to.deep.equal([own]);
    await api.must('PUT', `/groups/${group.id}/users/${user.id}`, { token: admin });
    expect(await keystone.listAssignments({ userId: user.id })).to.have.deep.members([
      own,
      { roleId: member, projectId: project.id },
      { roleId: reader, projectId: project.id },
    ]);
    const both = await api.call('GET', `/role_assignments?group.id=${group.id}&effective`, { token: admin });
    expect(both.status).to.equal(400);
  });
}
