import { setImmediate, setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { ClientPool } from '../../src/client/pool.ts';
import { TrustView } from '../../src/client/trustView.ts';
import { type Config, loadConfig, partnerConfig } from '../../src/core/config.ts';
import { AllianceError } from '../../src/core/errors.ts';
import { localiseLimits, trustLimits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createKeystone, type Keystone } from '../../src/lproxy/keystone.ts';
import { parseToken } from '../../src/lproxy/keystoneBodies.ts';
import type { Partner } from '../../src/model/partner.ts';
import { requestTagPrefix } from '../../src/model/provision.ts';
import type { Store } from '../../src/model/store.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { foreignDomain, foreignUserId } from '../../src/token/foreignUser.ts';
import { createLocaliser, type Localised, type Localiser, type LocaliserOptions } from '../../src/token/localise.ts';
import { createSteadyClock } from '../support/clock.ts';
import { temporaryDirectory } from '../support/directory.ts';
import { rejection } from '../support/errors.ts';
import { inDefault } from '../support/keystoneApi.ts';
import { createTestFile, newPartner } from '../support/store.ts';

const domain = { id: 'd-east', name: 'East' };
const foreignToken = (changes: object = {}): string =>
  JSON.stringify({
    token: {
      methods: ['password'],
      user: { id: 'u-east', name: 'ann', domain, password_expires_at: null },
      audit_ids: ['audit-1'],
      expires_at: '2031-01-01T01:00:00.000000Z',
      issued_at: '2030-01-01T00:00:00.000000Z',
      project: { id: 'p-east', name: 'lab', domain },
      is_domain: false,
      roles: [{ id: 'r-east', name: 'member' }],
      is_admin_project: true,
      catalog: [{ type: 'identity', endpoints: [{ url: 'http://evil' }] }],
      ...changes,
    },
  });

const guests = [
  {
    remote: [{ type: 'openstack_user' }, { type: 'openstack_project' }],
    local: [{ user: { name: '{0}@east' }, projects: [{ name: 'guests', roles: [{ name: 'member' }] }] }],
  },
];

interface TokenBody {
  readonly user: {
    readonly id: string;
    readonly name: string;
    readonly domain: { readonly id: string; readonly name: string };
  };
  readonly project: { readonly id: string; readonly name: string };
  readonly roles: readonly { readonly id: string; readonly name: string }[];
  readonly catalog?: readonly {
    readonly type: string;
    readonly endpoints: readonly { readonly url: string; readonly region: string }[];
  }[];
  readonly [member: string]: unknown;
}

describe('token/localise', () => {
  const directory = temporaryDirectory();
  let clock = createSteadyClock();
  let keystone: SandboxKeystone;
  let client: Keystone;
  let store: Store;
  let view: TrustView;
  let file: ReturnType<typeof createTestFile>;
  let partner: Partner;
  let config: Config;
  let localiser: Localiser;
  let remoteUrl: string | Error;

  const roleId = (name: string) => [...keystone.state.roles.values()].find((role) => role.name === name)!.id;
  const make = (more: Partial<LocaliserOptions> = {}) =>
    createLocaliser({
      ...{ keystone: client, store, provisions: store.provisions, view, pool, config: () => config, clock },
      log: silentLogger,
      ...more,
    });
  // The only call that a localiser makes of a partner.
  const pool = {
    call: async () => {
      if (remoteUrl instanceof Error) throw remoteUrl;
      const ids = { id: 'e1', service_id: 's1', service_type: 'image', service_name: 'glance' };
      return [{ ...ids, interface_name: 'public', region: 'RegionOne', url: remoteUrl }];
    },
  } as unknown as ClientPool;

  const configure = (more: object = {}) => {
    const env = Object.fromEntries(
      Object.entries({ CLOUD_ID: 'west', ...more }).map(([key, value]) => [`ALLIANCE_${key}`, String(value)]),
    );
    config = loadConfig({ home: directory.path, env });
  };

  beforeEach(async () => {
    clock = createSteadyClock();
    keystone = await startSandboxKeystone({ region: 'west', clock });
    const user = inDefault('admin');
    client = createKeystone({
      authUrl: keystone.url,
      clock,
      credentials: { method: 'password', user, password: keystone.adminPassword },
      scope: { project: user },
    });
    file = createTestFile(clock);
    store = await file.open();
    partner = await store.partners.add(newPartner('east', { role: 'provider' }));
    keystone.state.addProject('guests');
    const image = keystone.state.addService('image', 'glance');
    keystone.state.addEndpoint({
      serviceId: image.id,
      interface: 'public',
      regionId: 'west',
      url: 'http://image/$(tenant_id)s',
    });
    await store.mappings.set(partner.uid, JSON.stringify(guests));
    view = new TrustView({ store, clock, log: silentLogger, loadIdentities: async () => [] });
    await view.refresh();
    configure();
    localiser = make();
    remoteUrl = 'https://image.east.example/%(project_id)s';
  });
  afterEach(async () => {
    await client.close();
    await keystone.stop();
    await file.remove();
  });
  after(() => directory.remove());

  /** As a request from outside: never in the turn of the event loop in which something was changed. */
  const localise = async (body = foreignToken(), more: object = {}) => {
    await setImmediate();
    return localiser.localise(
      { partner, body, source: 'live', ...more },
      { catalog: true, accessRules: false, ...more },
    );
  };
  const tokenOf = (found: Localised): TokenBody => {
    if (found.kind === 'denied') throw new Error(`${found.reason}: ${found.details}`);
    return (JSON.parse(found.body) as { token: TokenBody }).token;
  };
  const reasonOf = async (found: Promise<Localised>) => {
    const outcome = await found;
    return outcome.kind === 'denied' ? outcome.reason : 'accepted';
  };
  const setText = async (text: string | null) => {
    await store.mappings.set(partner.uid, text);
    await view.refresh();
  };
  const setRules = (rules: unknown) => setText(JSON.stringify(rules));
  const withLocal = (...local: object[]) => [
    { remote: [{ type: 'openstack_user' }], local: [{ user: { name: '{0}' } }, ...local] },
  ];

  it('gives the body local ids, roles with what they bring, and the local catalog; times and audit ids stay', async () => {
    const token = tokenOf(await localise());
    const project = [...keystone.state.projects.values()].find(({ name }) => name === 'guests')!;
    const { catalog, ...rest } = token;
    expect(rest).to.deep.equal({
      methods: ['password'],
      user: {
        id: foreignUserId(partner.uid, 'u-east'),
        name: 'ann@east',
        domain: foreignDomain(partner),
        password_expires_at: null,
      },
      audit_ids: ['audit-1'],
      expires_at: '2031-01-01T01:00:00.000000Z',
      issued_at: '2030-01-01T00:00:00.000000Z',
      project: { id: project.id, name: 'guests', domain: { id: 'default', name: 'Default' } },
      is_domain: false,
      roles: [
        { id: roleId('member'), name: 'member' },
        { id: roleId('reader'), name: 'reader' },
      ],
      is_admin_project: false,
    });
    expect(rest.user.id).to.match(/^[0-9a-f]{64}$/);
    expect(catalog?.map(({ type }) => type)).to.deep.equal(['identity', 'image']);
    expect(catalog?.[1]?.endpoints[0]?.url).to.equal(`http://image/${project.id}`);
    expect(tokenOf(await localise(undefined, { catalog: false }))).not.to.have.property('catalog');
  });

  it('keeps the ids of users apart by partner and by user, and the same for ever', async () => {
    const north = await store.partners.add(newPartner('north'));
    const ids = [foreignUserId(partner.uid, 'u'), foreignUserId(partner.uid, 'v'), foreignUserId(north.uid, 'u')];
    expect(new Set(ids).size).to.equal(3);
    expect(foreignUserId('a'.repeat(26) as Partner['uid'], 'u-east')).to.equal(
      '0f8f33ef28849099b159ae85e1c1923c4c5bec20c9d6c6a0228e520d5a949b88',
    );
    expect(foreignDomain(partner).id).not.to.equal(foreignDomain(north).id);
  });

  it('a change of the mapping counts as soon as the trust epoch shows it, and without one nobody has access', async () => {
    expect(await reasonOf(localise())).to.equal('accepted');
    await setRules([...guests, { remote: [{ type: 'openstack_user', any_one_of: ['ann'] }], deny: true }]);
    expect(await reasonOf(localise())).to.equal('deny_rule');
    await setText(null);
    expect(await reasonOf(localise())).to.equal('no_mapping');
    await setText('[{"remote":[]}]');
    expect(await reasonOf(localise())).to.equal('mapping_unreadable');
  });

  it('reads database and body once for many questions about a token that is remembered', async () => {
    let reads = 0;
    const mappings = {
      get: (uid: Partner['uid']) => {
        reads += 1;
        return store.mappings.get(uid);
      },
    };
    const counted = async <T>(answer: T) => {
      reads += 1;
      return answer;
    };
    const provisions = { projectsFor: () => counted([]), madeFor: () => counted(null) };
    localiser = make({ store: { mappings }, provisions });
    const facts = parseToken(foreignToken());
    const first = tokenOf(await localise(undefined, { facts }));
    // The body is not looked at any more.
    for (let n = 0; n < 9; n++) expect(tokenOf(await localise('{', { facts }))).to.deep.equal(first);
    expect(reads).to.equal(3);
    clock.advance(trustLimits.epochPollMs);
    await localise(undefined, { facts });
    expect(reads, 'projects from elsewhere').to.equal(4);
    await setText(null);
    expect(await reasonOf(localise(undefined, { facts }))).to.equal('no_mapping');
    const north = await store.partners.add(newPartner('north', { role: 'provider' }));
    expect(await reasonOf(localise(undefined, { partner: north }))).to.equal('no_mapping');
  });

  it('does not remember that the mapping could not be read', async () => {
    let failing = true;
    const get = async (uid: Partner['uid']) => {
      if (failing) throw new AllianceError('database_locked');
      return store.mappings.get(uid);
    };
    localiser = make({ store: { mappings: { get } } });
    await rejection(localise(), 'database_locked');
    failing = false;
    expect(await reasonOf(localise())).to.equal('accepted');
  });

  it('looks up so many projects and groups for one token, and no more', async () => {
    const groups = (count: number) =>
      withLocal(...Array.from({ length: count }, (_, n) => ({ groups: `g${n}`, domain: { name: 'Default' } })));
    const asked = () => keystone.requests.filter(({ path }) => path.startsWith('/v3/groups')).length;
    const { places } = localiseLimits;
    await setRules(groups(places + 1));
    expect(await reasonOf(localise())).to.equal('too_many_places');
    expect(asked()).to.equal(0);
    await setRules(groups(places));
    expect(await reasonOf(localise())).to.equal('group_missing');
    expect(asked()).to.equal(places);
    const group = keystone.state.addGroup('wide');
    for (let n = 0; n <= places; n++) {
      const { id } = keystone.state.addProject(`place ${n}`);
      const target = { kind: 'project', id } as const;
      keystone.state.groupAssignments.push({ groupId: group.id, roleId: roleId('member'), target });
    }
    await setRules(withLocal({ group_ids: group.id }));
    const found = await localise();
    expect(tokenOf(found).project.name).to.equal('place 0');
    expect(found.trace.omissions.map(({ reason }) => reason)).to.deep.equal(['too_many_places']);
  });

  it('asks of Keystone what is the partner’s share, and remembers for each partner apart', async () => {
    const users: string[] = [];
    const busy = new AllianceError('overloaded');
    localiser = make({
      shareOf: ({ cloudId }) => {
        users.push(cloudId);
        return cloudId === 'north' ? { ...client, listRoles: () => Promise.reject(busy) } : client;
      },
    });
    const north = await store.partners.add(newPartner('north', { role: 'provider' }));
    await store.mappings.set(north.uid, JSON.stringify(guests));
    await view.refresh();
    await localise();
    await rejection(localise(undefined, { partner: north }), 'overloaded');
    await localise();
    expect(users).to.deep.equal(['east', 'north']);
  });

  it('gives up a Keystone that takes too long in all, and asks it nothing more', async () => {
    const asked: string[] = [];
    let answer: () => void = () => undefined;
    const share: Keystone = {
      ...client,
      listRoles: () =>
        new Promise((resolve) => {
          answer = () => resolve([{ id: 'r', name: 'member' }]);
        }),
      listProjects: async ({ name }) => {
        asked.push(name);
        return [];
      },
    };
    localiser = make({ shareOf: () => share, deadlineMs: 50 });
    await rejection(localise(), 'keystone_unreachable');
    answer();
    await turn();
    expect(asked).to.deep.equal([]);
  });

  it('asks the partner to be an active provider', async () => {
    for (const changes of [{ state: 'suspended' }, { role: 'consumer' }, { trustTill: clock.now() }, { removed: true }])
      expect(await reasonOf(localise(undefined, { partner: { ...partner, ...changes } }))).to.equal(
        'partner_not_active',
      );
  });

  it('looks names up once for many, and sees what is new within half a minute', async () => {
    await Promise.all(Array.from({ length: 20 }, () => localise()));
    const asked = keystone.requests.filter(({ path }) => path.startsWith('/v3/projects')).length;
    expect(asked).to.equal(1);
    [...keystone.state.projects.values()].find(({ name }) => name === 'guests')!.enabled = false;
    expect(await reasonOf(localise())).to.equal('accepted');
    clock.advance(31_000);
    expect(await reasonOf(localise())).to.equal('project_missing');
    [...keystone.state.projects.values()].find(({ name }) => name === 'guests')!.enabled = true;
    clock.advance(6_000);
    expect(await reasonOf(localise())).to.equal('accepted');
  });

  const project = (name: string, ...roles: string[]) => ({ name, roles: roles.map((role) => ({ name: role })) });

  it('says what is missing: projects, domains, roles, and where nothing leads anywhere', async () => {
    const cases: readonly (readonly [string, object])[] = [
      ['project_missing', { projects: [project('nowhere', 'member')] }],
      ['project_missing', { projects: [project('guests', 'member')], domain: { name: 'Nowhere' } }],
      ['role_missing', { projects: [project('guests', 'lord')] }],
      ['no_roles', { projects: [project('guests')] }],
      ['no_project', { roles: [{ name: 'member' }] }],
      ['group_missing', { groups: 'ops', domain: { name: 'Default' } }],
      ['role_refused', { projects: [project('guests', 'admin')] }],
      ['project_refused', { projects: [project('service', 'member')] }],
    ];
    keystone.state.addProject('service');
    for (const [reason, local] of cases) {
      await setRules(withLocal(local));
      expect(await reasonOf(localise()), JSON.stringify(local)).to.equal(reason);
    }
  });

  it('chooses the first project in which a role is left, and adds the roles of the mapping to it', async () => {
    const second = keystone.state.addProject('second');
    await setRules(
      withLocal({ projects: [project('nowhere', 'member'), project('guests', 'admin'), project('second', 'reader')] }),
    );
    const found = await localise();
    expect(tokenOf(found).project.id).to.equal(second.id);
    expect(found.trace.omissions.map(({ reason }) => reason)).to.deep.equal(['role_refused', 'project_missing']);
    await setRules(
      withLocal({ projects: [project('guests'), project('second', 'reader')], roles: [{ name: 'member' }] }),
    );
    expect(tokenOf(await localise()).project.name).to.equal('guests');
  });

  it('gives no role that brings a privileged one with it, unless its rule says so', async () => {
    keystone.state.addRole('operator', { implies: [roleId('admin')] });
    keystone.state.addRole('chief', { implies: [roleId('operator')] });
    const rules = withLocal({ projects: [project('guests', 'chief', 'reader')] });
    await setRules(rules);
    expect(tokenOf(await localise()).roles.map(({ name }) => name)).to.deep.equal(['reader']);
    await setRules(rules.map((rule) => ({ ...rule, allow_privileged: true })));
    expect(tokenOf(await localise()).roles.map(({ name }) => name)).to.include.members(['chief', 'admin', 'member']);
  });

  it('treats what configuration calls privileged the same', async () => {
    configure({ TOKENS__PRIVILEGED_ROLES: 'Reader' });
    expect(await reasonOf(localise())).to.equal('role_refused');
    configure({ TOKENS__SERVICE_TOKEN_ROLES: 'MEMBER' });
    expect(await reasonOf(localise())).to.equal('role_refused');
  });

  it('gives the roles of groups, without the privileged ones', async () => {
    const group = keystone.state.addGroup('ops');
    const place = keystone.state.addProject('operations');
    const target = { kind: 'project', id: place.id } as const;
    for (const role of ['member', 'admin'])
      keystone.state.groupAssignments.push({ groupId: group.id, roleId: roleId(role), target });
    for (const local of [
      { groups: 'ops', domain: { name: 'Default' } },
      { group_ids: group.id },
      { group: { name: 'ops', domain: { id: 'default' } } },
    ]) {
      await setRules(withLocal(local));
      const token = tokenOf(await localise());
      expect([token.project.id, token.roles.map(({ name }) => name)]).to.deep.equal([place.id, ['member', 'reader']]);
    }
  });

  it('turns a user into one of this cloud only where that is allowed, with that user’s own roles', async () => {
    const local = keystone.state.addUser('local-ann', null);
    const place = keystone.state.addProject('hers');
    keystone.state.grant(local.id, roleId('member'), { kind: 'project', id: place.id });
    const rules = (user: object) => [
      { remote: [{ type: 'openstack_user' }], local: [{ user: { type: 'local', ...user } }] },
    ];
    await setRules(rules({ name: 'local-{0}', domain: { name: 'Default' } }));
    expect(await reasonOf(localise())).to.equal('local_users_not_allowed');
    configure({ TOKENS__ALLOW_LOCAL_USERS: 'true' });
    const token = tokenOf(await localise());
    expect([token.user.id, token.user.domain.id, token.project.id]).to.deep.equal([local.id, 'default', place.id]);
    for (const user of [
      { name: 'nobody' },
      { id: local.id, name: 'another' },
      { id: '../users' },
      { name: 'local-ann', domain: { name: 'Nowhere' } },
    ]) {
      await setRules(rules(user));
      expect(await reasonOf(localise()), JSON.stringify(user)).to.equal('user_missing');
    }
    // What is not privileged is left of an administrator.
    await setRules(rules({ name: 'admin' }));
    expect(tokenOf(await localise()).roles.map(({ name }) => name)).to.have.members(['member', 'reader']);
  });

  it('maps nobody into a domain that this cloud has itself', async () => {
    const { name } = foreignDomain(partner);
    keystone.state.domains.set('d9', { id: 'd9', name, description: '', enabled: true });
    expect(await reasonOf(localise())).to.equal('domain_taken');
  });

  it('refuses scopes and restrictions that it cannot carry over', async () => {
    const credential = { id: 'c', name: 'n', restricted: true, access_rules: [] };
    expect(await reasonOf(localise(foreignToken({ system: { all: true } })))).to.equal('scope_refused');
    expect(await reasonOf(localise(foreignToken({ 'OS-TRUST:trust': { id: 't' } })))).to.equal('restricted');
    const limited = foreignToken({ application_credential: credential });
    expect(await reasonOf(localise(limited))).to.equal('restricted');
    expect(tokenOf(await localise(limited, { accessRules: true })).application_credential).to.deep.equal(credential);
  });

  describe('provisioned projects', () => {
    const day = 86_400_000;
    /** One that was made for a user of a partner, or for all of them. */
    async function provision(of: Partner, userId: string | null, name = 'provisioned') {
      const { id: projectId } = keystone.state.addProject(name);
      const asked = { name, userId, roles: null, expiresAt: clock.now() + day };
      const request = { direction: 'in', requestId: name, roles: ['admin', 'reader'], domainId: 'default' } as const;
      const { id } = await store.provisions.reserve(of, { ...request, asked, expiresAt: asked.expiresAt }, 9);
      await store.provisions.activate(id, { projectId, domainId: 'default' });
      return { id, projectId };
    }
    const named = (name: string) => setRules(withLocal({ projects: [project(name, 'member')] }));
    const denial = async () => {
      const found = await localise();
      return found.kind === 'denied' ? [found.reason, found.details] : [found.kind];
    };

    it('are given to their user after those of the mapping, under the same rules', async () => {
      const { projectId } = await provision(partner, 'u-east');
      expect(tokenOf(await localise()).project.name).to.equal('guests');
      await setRules(withLocal({}));
      const token = tokenOf(await localise());
      expect([token.project.id, token.roles.map(({ name }) => name)]).to.deep.equal([projectId, ['reader']]);
    });

    it('are reached by their names by those they were made for, while they last', async () => {
      const { projectId } = await provision(partner, null);
      await named('provisioned');
      expect(tokenOf(await localise()).project.id).to.equal(projectId);
      clock.advance(day);
      expect(await denial()).to.deep.equal(['project_taken', 'Project provisioned was made for users of east.']);
    });

    it('are reached by nobody of another partner, whatever names them', async () => {
      const north = await store.partners.add(newPartner('north', { role: 'provider' }));
      const { projectId } = await provision(north, null);
      const taken = ['project_taken', 'Project provisioned was made for users of north.'];
      await named('provisioned');
      expect(await denial()).to.deep.equal(taken);
      const group = keystone.state.addGroup('ops');
      const target = { kind: 'project', id: projectId } as const;
      keystone.state.groupAssignments.push({ groupId: group.id, roleId: roleId('member'), target });
      await setRules(withLocal({ group: { name: 'ops', domain: { name: 'Default' } } }));
      expect(await denial()).to.deep.equal(taken);
      await setRules(withLocal({ projects: [project('provisioned', 'member'), project('guests', 'member')] }));
      expect(tokenOf(await localise()).project.name, 'the next one that a rule names').to.equal('guests');
    });

    it('are reached by no other user of the same partner', async () => {
      await provision(partner, 'u-other');
      await named('provisioned');
      expect(await denial()).to.deep.equal(['project_taken', 'Project provisioned was made for user u-other of east.']);
    });

    it('are told by their tags before it is noted that they are made, and when the note is lost', async () => {
      keystone.state.addProject('provisioned', { tags: ['alliance', `${requestTagPrefix}${'0'.repeat(32)}`] });
      await named('provisioned');
      expect((await denial())[0]).to.equal('project_taken');
    });
  });

  describe('catalog of the partner', () => {
    const injection = { regions: [{ region: 'RegionOne', as: 'east' }], hosts: ['image.east.example'] };
    const withInjection = () => {
      const named = loadConfig({ home: directory.path, env: { ALLIANCE_CLOUD_ID: 'west' } });
      const partners = new Map(named.partners);
      partners.set(partner.cloudId, { ...defaults(), catalogInjection: injection });
      config = { ...named, partners };
    };
    const defaults = () => partnerConfig(config, partner.cloudId);
    const urls = async () =>
      tokenOf(await localise())
        .catalog!.flatMap(({ endpoints }) => endpoints)
        .filter(({ region }) => region === 'east')
        .map(({ url }) => url);

    it('is shown by region where it is switched on, for the project there, and nothing else of it', async () => {
      expect(await urls()).to.deep.equal([]);
      withInjection();
      expect(await urls()).to.deep.equal(['https://image.east.example/p-east']);
    });

    it('is left out while the partner does not answer, which keeps nobody from access', async () => {
      withInjection();
      remoteUrl = new Error('down');
      expect(await urls()).to.deep.equal([]);
      remoteUrl = 'https://image.east.example/';
      expect(await urls()).to.deep.equal([]);
      clock.advance(6000);
      expect(await urls()).to.deep.equal(['https://image.east.example/']);
    });
  });

  it('leaves the roles that an operator allows while the partner cannot be reached', async () => {
    const named = loadConfig({ home: directory.path, env: { ALLIANCE_CLOUD_ID: 'west' } });
    const entry = { ...partnerConfig(named, partner.cloudId), staleRoles: ['reader'] };
    config = { ...named, partners: new Map([[partner.cloudId, entry]]) };
    expect(tokenOf(await localise(undefined, { source: 'cache' })).roles).to.have.length(2);
    expect(tokenOf(await localise(undefined, { source: 'stale' })).roles.map(({ name }) => name)).to.deep.equal([
      'reader',
    ]);
    config = { ...named, partners: new Map([[partner.cloudId, { ...entry, staleRoles: [] }]]) };
    expect(await reasonOf(localise(undefined, { source: 'stale' }))).to.equal('no_roles');
  });

  it('throws where the Keystone cannot be asked, and goes on when it can', async () => {
    keystone.faults.always('503');
    await rejection(localise(), 'keystone_unreachable');
    keystone.faults.clear();
    expect(await reasonOf(localise())).to.equal('accepted');
  });
});
