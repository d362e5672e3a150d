import { expect } from 'chai';
import fc from 'fast-check';
import type { CloudId } from '../../../src/core/ids.ts';
import { applyMapping } from '../../../src/token/mapping/apply.ts';
import { foreignIdentity, identityOf, recordedIdentity } from '../../../src/token/mapping/identity.ts';
import { parseMapping } from '../../../src/token/mapping/mapping.ts';
import type { MappingAcceptance, MappingOutcome } from '../../../src/token/mapping/outcome.ts';
import { comparable, isServiceProject, privilegedNames } from '../../../src/token/mapping/privilege.ts';

const east = 'east' as CloudId;
const options = {
  privileged: privilegedNames({ privilegedRoles: ['Heat_Stack_Owner'], serviceTokenRoles: ['service'] }),
  allowLocalUsers: false,
};

const domain = { id: 'default', name: 'Default' };
const subject = (changes: object = {}) => ({
  user: { id: 'u1', name: 'ann', domain },
  project: { id: 'p1', name: 'lab', domain },
  roles: ['member', 'reader'],
  groups: [],
  ...changes,
});

const user = { remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}' } }] };
const apply = (rules: unknown, changes: object = {}, more: object = {}): MappingOutcome =>
  applyMapping(parseMapping(rules), identityOf(subject(changes), east), { ...options, ...more });
const accepted = (outcome: MappingOutcome): MappingAcceptance => {
  if (outcome.kind === 'denied') throw new Error(`${outcome.reason}: ${outcome.details}`);
  return outcome;
};
const reasonOf = (outcome: MappingOutcome) => (outcome.kind === 'denied' ? outcome.reason : 'accepted');
const rolesOf = (outcome: MappingOutcome): string[] => {
  const { projects, roles } = accepted(outcome);
  return [...projects.flatMap((project) => project.roles), ...roles].map(({ name }) => name);
};
const giving = (name: string, more: object = {}) => ({
  remote: [{ type: 'openstack_roles' }],
  local: [{ roles: [{ name }] }],
  ...more,
});

