/** Projects for a partner, against a broker and a Keystone that run. */
import { expect } from 'chai';
import { provisionLimits } from '../../src/core/limits.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { originTag } from '../../src/server/provisioning/projects.ts';
import { DeprovisionRequest, ProvisionRequest, toInt64, toNumber } from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import type { RawPeer } from '../support/rawPeer.ts';

type Fields = Partial<Omit<ProvisionRequest, 'expires_at'>> & { readonly expires_at?: number };

describe('projects for partners', () => {
  const clock = createShiftedClock();
  let keystone: SandboxKeystone;
  let cloud: Cloud;
  let peer: PartnerPeer;
  let raw: RawPeer;
  let other: RawPeer;
  let requests = 0;

  before(async () => {
    keystone = await startSandboxKeystone({ region: 'east' });
    keystone.state.addRole('creator', {
      implies: [[...keystone.state.roles.values()].find((r) => r.name === 'admin')!.id],
    });
    const limits = (of: string) => ({
      [`ALLIANCE_PARTNERS__${of}__PROVISION__PROJECTS`]: '3',
      [`ALLIANCE_PARTNERS__${of}__PROVISION__NAME_PATTERN`]: '[a-zA-Z0-9 Ａａ_-]+',
      [`ALLIANCE_PARTNERS__${of}__PROVISION__ROLES`]: 'member,reader,creator,Admin,manager,ghost',
    });
    cloud = await startCloud({
      cloudId: 'east',
      clock,
      keystone,
      env: {
        ...limits('PEER'),
        ...limits('NORTH'),
        ...limits('LOST'),
        ALLIANCE_PARTNERS__PEER__PROVISION__LIFE_DAYS: '30',
        ALLIANCE_PARTNERS__LOST__PROVISION__DOMAIN: 'Nowhere',
      },
    });
    peer = await PartnerPeer.join(cloud);
    raw = await peer.channel();
    other = await (await PartnerPeer.join(cloud, 'north')).channel();
  });
  afterEach(async () => {
    keystone.faults.clear();
    for (const { id } of await stored()) await cloud.installation.store.provisions.beginRemoval(id, 'operator');
    for (const { id } of await stored()) await cloud.installation.store.provisions.endRemoval(id);
    for (const { id, name } of [...keystone.state.projects.values()])
      if (name !== 'admin' && name !== 'demo') keystone.state.removeProject(id);
    clock.advance(120_000);
  });
  after(async () => {
    await stopClouds();
    await keystone.stop();
  });

  const stored = async () =>
    (await cloud.installation.store.provisions.list()).filter(({ state }) => state !== 'removed');
  const projects = () => [...keystone.state.projects.values()].map(({ name }) => name).sort();
  const ask = ({ expires_at, ...fields }: Fields, by = raw) => {
    const request = { request_id: `r${++requests}`, name: 'web', roles: ['member'], ...fields };
    const life = expires_at === undefined ? {} : { expires_at: toInt64(expires_at) };
    return by.call('provision', new ProvisionRequest({ ...request, ...life }));
  };
  const giveBack = (id: string, by = raw) => by.call('deprovision', new DeprovisionRequest({ project_id: id }));

  it('makes one that says where it comes from, with the life that it was granted', async () => {
    const expiresAt = clock.now() + 86_400_000;
    const made = await ask({ request_id: 'one', user_id: 'u1', roles: ['reader', 'member'], expires_at: expiresAt });
    expect(made).to.deep.include({ request_id: 'one', name: 'web', domain_id: 'default', user_id: 'u1' });
    expect(made.roles).to.deep.equal(['member', 'reader']);
    expect(toNumber(made.expires_at!)).to.equal(expiresAt);
    const project = keystone.state.projects.get(made.project_id)!;
    expect(project.description).to.equal('Made by alliance for peer, request one');
    expect(project.tags.slice(0, 2)).to.deep.equal(['alliance', 'alliance-partner:peer']);
    const audit = await cloud.installation.store.audit.list({ kind: 'provisioning', newest: true, limit: 2 });
    expect(audit.map(({ outcome, actor }) => `${actor} ${outcome}`)).to.deep.equal([
      'partner asked',
      'broker provisioned',
    ]);
    expect(audit[1]).to.deep.include({ partner: 'peer', subject: made.project_id, requestId: 'one' });
  });

  it('cuts a life that is longer than allowed, and gives all roles that may be given when none is asked for', async () => {
    const made = await ask({ expires_at: clock.now() + 400 * 86_400_000, roles: undefined as never });
    expect(made.roles).to.deep.equal(['member', 'reader']);
    expect(toNumber(made.expires_at!)).to.be.closeTo(clock.now() + 30 * 86_400_000, 60_000);
    await rejection(ask({ name: 'x', expires_at: clock.now() - 1 }), 'bad_request');
  });

  it('gives the same project for the same request, and refuses another one under its id', async () => {
    const first = await ask({ request_id: 'same', roles: ['reader', 'member'] });
    const again = await ask({ request_id: 'same', roles: ['member', 'reader', 'member'] });
    expect(again).to.deep.equal(first);
    for (const change of [{ name: 'db' }, { user_id: 'u' }, { roles: ['member'] }, { expires_at: clock.now() + 5000 }])
      await rejection(ask({ request_id: 'same', roles: ['reader', 'member'], ...change }), 'bad_request');
    const elsewhere = await ask({ request_id: 'same', name: 'mine' }, other);
    expect(elsewhere.project_id).not.to.equal(first.project_id);
    expect(projects()).to.deep.equal(['admin', 'demo', 'mine', 'web']);
  });

  const names: readonly [name: string, error: 'provision_refused' | 'bad_request'][] = [
    ['Admin', 'provision_refused'],
    ['SERVICE', 'provision_refused'],
    ['manager', 'provision_refused'],
    ['ａdmin', 'provision_refused'],
    ['ad.min', 'provision_refused'],
    ['web\n', 'bad_request'],
    [' web', 'provision_refused'],
    ['', 'bad_request'],
    ['x'.repeat(provisionLimits.nameBytes + 1), 'bad_request'],
    ['demo', 'provision_refused'],
  ];
  for (const [name, error] of names)
    it(`refuses the name ${JSON.stringify(name.slice(0, 20))}`, async () => {
      await rejection(ask({ name }), error);
      expect(projects()).to.deep.equal(['admin', 'demo']);
      expect(await stored()).to.deep.equal([]);
    });

  it('each refusal leaves a record of what was tried', async () => {
    clock.advance(1);
    const since = clock.now();
    const tried = [
      { name: 'admin', request_id: 'a' },
      { name: 'manager', request_id: 'b', user_id: 'u1' },
      { name: 'x', request_id: 'c', roles: ['creator'] },
      { name: 'demo', request_id: 'd' },
    ];
    for (const fields of tried) await rejection(ask(fields), 'provision_refused');
    const records = await cloud.installation.store.audit.list({ kind: 'provisioning', since });
    const refused = records.filter(({ outcome }) => outcome === 'provision_refused');
    expect(
      refused.map(({ subject, requestId, details }) => [subject, requestId, details.user_id, details.roles]),
    ).to.deep.equal([
      ['admin', 'a', null, ['member']],
      ['manager', 'b', 'u1', ['member']],
      ['x', 'c', null, ['creator']],
      ['demo', 'd', null, ['member']],
    ]);
  });

  it('never gives privileged roles, not even those that configuration lists, nor ones that bring them along', async () => {
    for (const role of ['admin', 'Admin', 'manager', 'creator', 'ghost', 'MEMBER', 'ｍember', 'owner'])
      await rejection(ask({ roles: [role] }), 'provision_refused');
    await rejection(ask({ roles: [] }), 'bad_request');
    await rejection(ask({ roles: Array.from({ length: 17 }, (_, i) => `r${i}`) }), 'bad_request');
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('makes none where it is switched off, and no more than the limit', async () => {
    const stranger = await (await PartnerPeer.join(cloud, 'south')).channel();
    await rejection(ask({}, stranger), 'provision_off');
    for (const name of ['a', 'b', 'c']) await ask({ name });
    await rejection(ask({ name: 'd' }), 'provision_limit');
    const [first] = await stored();
    await giveBack(first!.projectId!);
    await ask({ name: 'd' });
    await ask({ name: 'e' }, other);
    expect(projects()).to.deep.equal(['admin', 'b', 'c', 'd', 'demo', 'e']);
  });

  it('makes none where the domain does not exist, and says no more of it to the partner', async () => {
    const lost = await (await PartnerPeer.join(cloud, 'lost')).channel();
    const { message, remote } = await rejection(ask({}, lost), 'provision_off');
    expect([remote, message.includes('Nowhere')]).to.deep.equal([true, false]);
    expect(await stored()).to.deep.equal([]);
  });

  it('holds the limit when many ask at once', async () => {
    const all = await Promise.allSettled(Array.from({ length: 12 }, (_, i) => ask({ name: `n${i}` })));
    expect(all.filter(({ status }) => status === 'fulfilled')).to.have.length(3);
    expect(projects()).to.have.length(5);
  });

  it('makes one of many equal requests at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => ask({ request_id: 'burst' })));
    expect(new Set(all.map(({ project_id }) => project_id)).size).to.equal(1);
    expect(projects()).to.deep.equal(['admin', 'demo', 'web']);
  });

  it('goes on where an attempt broke off: before Keystone had it, and after', async () => {
    const creating = { method: 'POST', path: /^\/v3\/projects$/ };
    keystone.faults.always('503', { match: creating });
    await rejection(ask({ request_id: 'broken' }), 'keystone_unreachable');
    expect((await stored())[0]).to.deep.include({ state: 'creating', lastError: 'keystone_unreachable' });
    keystone.faults.clear();
    const made = await ask({ request_id: 'broken' });
    expect(projects()).to.deep.equal(['admin', 'demo', 'web']);

    // Keystone has it, and nobody wrote that down.
    const { store } = cloud.installation;
    const request = {
      direction: 'in',
      requestId: 'lost',
      roles: ['member'],
      domainId: 'default',
      expiresAt: null,
    } as const;
    const asked = { name: 'lost', userId: null, roles: ['member'], expiresAt: null };
    const again = () => ask({ request_id: 'lost', name: 'lost' });
    await store.provisions.reserve(peer.partner, { ...request, asked }, 9);
    const tags = [originTag({ partnerUid: peer.partner.uid, requestId: 'lost' })];
    const there = keystone.state.addProject('lost', { tags });
    expect((await again()).project_id)
      .to.equal(there.id)
      .and.not.equal(made.project_id);
  });

  it('takes no project of that name for its own that it did not make', async () => {
    const tags = ['alliance', 'alliance-partner:peer', 'alliance-request:00000000000000000000000000000000'];
    keystone.state.addProject('web', { tags });
    await rejection(ask({}), 'provision_refused');
    expect(await stored()).to.deep.equal([]);
  });

  it('removes only what was made for the caller, as often as it is asked', async () => {
    const { project_id: id } = await ask({ request_id: 'gone' });
    await rejection(giveBack(id, other), 'project_not_found');
    const demo = [...keystone.state.projects.values()].find(({ name }) => name === 'demo')!;
    for (const wrong of [demo.id, '', '../users/x', 'x'.repeat(300)])
      await rejection(giveBack(wrong), 'project_not_found');
    expect(projects()).to.deep.equal(['admin', 'demo', 'web']);
    await giveBack(id);
    await giveBack(id);
    expect(projects()).to.deep.equal(['admin', 'demo']);
    // A late repeat of the first request makes no second one.
    await rejection(ask({ request_id: 'gone' }), 'project_not_found');
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('says whether a project is there, and makes none that is not', async () => {
    const query = { request_id: 'asked', only_known: true };
    await rejection(ask(query), 'project_not_found');
    expect(projects()).to.deep.equal(['admin', 'demo']);
    const made = await ask({ request_id: 'asked' });
    expect(await ask(query)).to.deep.equal(made);
    await rejection(ask(query, other), 'project_not_found');
    await giveBack(made.project_id);
    await rejection(ask(query), 'project_not_found');
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('leaves a removal that Keystone did not take to be done again', async () => {
    const { project_id: id } = await ask({});
    keystone.faults.always('down', { match: { method: 'DELETE', path: /projects/ } });
    await rejection(giveBack(id), 'keystone_unreachable');
    expect((await stored())[0]).to.deep.include({ state: 'removing', lastError: 'keystone_unreachable' });
    expect(await cloud.installation.store.provisions.projectsFor(peer.partner.uid, 'u', clock.now())).to.deep.equal([]);
    keystone.faults.clear();
    await giveBack(id);
    expect(projects()).to.deep.equal(['admin', 'demo']);
  });

  it('is rate limited', async () => {
    clock.advance(provisionLimits.burst * provisionLimits.everyMs);
    const all = await Promise.allSettled(Array.from({ length: provisionLimits.burst + 1 }, () => giveBack('nothing')));
    const errors = all.map((each) => (each as PromiseRejectedResult).reason.errorName as string);
    expect(errors.filter((name) => name === 'rate_limited')).to.have.length(1);
  });
});
