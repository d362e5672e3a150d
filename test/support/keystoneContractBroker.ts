/** Contract of a Keystone: the broker's own client in front of it. */
import { inspect } from 'node:util';
import { expect } from 'chai';
import { type Credentials, createKeystone, type Keystone, type KeystoneOptions } from '../../src/lproxy/keystone.ts';
import { rejection } from './errors.ts';
import { inDefault } from './keystoneApi.ts';
import type { Bench, BenchUser } from './keystoneContract.ts';

const passwordOf = (user: BenchUser): Credentials => ({
  method: 'password',
  user: inDefault(user.name),
  password: user.password,
});

export function describeBroker(bench: () => Bench): void {
  let keystone: Keystone;
  const calls: string[] = [];
  const open: Keystone[] = [];

  const connect = (options: Partial<KeystoneOptions> = {}): Keystone => {
    const { url, adminPassword } = bench().keystone;
    const user = inDefault('admin');
    const made = createKeystone({
      authUrl: url,
      credentials: { method: 'password', user, password: adminPassword },
      scope: { project: user },
      ...options,
    });
    open.push(made);
    return made;
  };

  before(() => {
    keystone = connect({ onCall: (operation, outcome) => calls.push(`${operation} ${outcome}`) });
  });
  after(() => Promise.all(open.map((each) => each.close())));

  it('tells the version, whether auth_url ends with /v3 or not', async () => {
    expect(await keystone.version()).to.deep.include({ status: 'stable' });
    const bare = connect({ authUrl: bench().keystone.url.replace(/v3$/, '') });
    expect((await bare.version()).id).to.match(/^v3\./);
  });

  it('validates a token and hands on the body as it came', async () => {
    const { api, admin, newUser } = bench();
    const user = await newUser();
    const raw = await api.call('GET', '/auth/tokens', { token: admin, subject: user.token });
    const answer = await keystone.validateToken(user.token);
    if (answer.status !== 'valid') throw new Error('the token must be valid');
    expect(JSON.parse(answer.body)).to.deep.equal(JSON.parse(raw.text));
    expect(answer.expiresAt).to.equal(Date.parse(String(raw.at('token.expires_at'))));
    expect(answer.token.user).to.deep.equal({
      id: user.id,
      name: user.name,
      domain: { id: 'default', name: 'Default' },
    });
    expect(answer.token.project?.id).to.equal(user.project.id);
    expect(answer.token.auditIds).to.deep.equal(raw.at('token.audit_ids'));
    expect(answer.token.system).to.equal(false);
    const bare = await keystone.validateToken(user.token, { catalog: false });
    expect(bare).to.have.property('body').that.does.not.include('"catalog"');
  });

  it('tells forged and revoked tokens from valid ones, and counts what it asked', async () => {
    const user = await bench().newUser();
    calls.length = 0;
    expect((await keystone.validateToken('gAAAAABforged')).status).to.equal('invalid');
    expect((await keystone.validateToken(user.token)).status).to.equal('valid');
    expect(await keystone.revokeToken(user.token)).to.equal(true);
    expect(await keystone.revokeToken(user.token)).to.equal(false);
    expect((await keystone.validateToken(user.token)).status).to.equal('invalid');
    const expected = ['validate invalid', 'validate ok', 'revoke ok', 'revoke ok', 'validate invalid'];
    expect(calls.filter((call) => !call.startsWith('login'))).to.deep.equal(expected);
  });

  it('tells its own token, and another one when Keystone has lost that', async () => {
    const { api, admin } = bench();
    const [first, second] = await Promise.all([keystone.ownToken(), keystone.ownToken()]);
    expect(second).to.equal(first);
    expect(keystone.heldToken()).to.equal(first);
    expect((await keystone.validateToken(first)).status).to.equal('valid');
    expect(await keystone.ownToken('some other')).to.equal(first);
    await api.must('DELETE', '/auth/tokens', { token: admin, subject: first });
    const next = await keystone.ownToken(first);
    expect(next).to.not.equal(first);
    expect((await api.call('GET', '/auth/tokens', { token: admin, subject: next })).status).to.equal(200);
  });

  it('logs in a user, without the catalog', async () => {
    const user = await bench().newUser();
    const issued = await keystone.issueToken(passwordOf(user), { project: { id: user.project.id } });
    expect(JSON.parse(issued.body).token).to.not.have.property('catalog');
    expect(JSON.parse(issued.body).token.project.id).to.equal(user.project.id);
    expect(issued.expiresAt).to.equal(Date.parse(JSON.parse(issued.body).token.expires_at));
    expect((await keystone.validateToken(issued.token)).status).to.equal('valid');
    const unscoped = await keystone.issueToken(passwordOf(user), 'unscoped');
    expect(JSON.parse(unscoped.body).token).to.not.have.property('project');
  });

  it('says which credentials are refused: those of the user, or its own', async () => {
    const user = await bench().newUser();
    const wrong: Credentials = { method: 'password', user: inDefault(user.name), password: 'wrong-secret' };
    await rejection(keystone.issueToken(wrong), 'credentials_refused');
    const elsewhere = { project: inDefault('admin') };
    await rejection(keystone.issueToken(passwordOf(user), elsewhere), 'credentials_refused');

    const unknown: Credentials = { method: 'application_credential', id: 'none', secret: 'any' };
    await rejection(keystone.issueToken(unknown), 'credentials_refused');
    await rejection(connect({ credentials: unknown, scope: 'unscoped' }).listRegions(), 'keystone_refused');

    const ofBroker = await rejection(connect({ credentials: wrong }).validateToken(user.token), 'keystone_refused');
    expect(inspect(ofBroker, { depth: 10 })).not.to.include('wrong-secret');
    const powerless = connect({ credentials: passwordOf(user), scope: { project: { id: user.project.id } } });
    const stranger = await bench().newUser();
    await rejection(powerless.validateToken(stranger.token), 'keystone_refused');
    await rejection(powerless.listServices(), 'keystone_refused');
  });

  it('works with an application credential of a user with the role service', async () => {
    const { api, newUser } = bench();
    const [broker, user] = await Promise.all([newUser('service'), newUser()]);
    const body = { application_credential: { name: 'broker' } };
    const path = `/users/${broker.id}/application_credentials`;
    const made = await api.must('POST', path, { token: broker.token, body });
    const { id, secret } = made.at('application_credential') as { id: string; secret: string };
    const credentials: Credentials = { method: 'application_credential', id, secret };
    const own = createKeystone({ authUrl: bench().keystone.url, credentials });
    open.push(own);
    expect((await own.validateToken(user.token)).status).to.equal('valid');
    const issued = await keystone.issueToken(credentials);
    expect(JSON.parse(issued.body).token.application_credential.id).to.equal(id);
  });

  it('lists services, endpoints and regions, without those switched off', async () => {
    const { keystone: running, api, admin } = bench();
    const service = await api.create(admin, 'service', { type: 'image', name: 'glance' });
    const url = 'http://127.0.0.1:1';
    const endpoint = (values: object) =>
      api.create(admin, 'endpoint', { service_id: service.id, interface: 'public', url, ...values });
    const shown = await endpoint({ region: running.region });
    await endpoint({ region: running.region, interface: 'internal', url: `${url}/internal` });
    await endpoint({ region: 'elsewhere', url: `${url}/elsewhere` });
    await endpoint({ enabled: false });

    expect(await keystone.listServices({ type: 'image' })).to.deep.equal([
      { id: service.id, type: 'image', name: 'glance', description: null },
    ]);
    const types = (await keystone.listServices()).map(({ type }) => type);
    expect(types).to.include.members(['identity', 'image']);
    expect(await keystone.listEndpoints({ serviceId: service.id })).to.have.length(3);
    const filter = { serviceId: service.id, interface: 'public', region: running.region };
    expect(await keystone.listEndpoints(filter)).to.deep.equal([
      { id: shown.id, serviceId: service.id, interface: 'public', region: running.region, url },
    ]);
    const regions = (await keystone.listRegions()).map(({ id }) => id);
    expect(regions).to.include.members([running.region, 'elsewhere']);

    expect(await connect({ region: running.region }).endpointUrl('image')).to.equal(url);
    expect(await connect({ region: 'elsewhere' }).endpointUrl('image')).to.equal(`${url}/elsewhere`);
    expect(await connect({ interface: 'internal' }).endpointUrl('image')).to.equal(`${url}/internal`);
    expect(await keystone.endpointUrl('none')).to.equal(null);
  });

  it('validates many tokens at once', async () => {
    const { token } = await bench().newUser();
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => keystone.validateToken(index % 2 ? token : 'gAAAAABforged')),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal(
      answers.map((_, index) => (index % 2 ? 'valid' : 'invalid')),
    );
  });
}