describe('token/mapping/apply', () => {
  it('denies without a rule that matches, and says of each rule why', () => {
    const none = apply([
      { remote: [{ type: 'cloud_id', any_one_of: ['west'] }], local: [] },
      { remote: [{ type: 'openstack_groups' }], local: [] },
    ]);
    expect(reasonOf(none)).to.equal('no_rule');
    expect(none.trace.map(({ why }) => why)).to.deep.equal([
      'cloud_id (east) is none of west.',
      'openstack_groups is not there.',
    ]);
    expect(reasonOf(apply([]))).to.equal('no_rule');
    expect(reasonOf(apply([giving('member')]))).to.equal('no_user');
  });

  it('adds up what matches: groups, roles and the first user', () => {
    const rules = [
      user,
      {
        remote: [{ type: 'openstack_roles', whitelist: ['reader'] }],
        local: [{ user: { name: 'second' }, group_ids: 'g1', roles: [{ name: '{0}' }] }],
      },
      { remote: [{ type: 'cloud_id' }], local: [{ group: { id: 'g2' }, groups: '{0}', domain }] },
    ];
    const outcome = accepted(apply(rules));
    expect([outcome.user.name, outcome.rule]).to.deep.equal(['ann', '1, 2, 3']);
    expect(outcome.groups.map(({ id, name }) => id ?? name)).to.deep.equal(['g1', 'g2', 'east']);
    expect(rolesOf(outcome)).to.deep.equal(['reader']);
  });

  it('gives every role of a list where it stands alone, and refuses a list within a name', () => {
    expect(rolesOf(apply([user, giving('{0}')]))).to.deep.equal(['member', 'reader']);
    expect(reasonOf(apply([user, giving('x-{0}')]))).to.equal('not_one_value');
    const nobody = { remote: [{ type: 'openstack_roles', whitelist: ['none'] }], local: [{ user: { name: '{0}' } }] };
    expect(reasonOf(apply([nobody]))).to.equal('not_one_value');
  });

  it('feeds names and ids of the token, and of a federated user its groups', () => {
    const token = {
      ...subject(),
      roles: [{ id: 'r1', name: 'member' }],
      user: { ...subject().user, 'OS-FEDERATION': { groups: [{ id: 'g1' }] } },
    };
    const { attributes } = foreignIdentity(JSON.stringify({ token }), east);
    expect(Object.fromEntries(attributes)).to.deep.equal({
      openstack_user: ['ann'],
      openstack_user_domain: ['Default'],
      openstack_roles: ['member'],
      openstack_project: ['lab'],
      openstack_project_domain: ['Default'],
      openstack_groups: ['g1'],
      cloud_id: ['east'],
      user_id: ['u1'],
      user_domain_id: ['default'],
      project_id: ['p1'],
      project_domain_id: ['default'],
    });
    expect(identityOf(subject({ project: null, roles: [] }), east).attributes.has('openstack_project')).to.equal(false);
    expect(recordedIdentity(subject(), east)?.attributes.get('openstack_user')).to.deep.equal(['ann']);
    expect(recordedIdentity({ reason: 'x' }, east)).to.equal(null);
    for (const body of ['{', '{}', '{"token":{"user":{"id":1}}}'])
      expect(() => foreignIdentity(body, east))
        .to.throw()
        .with.property('errorName', 'wire_malformed');
  });

  it('takes a local user only where configuration allows any', () => {
    const local = [{ remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}', type: 'local', domain } }] }];
    expect(reasonOf(apply(local))).to.equal('local_users_not_allowed');
    expect(accepted(apply(local, {}, { allowLocalUsers: true })).user.type).to.equal('local');
  });

  describe('values', () => {
    for (const value of ['a;b', 'a\nb', 'a\u0000', 'a\u0085b', '\ud800', '', 'x'.repeat(256), 'a\u2028b'])
      it(`refuses ${JSON.stringify(value).slice(0, 24)} wherever it stands`, () => {
        const owner = { id: 'u1', name: value, domain };
        for (const changes of [
          { user: owner },
          { project: owner },
          { roles: ['member', value] },
          { groups: [value] },
          { user: { ...owner, name: 'ann', id: value } },
        ])
          expect(reasonOf(apply([user], changes))).to.equal('value_refused');
      });

    it('never reads a value again: no list, no template, no rule comes out of it', () => {
      const rules = [
        user,
        { remote: [{ type: 'openstack_project' }], local: [{ group_ids: '{0}', roles: [{ name: '{0}' }] }] },
      ];
      for (const name of ["['admins', 'root']", '{0}', '[]', '{"name":"x"}']) {
        const outcome = accepted(apply(rules, { project: { id: 'p1', name, domain } }));
        expect(outcome.groups.map(({ id }) => id)).to.deep.equal([name]);
        expect(rolesOf(outcome)).to.deep.equal([name]);
      }
    });

    it('refuses a name that grows too long in a rule', () => {
      const rules = [{ remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}{0}' } }] }];
      expect(reasonOf(apply(rules, { user: { id: 'u1', name: 'x'.repeat(200), domain } }))).to.equal('value_refused');
    });
  });

  describe('privilege', () => {
    for (const name of [
      'admin',
      'ADMIN',
      'Admin',
      'ａｄｍｉｎ',
      'ⓢervice',
      'service',
      'Manager',
      'heat_stack_owner',
      '𝐚𝐝𝐦𝐢𝐧',
    ])
      it(`${name} needs allow_privileged, written in the rule or in the token`, () => {
        for (const rules of [
          [user, giving(name)],
          [user, giving('{0}')],
        ]) {
          const outcome = apply(rules, { roles: [name] });
          expect(rolesOf(outcome)).to.deep.equal([]);
          expect(accepted(outcome).omissions.map(({ reason }) => reason)).to.deep.equal(['role_refused']);
        }
        expect(rolesOf(apply([user, giving(name, { allow_privileged: true })]))).to.deep.equal([name]);
        // Another rule's permission is not this one's.
        expect(rolesOf(apply([{ ...user, allow_privileged: true }, giving(name)]))).to.deep.equal([]);
      });

    it('the project of services is nobody', () => {
      for (const name of ['service', 'Service', 'ｓｅｒｖｉｃｅ']) {
        const rules = [
          user,
          {
            remote: [{ type: 'openstack_project' }],
            local: [{ projects: [{ name: '{0}', roles: [{ name: 'member' }] }] }],
            allow_privileged: true,
          },
        ];
        const outcome = accepted(apply(rules, { project: { id: 'p1', name, domain } }));
        expect(outcome.projects).to.deep.equal([]);
        expect(outcome.omissions[0]?.reason).to.equal('project_refused');
        expect(isServiceProject(name)).to.equal(true);
      }
    });

    const lookalikes = fc.constantFrom(
      'admin',
      'ADMIN',
      'aDmIn',
      'ａｄｍｉｎ',
      '𝐚𝐝𝐦𝐢𝐧',
      'ⓐdmin',
      'ad',
      'min',
      'mιn',
      'service',
      'ſervice',
      'SERVICE',
      'manager',
      'member',
      'x',
    );
    const templates = fc.constantFrom(
      '{0}',
      '{1}',
      '{0}{1}',
      'ad{0}',
      'a{1}',
      'ａ{0}',
      '{0}min',
      'admin',
      'ADMIN',
      'ſervice',
      'member',
      'ad{{0}}',
    );
    const remotes = fc.constantFrom(
      [{ type: 'openstack_roles' }, { type: 'openstack_project' }],
      [{ type: 'openstack_roles', blacklist: ['admin'] }, { type: 'openstack_user' }],
      [{ type: 'openstack_project' }, { type: 'openstack_roles', whitelist: ['.'], regex: true }],
    );
    const roleList = fc.array(
      templates.map((name) => ({ name })),
      { maxLength: 3 },
    );
    const rule = fc.record(
      {
        remote: remotes,
        local: fc.array(
          fc.record(
            { roles: roleList, projects: fc.array(fc.record({ name: templates, roles: roleList }), { maxLength: 2 }) },
            { requiredKeys: [] },
          ),
          { maxLength: 3 },
        ),
        allow_privileged: fc.boolean(),
      },
      { requiredKeys: ['remote', 'local'] },
    );
    const people = fc.record({
      user: fc.record({ id: lookalikes, name: lookalikes, domain: fc.constant(domain) }),
      project: fc.record({ id: lookalikes, name: lookalikes, domain: fc.constant(domain) }),
      roles: fc.array(lookalikes, { maxLength: 3 }),
    });

    it('never comes out of a rule without the flag, whatever the rules and the token', () => {
      fc.assert(
        fc.property(fc.array(rule, { maxLength: 4 }), people, (rules, person) => {
          const outcome = apply([user, ...rules], person);
          if (outcome.kind === 'denied') return;
          const given = [...outcome.projects.flatMap((project) => project.roles), ...outcome.roles];
          for (const role of given.filter(({ name }) => options.privileged.has(comparable(name)))) {
            expect(role.allowPrivileged, role.name).to.equal(true);
            expect(rules[role.rule - 2]?.allow_privileged, role.name).to.equal(true);
          }
        }),
        { numRuns: 1000 },
      );
    });

    it('a denial that matches wins, wherever it stands', () => {
      const deny = { remote: [{ type: 'openstack_user' }], deny: true };
      fc.assert(
        fc.property(fc.array(rule, { maxLength: 4 }), fc.nat(), people, (rules, at, person) => {
          const all: unknown[] = [user, ...rules];
          all.splice(at % (all.length + 1), 0, deny);
          expect(reasonOf(apply(all, person))).to.equal('deny_rule');
        }),
        { numRuns: 300 },
      );
    });
  });
});
