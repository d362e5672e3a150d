/** A client in Python, written from docs/protocol.md, against a broker. */
import { expect } from 'chai';
import { approve, type InviteOptions, invite } from '../../src/broker/partners.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import type { KeyKind } from '../support/identity.ts';
import { createKeystoneApi, inDefault, passwordLogin } from '../support/keystoneApi.ts';
import { projectPath } from '../support/project.ts';
import { type PythonClient, runPython, startPythonClient } from '../support/python.ts';

interface Paired {
  readonly partner: string;
  readonly code: string;
  readonly state: string;
  readonly endpoints: readonly string[];
}

interface Validation {
  readonly status: number;
  readonly reason?: number;
  readonly expires_at?: number;
  readonly body?: string;
}

const [valid, invalid, indeterminate] = [1, 2, 3];
const kinds: readonly KeyKind[] = ['RSA-3072', 'P-256', 'Ed25519'];

describe('a client in Python', function () {
  this.timeout(60_000);
  let west: Cloud;
  let tls: string;
  let tcp: string;
  const clients: PythonClient[] = [];

  before(async () => {
    west = await startCloud({
      cloudId: 'west',
      kind: 'RSA-3072',
      advertise: (ports) => [`tls://127.0.0.1:${ports.tls}`, `tcp://127.0.0.1:${ports.tcp}`],
    });
    [tls, tcp] = [`tls://127.0.0.1:${west.ports.tls}`, `tcp://127.0.0.1:${west.ports.tcp}`];
  });

  after(async () => {
    for (const client of clients) await client.stop();
    await stopClouds();
  });

  async function newClient(cloudId: string, kind: KeyKind = 'Ed25519'): Promise<PythonClient> {
    const client = startPythonClient();
    clients.push(client);
    await client.must('init', cloudId, kind);
    return client;
  }

  async function pair(client: PythonClient, options: InviteOptions = { role: 'consumer', approve: true }) {
    const { token } = await invite(west.installation, options);
    return client.must<Paired>('pair', token);
  }

  it('derives every value of the vectors', async () => {
    expect(Number(await runPython('vectors.py', projectPath('test', 'vectors')))).to.be.greaterThan(100);
  });

  for (const kind of kinds)
    it(`pairs, shakes hands, attaches and pings, with a key of ${kind}`, async () => {
      const cloudId = `python-${kind.toLowerCase()}`;
      const client = await newClient(cloudId, kind);
      const paired = await pair(client);
      expect([paired.partner, paired.state]).to.deep.equal(['west', 'ACTIVE']);
      expect(paired.endpoints).to.deep.equal([tls, tcp]);
      expect((await west.partner(cloudId)).state).to.equal('active');
      for (const endpoint of [tls, tcp]) {
        await client.must('getSession', endpoint, endpoint === tls ? 'bootstrap' : 'optimistic');
        await client.must('attach', endpoint);
        const pongs = await client.must<unknown[]>('pings', 50);
        expect(pongs).to.have.length(50);
        expect(new Set(pongs.map((pong) => JSON.stringify(pong)))).to.deep.equal(
          new Set([JSON.stringify({ cloud_id: 'west', response_data: 'pong' })]),
        );
      }
    });

  it('waits for the approval of the operator, who types its code', async () => {
    const client = await newClient('python-waiting');
    const { code, state } = await pair(client, { role: 'consumer' });
    expect(state).to.equal('PENDING');
    await client.must('getSession', tls, 'bootstrap');
    await client.must('attach', tls);
    expect(await client.must('call', 'getPairing')).to.include({ state: 1 });
    expect((await client.ask('call', 'getServices', {})).code).to.equal(1107);
    await approve(west.installation, await west.partner('python-waiting'), code);
    expect(await client.must('call', 'getPairing')).to.include({ state: 2 });
    expect(await client.must('call', 'getServices', { type: 'identity' })).to.have.length(1);
  });

  it('validates tokens of the other cloud', async () => {
    const client = await newClient('python-tokens');
    await pair(client);
    await client.must('getSession', tcp, 'bootstrap');
    await client.must('attach', tcp);
    const api = createKeystoneApi(west.keystone.url);
    const login = () => api.login(passwordLogin('admin', west.keystone.adminPassword, { project: inDefault('admin') }));
    const validate = (token: string, method = 'validateTokenHard') =>
      client.must<Validation>('call', method, { token });

    const token = await login();
    expect((await validate(token, 'validateTokenSoft')).status).to.equal(indeterminate);
    const answer = await validate(token);
    expect(answer.status).to.equal(valid);
    expect(JSON.parse(answer.body!)).to.have.nested.property('token.user.name', 'admin');
    expect(answer.expires_at).to.be.greaterThan(Date.now());
    expect((await validate(token, 'validateTokenSoft')).status).to.equal(valid);
    expect((await validate('forged')).status).to.equal(invalid);
    await api.must('DELETE', '/auth/tokens', { token: await login(), subject: token });
    expect((await validate(token)).status).to.equal(invalid);
    expect((await client.ask('call', 'validateTokenHard', { token: 'no token!' })).code).to.equal(1402);
  });

  it('carries continuity on, and falls back when it has lost it', async () => {
    const client = await newClient('python-continuity');
    await pair(client);
    await client.must('getSession', tls, 'bootstrap');
    await client.must('getSession', tls, 'optimistic');
    await client.must('getSession', tls, 'optimistic');
    await client.must('attach', tls);
    await client.must('forgetContinuity');
    expect((await client.ask('getSession', tls, 'optimistic')).code).to.equal(1102);
    await client.must('getSession', tls, 'fallback');
    await client.must('attach', tls);
    expect((await client.ask('getSession', tls, 'fallback')).error).to.include({ code: 429, retryable: true });
    expect(await client.must('pings', 1)).to.have.length(1);
  });

  it('is refused what the page says is refused', async () => {
    const client = await newClient('python-refused');
    await pair(client);
    expect((await client.ask('plainCall', tcp, 'getServices', {})).code).to.equal(401);
    await client.must('getSession', tls, 'bootstrap');
    expect((await client.ask('replayTicket', tls)).code).to.equal(1103);
    await client.must('attach', tls);
    expect(await client.must('replayAttach', tls)).to.deep.equal({ answered: 32, afterwards: '' });
    expect((await client.ask('call', 'getSession', { cloud_id: 'x', signature: 'x', pki_data: 'x' })).code).to.equal(
      400,
    );
    const refused = await client.ask('call', 'validateTokenHard', { token: 'a1.west.x' });
    expect(refused.error).to.include({ code: 1402 }).and.to.have.property('request_id');
    expect(await client.must('plainFrameOnChannel')).to.deep.equal({ afterwards: '' });
    const stranger = await newClient('python-stranger');
    const { token } = await invite(west.installation);
    expect((await stranger.ask('pair', `${token.slice(0, -1)}x`)).failed).to.contain('Refused');
  });

  it('pairs once: another key gets the invitation refused, the same key gets the same result', async () => {
    const [one, two] = [await newClient('python-once'), await newClient('python-twice')];
    const { token } = await invite(west.installation, { role: 'consumer' });
    const first = await one.must<Paired>('pair', token);
    expect((await two.ask('pair', token)).code).to.equal(1202);
    const again = await one.must<Paired>('pair', token);
    expect(again.state).to.equal('PENDING');
    expect(again.code).not.to.equal(first.code);
    await approve(west.installation, await west.partner('python-once'), again.code);
  });
});
