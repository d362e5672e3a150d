/** `alliance mapping`, with and without a Keystone. */
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { openInstallation } from '../../src/broker/installation.ts';
import type { CloudId } from '../../src/core/ids.ts';
import { silentLogger } from '../../src/core/log.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { runCommand } from '../support/commandLine.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { checked } from '../support/jsonSchema.ts';
import { newPartner } from '../support/store.ts';

const domain = { id: 'd-east', name: 'East' };
const token = {
  methods: ['password'],
  user: { id: 'u1', name: 'ann', domain },
  audit_ids: ['a'],
  expires_at: '2030-01-01T01:00:00.000000Z',
  issued_at: '2030-01-01T00:00:00.000000Z',
  project: { id: 'p1', name: 'lab', domain },
  roles: [{ id: 'r1', name: 'member' }],
};
const remote = [{ type: 'openstack_user' }];
const give = (...roles: string[]) => [{ name: 'demo', roles: roles.map((name) => ({ name })) }];
const rules = [
  { remote, local: [{ user: { name: '{0}' }, projects: give('member', 'admin') }] },
  { remote: [{ type: 'openstack_roles', any_one_of: ['banned'] }], deny: true },
];

describe('cli/mapping', () => {
  const directory = temporaryDirectory();
  const home = directory.file('west');
  const file = directory.file('rules.json');
  const as = directory.file('token.json');
  let keystone: SandboxKeystone;
  let keystoneEnv: Record<string, string>;

  const run = (args: string, more: object = {}) => runCommand([...args.split(' '), '--json'], { home, ...more });
  const result = async (name: string, args: string, more: object = {}): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await run(args, more);
    expect(stderr).to.equal('');
    return { code, ...checked(name, JSON.parse(stdout)) };
  };

  before(async () => {
    keystone = await startSandboxKeystone();
    keystoneEnv = {
      ALLIANCE_KEYSTONE__AUTH_URL: keystone.url,
      ALLIANCE_KEYSTONE__USERNAME: 'admin',
      ALLIANCE_KEYSTONE__PASSWORD: keystone.adminPassword,
      ALLIANCE_KEYSTONE__PROJECT_NAME: 'admin',
    };
    expect((await run('init --cloud-id west --advertise tls://west.example:9443')).code).to.equal(0);
    const installation = await openInstallation({ home, env: {}, log: silentLogger });
    await installation.store.partners.add(newPartner('east', { role: 'provider' }));
    await installation.close();
    writeFileSync(file, JSON.stringify(rules));
    writeFileSync(as, JSON.stringify({ token }));
  });
  after(async () => {
    await keystone.stop();
    directory.remove();
  });

  it('sets, shows and takes away', async () => {
    expect((await result('mapping-show', 'mapping show --partner east')).mapping).to.equal(null);
    expect(await result('mapping-set', `mapping set ${file} --partner east`)).to.include({ partner: 'east', rules: 2 });
    expect((await result('mapping-show', 'mapping show --partner east')).mapping).to.deep.equal(rules);
    expect((await run('mapping set --none --partner east')).code).to.equal(0);
    const test = await result('mapping-test', `mapping test --partner east --as ${as}`);
    expect(test).to.deep.include({ code: 1, outcome: 'denied', reason: 'no_mapping' });
    const input = JSON.stringify({ rules });
    expect(await result('mapping-set', 'mapping set - --partner east', { input })).to.include({ rules: 2 });
    expect((await runCommand(['mapping', 'show', '--partner', 'east'], { home })).stdout).to.equal(
      `${JSON.stringify({ rules }, null, 2)}\n`,
    );
  });

  it('stores nothing that is wrong, and says where it is wrong', async () => {
    for (const [input, field] of [
      ['[{"remote":[{"type":"a"}]}]', 'rules[0]'],
      ['{', 'rules'],
    ] as const) {
      const { code, stderr } = await run('mapping set - --partner east', { input });
      expect(code).to.equal(1);
      expect(checked('error', JSON.parse(stderr))).to.include({ code: 1410, name: 'mapping_invalid', field });
    }
    expect((await result('mapping-show', 'mapping show --partner east')).mapping).to.deep.equal({ rules });
  });

  it('tries a token by names alone where there is no Keystone', async () => {
    const found = await result('mapping-test', `mapping test --partner east --as ${as}`);
    expect(found).to.deep.include({ code: 0, outcome: 'accepted', keystone: false, rule: '1' });
    expect(found.project).to.deep.equal({ id: null, name: 'demo', domain: { id: null, name: null } });
    expect(found.roles).to.deep.equal([{ id: null, name: 'member' }]);
    expect(found.omissions).to.have.length(1);
    const human = await runCommand(['mapping', 'test', '--partner', 'east', '--as', as], { home });
    expect(human.stdout)
      .to.match(/1 +allow +fires/)
      .and.match(/2 +deny +does not +openstack_roles \(member\) is none of banned\./);
    expect(human.stdout).to.contain('no Keystone was asked').and.contain('does not say allow_privileged');
  });

  it('tries a token with the Keystone: ids, and what is missing', async () => {
    const found = await result('mapping-test', `mapping test --partner east --as ${as}`, { env: keystoneEnv });
    expect(found).to.deep.include({ code: 0, outcome: 'accepted', keystone: true });
    expect((found.roles as { name: string }[]).map(({ name }) => name)).to.deep.equal(['member', 'reader']);
    const other = directory.file('other.json');
    writeFileSync(
      other,
      JSON.stringify([
        { remote, local: [{ user: { name: '{0}' }, projects: [{ name: 'nowhere', roles: [{ name: 'member' }] }] }] },
      ]),
    );
    const args = `mapping test --partner east --as ${as} --rules ${other}`;
    expect(await result('mapping-test', args, { env: keystoneEnv })).to.deep.include({
      code: 1,
      reason: 'project_missing',
    });
    expect(await result('mapping-test', `${args} --offline`, { env: keystoneEnv })).to.deep.include({ code: 0 });
    const banned = { token: { ...token, roles: [{ id: 'r', name: 'banned' }] } };
    const denied = await result('mapping-test', 'mapping test --partner east --as -', {
      input: JSON.stringify(banned),
      env: keystoneEnv,
    });
    expect(denied).to.deep.include({ code: 1, reason: 'deny_rule' });
  });

  it('tells who would gain or lose what, from what the audit saw', async () => {
    const installation = await openInstallation({ home, env: {}, log: silentLogger });
    const seen = (name: string, roles: string[], partner = 'east', more: object = {}) =>
      installation.store.audit.append({
        kind: 'validation',
        actor: 'user:glance',
        partner: partner as CloudId,
        subject: name,
        outcome: 'valid',
        rule: '1',
        requestId: null,
        details: {
          user: { ...token.user, id: name, name },
          project: token.project,
          roles,
          groups: [],
          by: 'qualified',
          ...more,
        },
      });
    for (const name of ['ann', 'ann', 'bob']) await seen(name, ['member']);
    await seen('eve', ['banned']);
    await seen('bob', ['member'], 'east', { times: 41, since: 1 });
    for (const times of [1, 5])
      await seen('max', ['member'], 'east', { times, cut: { roles: 900, groups: 0, sha256: '00' } });
    await seen('zoe', ['member'], 'north');
    await installation.close();
    const next = directory.file('next.json');
    writeFileSync(
      next,
      JSON.stringify([
        {
          remote: [{ type: 'openstack_user', not_any_of: ['bob'] }, { type: 'openstack_user' }],
          local: [{ user: { name: '{0}' }, projects: give('member', 'reader') }],
        },
      ]),
    );
    const diff = await result('mapping-diff', `mapping diff ${next} --partner east --since 1h`);
    const changes = diff.changes as {
      user: { name: string };
      change: string;
      gained_roles: string[];
      lost_roles: string[];
      validations: number;
    }[];
    expect([diff.users, diff.unchanged, diff.not_compared]).to.deep.equal([3, 0, 1]);
    expect(
      changes.map(({ user, change, gained_roles, lost_roles, validations }) => [
        user.name,
        change,
        gained_roles,
        lost_roles,
        validations,
      ]),
    ).to.deep.equal([
      ['ann', 'changes', ['reader'], [], 2],
      ['bob', 'loses', [], ['member'], 42],
      ['eve', 'gains', ['member', 'reader'], [], 1],
    ]);
    expect(await result('mapping-diff', `mapping diff ${file} --partner east`)).to.include({ users: 3, unchanged: 3 });
    const human = await runCommand(['mapping', 'diff', next, '--partner', 'east'], { home });
    expect(human.stdout).to.contain('1 more have too many roles or groups for the audit, and were not compared');
    expect(human.stdout).to.match(/bob +lab +loses +-member +bob in demo +no_rule/);
  });
});
