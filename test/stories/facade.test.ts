/** A service of west that has west's facade as its auth_url, and users of east. */

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { startBroker } from '../../src/broker/broker.ts';
import type { Partner } from '../../src/model/partner.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { findFreePort } from '../../src/server/freePort.ts';
import { makeCertificate, toPem } from '../support/certificate.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

const rules = JSON.stringify([
  {
    local: [{ user: { name: '{0}' } }, { projects: [{ name: 'demo', roles: [{ name: 'member' }] }] }],
    remote: [{ type: 'openstack_user' }, { type: 'openstack_project', any_one_of: ['demo'] }],
  },
]);

describe('a service behind the facade', function () {
  this.timeout(30_000);
  const keystones: SandboxKeystone[] = [];
  let east: Cloud;
  let west: Cloud;
  let atWest: Partner;
  let eastApi: KeystoneApi;
  /** As the middleware: logs in at the facade, then asks where the catalog says. */
  let facade: KeystoneApi;
  let service: string;

  const adminOf = (keystone: SandboxKeystone) =>
    passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') });
  const loginInEast = () => eastApi.login(passwordLogin('demo', keystones[0]!.demoPassword));
  const ask = (subject: string, search = '?nocatalog') =>
    facade.call('GET', `/auth/tokens${search}`, { token: service, subject });

  const logIn = async () => {
    const url = `http://127.0.0.1:${west.broker.addresses.facade!.port}`;
    const answer = await createKeystoneApi(`${url}/v3`).must('POST', '/auth/tokens', { body: adminOf(keystones[1]!) });
    const catalog = answer.at('token.catalog') as { type: string; endpoints: { url: string }[] }[];
    const [{ url: found }] = catalog.find(({ type }) => type === 'identity')!.endpoints as [{ url: string }];
    expect(found).to.equal(`${url}/v3`);
    facade = createKeystoneApi(found);
    service = answer.headers.get('x-subject-token')!;
  };

  before(async () => {
    for (const region of ['east', 'west']) keystones.push(await startSandboxKeystone({ region }));
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone: keystones[0]! }),
      startCloud({
        cloudId: 'west',
        keystone: keystones[1]!,
        env: { ALLIANCE_FACADE__LISTEN: '127.0.0.1:0' },
      }),
    ]);
    ({ atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
    await west.installation.view.refresh();
    eastApi = createKeystoneApi(keystones[0]!.url);
    await logIn();
  });
  after(async () => {
    await stopClouds();
    for (const keystone of keystones) await keystone.stop();
  });

  it('hears nothing of a foreign user before there is a mapping', async () => {
    const answer = await ask(`a1.east.${await loginInEast()}`);
    expect(answer.status).to.equal(404);
    const [entry] = await west.installation.store.audit.list({ kind: 'validation', newest: true, limit: 1 });
    expect([entry?.outcome, entry?.details.reason]).to.deep.equal(['denied', 'no_mapping']);
  });

  it('gets a foreign user in the mapped project, with local ids and roles', async () => {
    await west.installation.store.mappings.set(atWest.uid, rules);
    await west.installation.view.refresh();
    const token = await loginInEast();
    const answer = await ask(`a1.east.${token}`);
    expect(answer.status, answer.text).to.equal(200);
    expect(answer.headers.get('x-subject-token')).to.equal(`a1.east.${token}`);
    const state = keystones[1]!.state;
    const project = [...state.projects.values()].find(({ name }) => name === 'demo')!;
    expect(answer.at('token.project.id')).to.equal(project.id);
    expect((answer.at('token.roles') as { name: string }[]).map(({ name }) => name)).to.include('member');
    expect(answer.at('token.is_admin_project')).to.equal(false);
    expect(answer.at('token.user.name')).to.equal('demo');
    const home = await eastApi.call('GET', '/auth/tokens', { token, subject: token });
    expect(answer.at('token.expires_at')).to.equal(home.at('token.expires_at'));
    expect(answer.at('token.user.id')).to.not.equal(home.at('token.user.id'));
    const [entry] = await west.installation.store.audit.list({ kind: 'validation', newest: true, limit: 1 });
    expect(entry).to.include({ outcome: 'valid', partner: 'east', rule: '1' });
    expect(JSON.stringify(entry)).not.to.include(token);
  });

  it('gets its own users as before, and a 404 for nobody', async () => {
    const own = await createKeystoneApi(keystones[1]!.url).login(passwordLogin('demo', keystones[1]!.demoPassword));
    expect((await ask(own)).at('token.project.name')).to.equal('demo');
    expect((await ask('gAAAAAnobody')).status).to.equal(404);
  });

  it('hears nothing of a bare token because somebody showed it under the name of a cloud', async () => {
    const token = await loginInEast();
    expect((await ask(token)).status).to.equal(404);
    expect((await ask(`a1.east.${token}`)).status).to.equal(200);
    expect((await ask(token)).status).to.equal(404);
  });

  it('ends a foreign user’s token at home', async () => {
    const token = await loginInEast();
    const subject = `a1.east.${token}`;
    expect((await ask(subject)).status).to.equal(200);
    expect((await facade.call('DELETE', '/auth/tokens', { token: service, subject })).status).to.equal(204);
    expect((await ask(subject)).status).to.equal(404);
    const admin = await eastApi.login(adminOf(keystones[0]!));
    expect((await eastApi.call('GET', '/auth/tokens', { token: admin, subject: token })).status).to.equal(404);
  });

  it('is refused what was revoked at home, within 5 s', async () => {
    const token = await loginInEast();
    const subject = `a1.east.${token}`;
    expect((await ask(subject)).status).to.equal(200);
    const admin = await eastApi.login(adminOf(keystones[0]!));
    await eastApi.must('DELETE', '/auth/tokens', { token: admin, subject: token });
    await until('the refusal', async () => (await ask(subject)).status === 404, 5000);
  });

  it('hears 404 of a partner that is suspended, from then on', async () => {
    const subject = `a1.east.${await loginInEast()}`;
    expect((await ask(subject)).status).to.equal(200);
    await west.installation.store.partners.apply(atWest.uid, 'suspend');
    await west.installation.view.refresh();
    expect((await ask(subject)).status).to.equal(404);
    await west.installation.store.partners.apply(atWest.uid, 'resume');
    await until('trust again', async () => (await ask(subject)).status === 200);
  });

  it('hears 503 while the partner is away and nothing says that its answer still counts', async () => {
    const subject = `a1.east.${await loginInEast()}`;
    await east.stopBroker();
    const answer = await ask(subject);
    expect(answer.status).to.equal(503);
    expect(Number(answer.headers.get('retry-after'))).to.be.at.least(1);
    await east.startBroker();
    await until('the partner again', async () => (await ask(subject)).status === 200, 10_000);
  });

  it('finds all as it was after a restart', async () => {
    const subject = `a1.east.${await loginInEast()}`;
    for (let n = 0; n < 3; n++) expect((await ask(subject)).status).to.equal(200);
    await west.stopBroker();
    await west.startBroker();
    const records = await west.installation.store.audit.list({ kind: 'validation', newest: true, limit: 1000 });
    // What was counted, of the tests before as well, is written when the broker stops.
    const counted = records.filter(({ details }) => details.times !== undefined).at(-1);
    expect(counted).to.include({ outcome: 'valid', partner: 'east', rule: '1' });
    expect(counted?.details).to.include({ times: 2 }).and.to.include.keys('user', 'roles', 'mapping', 'since');
    await logIn();
    expect((await ask(subject)).status).to.equal(200);
    expect(await west.metric('alliance_foreign_answers_total', { outcome: 'valid', source: 'live' })).to.equal(1);
    expect(await west.metric('alliance_facade_requests_total', { route: 'login', status: '201' })).to.equal(1);
  });

  it('has TLS where it is configured, with another certificate after a reload', async () => {
    await west.stopBroker();
    const write = (name: string) => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      writeFileSync(join(west.home, 'facade.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(join(west.home, 'facade.pem'), toPem(makeCertificate({ privateKey, commonNames: [name] })));
    };
    const listen = { tls: null, tcp: null, http: null, facade: { host: '127.0.0.1', port: await findFreePort() } };
    const env = { ...west.env, ALLIANCE_FACADE__CERTIFICATE_FILE: 'facade.pem' };
    const refused = await rejection(startBroker({ home: west.home, env, listen }), 'configuration');
    expect(refused.field).to.equal('facade.certificate_file');
    write('first');
    const broker = await startBroker({
      home: west.home,
      env: { ...env, ALLIANCE_FACADE__KEY_FILE: 'facade.key' },
      listen,
    });
    writeFileSync(join(west.home, 'facade.pem'), 'none');
    await rejection(broker.reload(), 'configuration');
    write('second');
    await broker.reload();
    expect(readFileSync(join(west.home, 'facade.pem'), 'utf8')).to.include('CERTIFICATE');
    await broker.stop();
  });

  it('has no facade without a Keystone', async () => {
    const { ALLIANCE_KEYSTONE__USERNAME: _user, ...env } = west.env;
    const file = join(west.home, 'alliance.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^keystone:(\n {2}.*)*/m, ''));
    const bare = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('ALLIANCE_KEYSTONE')));
    const error = await rejection(startBroker({ home: west.home, env: bare }), 'configuration');
    expect(error.field).to.equal('keystone.auth_url');
  });
});
