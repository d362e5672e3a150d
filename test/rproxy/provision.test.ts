/** What a partner may answer to a request for a project that it should not: nothing of it is stored or shown. */
import { expect } from 'chai';
import { confirmQuietProject } from '../../src/broker/ownProjects.ts';
import { askForProject, giveBackProject } from '../../src/broker/provisions.ts';
import { provisionLimits } from '../../src/core/limits.ts';
import { presentStates } from '../../src/model/provision.ts';
import { provision } from '../../src/rproxy/provision.ts';
import { ProvisionedProject, toInt64 } from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { type FalsePartner, startFalsePartner, stopFalsePartners } from '../support/falsePartner.ts';

const till = Date.UTC(2100, 0, 1);
const asked = { name: 'web', userId: 'u1', roles: ['member'], expiresAt: till };
const honest = {
  request_id: 'r1',
  project_id: 'a'.repeat(32),
  name: 'web',
  domain_id: 'default',
  roles: ['member'],
  user_id: 'u1',
  expires_at: toInt64(till),
};

describe('rproxy/provision', () => {
  const clock = createShiftedClock();
  let cloud: Cloud;
  let partner: FalsePartner;
  let answer: Partial<ProvisionedProject> = {};
  before(async () => {
    const pauses = { bundleMs: 3600_000, newPartnerMs: 3600_000, provisionMs: 3600_000, checkpointMs: 3600_000 };
    cloud = await startCloud({ cloudId: 'west', clock, pauses });
    const tell = () => new ProvisionedProject({ ...honest, ...answer } as ProvisionedProject);
    partner = await startFalsePartner(cloud, {
      answer: ({ method, reply }) => method === 'provision' && reply('provision', tell()),
    });
  });
  afterEach(() => {
    answer = {};
  });
  after(async () => {
    await stopFalsePartners();
    await stopClouds();
  });

  const ask = (content = asked) => provision(cloud.installation.pool, partner.partner, { requestId: 'r1' }, content);

  it('takes what fits the request, also a shorter life', async () => {
    const { project_id: projectId, domain_id: domainId, name, roles } = honest;
    expect(await ask()).to.deep.equal({ projectId, domainId, name, roles, expiresAt: till });
    answer = { expires_at: toInt64(till - 1) };
    expect((await ask()).expiresAt).to.equal(till - 1);
  });

  const odd: readonly [what: string, answer: Partial<ProvisionedProject>, field: string][] = [
    ['another request', { request_id: 'r2' }, 'request_id'],
    ['another name', { name: 'other' }, 'name'],
    ['another user', { user_id: 'u2' }, 'user_id'],
    ['all users instead of one', { user_id: undefined as never }, 'user_id'],
    ['a long id', { project_id: 'a'.repeat(2000) }, 'project_id'],
    ['no id', { project_id: '' }, 'project_id'],
    ['a path for an id', { project_id: '../users' }, 'project_id'],
    ['a domain that is none', { domain_id: 'x\n' }, 'domain_id'],
    ['many roles', { roles: Array.from({ length: 17 }, (_, n) => `r${n}`) }, 'roles'],
    ['a long role', { roles: ['x'.repeat(256)] }, 'roles'],
    ['a role that moves the cursor', { roles: ['\u001b[2J'] }, 'roles'],
    ['a longer life', { expires_at: toInt64(till + 1) }, 'expires_at'],
    ['a life without end', { expires_at: undefined as never }, 'expires_at'],
    ['a life that never was', { expires_at: toInt64(-1) }, 'expires_at'],
  ];
  for (const [what, wrong, field] of odd)
    it(`takes it for no answer: ${what}`, async () => {
      answer = wrong;
      const error = await rejection(ask(), 'wire_malformed');
      expect([error.field, error.remote]).to.deep.equal([field, false]);
    });

  it('asks about the next project, where the answer about one cannot be read', async () => {
    const { installation } = cloud;
    const ours = await askForProject(installation, partner.partner, 'r1', asked);
    answer = { project_id: '' };
    clock.advance(provisionLimits.confirmMs);
    await rejection(confirmQuietProject(installation, partner.partner), 'wire_malformed');
    const after = await installation.store.provisions.find(partner.partner.uid, 'out', 'r1');
    expect(after).to.deep.equal({ ...ours, updatedAt: after!.updatedAt });
    const calls = () => partner.methods.filter((method) => method === 'provision').length;
    const before = calls();
    await confirmQuietProject(installation, partner.partner);
    expect(calls(), 'it is not asked about again').to.equal(before);
    await installation.store.provisions.ended(ours.id, 'gone');
  });

  it('leaves nothing behind that cannot be given up', async () => {
    answer = { request_id: 'r2', project_id: 'a'.repeat(2000) };
    await rejection(askForProject(cloud.installation, partner.partner, 'r2', asked), 'wire_malformed');
    const { provisions } = cloud.installation.store;
    const [open] = await provisions.list({ states: presentStates });
    expect(open).to.deep.include({ state: 'creating', projectId: null });
    expect(await giveBackProject(cloud.installation, partner.partner, open!)).to.equal('forgotten');
    expect(await provisions.list({ states: presentStates })).to.deep.equal([]);
  });
});
