/** What services get to hear of tokens, local and foreign, with everything up. */
import { expect } from 'chai';
import type { AuditRecord } from '../../src/model/audit.ts';
import { createKeystoneApi } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';
import type { Federation, Realm } from './federation.ts';
import type { Service, ServiceAnswer } from './service.ts';

export interface Setting {
  readonly federation: Federation;
  /** Its auth_url is the Keystone of west, as it was before. */
  readonly unchanged: Service;
  /** Its auth_url is the facade; it remembers nothing. */
  readonly service: Service;
  /** The same, and it remembers for `cacheSeconds`. */
  readonly remembering: Service;
}

export const cacheSeconds = 2;

const lastAudit = async ({ west }: Federation): Promise<AuditRecord | undefined> =>
  (await west.cloud.installation.store.audit.list({ kind: 'validation', newest: true, limit: 1 }))[0];

const mangled = (token: string): string => `${token.slice(0, -6)}${token.endsWith('AAAA') ? 'BBBBBB' : 'AAAAAA'}`;

export function expectGuest(federation: Federation, { status, headers }: ServiceAnswer, role: string): void {
  expect(status).to.equal(200);
  expect(headers).to.include({
    'x-identity-status': 'Confirmed',
    'x-project-id': federation.west.projects.guests,
    'x-project-name': 'guests',
    'x-project-domain-name': 'Default',
    'x-is-admin-project': 'False',
  });
  expect(headers!['x-roles']!.split(',')).to.include(role);
  expect(headers!['x-roles']!.split(',')).not.to.include.members(['admin']);
  expect(Object.values(federation.east.users)).not.to.include(headers!['x-user-id']);
}

/** A token that ends with the application credential it is made of, in some seconds. */
async function briefToken({ keystone, api, users, login }: Realm, seconds: number) {
  const expiresAt = Date.now() + seconds * 1000;
  const application = { name: `brief-${expiresAt}`, expires_at: new Date(expiresAt).toISOString().slice(0, -1) };
  const token = await login('ann', 'lab');
  const made = await api.must('POST', `/users/${users.ann}/application_credentials`, {
    token,
    body: { application_credential: application },
  });
  const { id, secret } = made.at('application_credential') as Record<string, string>;
  const identity = { methods: ['application_credential'], application_credential: { id, secret } };
  return createKeystoneApi(keystone.url).login({ auth: { identity } });
}

export function middlewareCases(setting: () => Setting): void {
  it('without the facade hear of local tokens only', async () => {
    const { federation, unchanged } = setting();
    expect((await unchanged.ask(await federation.west.login('wes', 'guests'))).status).to.equal(200);
    expect((await unchanged.ask(`a1.east.${await federation.east.login('ann', 'lab')}`)).status).to.equal(401);
  });

  it('hear of local tokens the same as without it', async () => {
    const { federation, unchanged, service } = setting();
    const token = await federation.west.login('wes', 'guests');
    expect(await service.ask(token)).to.deep.equal(await unchanged.ask(token));
  });

  it('hear of a user of a cloud that makes Fernet tokens, in the mapped project', async () => {
    const { federation, service } = setting();
    const token = `a1.east.${await federation.east.login('ann', 'lab')}`;
    const answer = await service.ask(token);
    expectGuest(federation, answer, 'member');
    expect(answer.headers).to.include({ 'x-user-name': 'ann', 'x-user-domain-name': 'alliance:east' });
    expect(answer.headers!['x-service-catalog']).to.include('"identity"');
    const another = await service.ask(`a1.east.${await federation.east.login('ann', 'lab')}`);
    expect(another.headers!['x-user-id']).to.equal(answer.headers!['x-user-id']);
    const reader = await service.ask(`a1.east.${await federation.east.login('rae', 'archive')}`);
    expectGuest(federation, reader, 'reader');
    expect(reader.headers!['x-roles']).to.equal('reader');
  });

  it('hear of a user of a cloud that makes JWS tokens, which need not say whose they are', async () => {
    const { federation, service } = setting();
    const token = await federation.east2.login('ann', 'lab');
    expect(token.split('.')).to.have.length(3);
    const bare = await service.ask(token);
    expectGuest(federation, bare, 'member');
    expect((await lastAudit(federation))?.details.by).to.equal('jws');
    const qualified = await service.ask(`a1.east2.${token}`);
    expect(qualified.headers).to.deep.equal(bare.headers);
    const east = await service.ask(`a1.east.${await federation.east.login('ann', 'lab')}`);
    expect(east.headers!['x-user-id'], 'ann of another cloud').to.not.equal(bare.headers!['x-user-id']);
  });

  it('refuse whatever is no good token of anybody', async () => {
    const { federation, service } = setting();
    const fernet = await federation.east.login('ann', 'lab');
    const jws = await federation.east2.login('ann', 'lab');
    const wrong = {
      nothing: undefined,
      'a mangled one of this cloud': mangled(await federation.west.login('wes', 'guests')),
      'a foreign one that nobody says whose it is': fernet,
      'a mangled one': `a1.east.${mangled(fernet)}`,
      'another spelling of one': `a1.east.${fernet}====`,
      'one with another signature': mangled(jws),
      'one of another cloud than it says': `a1.east2.${fernet}`,
      'one of a cloud that is no partner': `a1.north.${fernet}`,
      'one of this cloud as a partner of its own': `a1.west.${await federation.west.login('wes', 'guests')}`,
      'one within another': `a1.east.a1.east.${fernet}`,
    };
    for (const [what, token] of Object.entries(wrong)) expect((await service.ask(token)).status, what).to.equal(401);
  });

  it('refuse a user to whom no rule applies, and the audit says why', async () => {
    const { federation, service } = setting();
    expect((await service.ask(`a1.east.${await federation.east.login('eve', 'closed')}`)).status).to.equal(401);
    const record = await lastAudit(federation);
    expect(record).to.include({ outcome: 'denied', partner: 'east', subject: federation.east.users.eve });
    expect(record!.details.reason).to.equal('no_rule');
  });

  it('refuse a token of an administrator of the partner as well', async () => {
    const { federation, service } = setting();
    expect((await service.ask(`a1.east.${federation.east.admin}`)).status).to.equal(401);
  });

  it('refuse what has expired, unless another service of the cloud asks in its name', async () => {
    const { federation, service } = setting();
    const token = `a1.east.${await briefToken(federation.east, 5)}`;
    expectGuest(federation, await service.ask(token), 'member');
    await until('its end', async () => (await service.ask(token)).status === 401, 10_000);
    const asService = await federation.west.login('nova', 'service');
    expectGuest(federation, await service.ask(token, asService), 'member');
    expect((await service.ask(token)).status, 'alone again').to.equal(401);
    const asUser = await federation.west.login('wes', 'guests');
    expect((await service.ask(token, asUser)).status, 'with a token that is no service’s').to.equal(401);
    const asForeigner = `a1.east.${await federation.east.login('ann', 'lab')}`;
    expect((await service.ask(token, asForeigner)).status, 'with a foreign one').to.equal(401);
  });
}
