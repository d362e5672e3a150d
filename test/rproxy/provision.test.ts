/** What a partner may answer to a request for a project that it should not: nothing of it is stored or shown. */
import { expect } from 'chai';
import { askForProject, giveBackProject } from '../../src/broker/provisions.ts';
import { provision } from '../../src/rproxy/provision.ts';
import { ProvisionedProject, toInt64 } from '../../src/wire/types.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { type FalsePartner, startFalsePartner, stopFalsePartners } from '../support/falsePartner.ts';

const till = Date.UTC(2031, 0, 1);
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
  let cloud: Cloud;
  let partner: FalsePartner;
  let answer: Partial<ProvisionedProject> = {};
  before(async () => {
    cloud = await startCloud({ cloudId: 'west', pauses: { bundleMs: 3600_000, newPartnerMs: 3600_000 } });
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

  it('leaves nothing behind that cannot be given up', async () => {
    answer = { project_id: 'a'.repeat(2000) };
    await rejection(askForProject(cloud.installation, partner.partner, 'r1', asked), 'wire_malformed');
    const { provisions } = cloud.installation.store;
    const [open] = await provisions.list();
    expect(open).to.deep.include({ state: 'creating', projectId: null });
    expect(await giveBackProject(cloud.installation, partner.partner, open!)).to.equal('forgotten');
    expect(await provisions.list()).to.deep.equal([]);
  });
});
