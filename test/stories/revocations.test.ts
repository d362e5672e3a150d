/** Logged out in east, logged out in west: two brokers over real sockets. */
import { expect } from 'chai';
import type { Partner } from '../../src/model/partner.ts';
import { validateToken } from '../../src/rproxy/auth.ts';
import { claimToken, readRevocations, revokeToken } from '../../src/rproxy/tokens.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { pseudonymsOf } from '../../src/token/revocation/pseudonyms.ts';
import { type Cloud, pairClouds, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { createKeystoneApi, inDefault, type KeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { until } from '../support/until.ts';

describe('revoked in east, known in west', function () {
  this.timeout(40_000);
  let keystone: SandboxKeystone;
  let east: Cloud;
  let west: Cloud;
  let atEast: Partner;
  let atWest: Partner;
  let api: KeystoneApi;
  let admin: string;

  const login = () => api.login(passwordLogin('demo', keystone.demoPassword));
  const factsOf = async (token: string) => {
    const { keystone: own } = east.broker;
    const answer = await own!.validateToken(token);
    if (answer.status !== 'valid') throw new Error('The token is not valid.');
    return answer.token;
  };
  const marks = () => west.broker.federation.marks;
  const ageMs = () => Date.now() - (marks().confirmedAt(atWest.uid) ?? 0);
  const confirmed = (after = Date.now()) =>
    until('a confirmation', () => (marks().confirmedAt(atWest.uid) ?? 0) > after, 10_000);
  const endInEast = (token: string) => api.must('DELETE', '/auth/tokens', { token: admin, subject: token });

  before(async () => {
    keystone = await startSandboxKeystone({ region: 'east' });
    api = createKeystoneApi(keystone.url);
    admin = await api.login(passwordLogin('admin', keystone.adminPassword, { project: inDefault('admin') }));
    const env = { ALLIANCE_PARTNERS__WEST__AUTHENTICATE: 'true' };
    [east, west] = await Promise.all([
      startCloud({ cloudId: 'east', keystone, env }),
      startCloud({ cloudId: 'west', env: { ALLIANCE_PARTNERS__EAST__ANNOUNCE_TOKENS: 'true' } }),
    ]);
    ({ atInviter: atEast, atAcceptor: atWest } = await pairClouds(east, west, { role: 'consumer' }));
    await confirmed(0);
  });
  after(async () => {
    await stopClouds();
    await keystone.stop();
  });

  it('at its Keystone: within five seconds', async () => {
    const token = await login();
    const facts = await factsOf(token);
    expect(marks().isRevoked(atWest.uid, facts)).to.equal(false);
    const startedAt = performance.now();
    const noted = new Promise<void>((resolve) => marks().onNote(() => resolve()));
    await endInEast(token);
    await noted;
    const tookMs = performance.now() - startedAt;
    console.log(`      revoked at home, known abroad after ${Math.round(tookMs)} ms`);
    expect(tookMs).to.be.below(5000);
    expect(marks().isRevoked(atWest.uid, facts)).to.equal(true);
  });

  it('by west itself: at once, once, and east says so of the token from then on', async () => {
    const { pool } = west.installation;
    const token = await login();
    const facts = await factsOf(token);
    expect((await validateToken(pool, atWest, token)).status).to.equal('valid');
    expect((await validateToken(pool, atWest, token, { soft: true })).status).to.equal('valid');
    expect(await revokeToken(pool, atWest, token)).to.equal(true);
    expect((await validateToken(pool, atWest, token, { soft: true })).status).to.equal('invalid');
    await until('the mark', () => marks().isRevoked(atWest.uid, facts), 1000);
    expect(await revokeToken(pool, atWest, token)).to.equal(false);
    // Keystone has listed it meanwhile.
    await confirmed();
    await confirmed();
    const { revocations } = await readRevocations(pool, atWest, {
      after: 0,
      waitMs: 0,
      limit: 1000,
      announceTokens: false,
    });
    const told = pseudonymsOf('west', 'east')(facts.auditIds[0]!);
    const same = revocations.filter(({ event }) => event?.auditId === told);
    expect(same).to.have.length(1);
  });

  it('of everything that a user has: soft knowledge in east ends, too', async () => {
    const { pool } = west.installation;
    const [token] = await Promise.all([login(), login()]);
    expect((await validateToken(pool, atWest, token)).status).to.equal('valid');
    const user = [...keystone.state.users.values()].find(({ name }) => name === 'demo')!;
    keystone.state.setUserEnabled(user, false);
    keystone.state.setUserEnabled(user, true);
    await until(
      'soft knowledge ends',
      async () => (await validateToken(pool, atWest, token, { soft: true })).status === 'invalid',
    );
  });

  it('confirmations are never older than a few seconds while both are up', async () => {
    let worstMs = 0;
    const endsAt = performance.now() + 4000;
    await until('four seconds', () => {
      worstMs = Math.max(worstMs, ageMs());
      return performance.now() > endsAt;
    });
    expect(worstMs).to.be.below(5000);
  });

  it('with Keystone in east silent nothing is confirmed; with Keystone back, what happened meanwhile is known before that', async () => {
    const token = await login();
    const facts = await factsOf(token);
    keystone.faults.always('503', { match: { path: /OS-REVOKE/ } });
    await until('no confirmation for five seconds', () => ageMs() > 5000, 15_000);
    await endInEast(token);
    keystone.faults.clear();
    let seen: boolean | undefined;
    await until(
      'a confirmation',
      () => {
        const isFresh = ageMs() < 5000;
        if (isFresh) seen = marks().isRevoked(atWest.uid, facts);
        return isFresh;
      },
      40_000,
    );
    expect(seen).to.equal(true);
  });

  it('while west is down: known before anything is confirmed', async () => {
    const token = await login();
    const facts = await factsOf(token);
    await west.stopBroker();
    await endInEast(token);
    await west.startBroker();
    const begin = marks();
    expect(begin.confirmedAt(atWest.uid)).to.equal(null);
    await confirmed(0);
    expect(marks().isRevoked(atWest.uid, facts)).to.equal(true);
  });

  it('while east is down, and from before it was', async () => {
    const tokens = await Promise.all([login(), login()]);
    const facts = await Promise.all(tokens.map(factsOf));
    await endInEast(tokens[0]!);
    await east.stopBroker();
    await endInEast(tokens[1]!);
    const startedAt = Date.now();
    await east.startBroker();
    await confirmed(startedAt);
    for (const each of facts) expect(marks().isRevoked(atWest.uid, each)).to.equal(true);
  });

  it('although nobody was woken: west reads by itself', async () => {
    const token = await login();
    const facts = await factsOf(token);
    // No channel leads from east to west: every notice is lost.
    const { store } = east.installation;
    await store.partners.update(atEast.uid, { endpoints: ['tls://127.0.0.1:1'] });
    await east.installation.view.refresh();
    await endInEast(token);
    await until('the mark', () => marks().isRevoked(atWest.uid, facts));
    await store.partners.update(atEast.uid, { endpoints: atEast.endpoints });
    await east.installation.view.refresh();
  });

  it('after a gap west forgets everything, and follows from there', async () => {
    const token = await login();
    const facts = await factsOf(token);
    await endInEast(token);
    await until('the mark', () => marks().isRevoked(atWest.uid, facts));
    await west.stopBroker();
    for (const auditId of ['x', 'y', 'z'])
      await east.broker.federation.revocations.append([{ auditId, revokedAt: Date.now(), issuedBefore: Date.now() }]);
    await east.installation.store.feed.prune({ keepRows: 1 });
    const before = Date.now();
    await west.startBroker();
    const dropped = new Promise<void>((resolve) => {
      marks().onNote((_issuer, event) => {
        if (event === null) resolve();
      });
    });
    await dropped;
    await confirmed(before);
    const fresh = await login();
    const freshFacts = await factsOf(fresh);
    await endInEast(fresh);
    await until('the mark', () => marks().isRevoked(atWest.uid, freshFacts));
  });

  it('a token that was issued through east is announced to west where east allows it, by its hint alone', async () => {
    const { federation } = west.broker;
    const [silent, token] = await Promise.all([login(), login()]);
    // West asks for announcements with every question.
    await confirmed();
    const { notices } = east.broker.federation;
    notices.announce({ token: silent, expiresAt: Date.now() + 60_000, auditId: undefined });
    Object.assign(east.env, { ALLIANCE_PARTNERS__WEST__TELL_TOKENS: 'true' });
    await east.broker.reload();
    expect(federation.hints.whoAnnounced(token)).to.deep.equal([]);
    const partner = await until('the announcement', () => {
      notices.announce({ token, expiresAt: Date.now() + 60_000, auditId: undefined });
      return federation.hints.whoAnnounced(token)[0];
    });
    expect(partner.cloudId).to.equal('east');
    expect(federation.hints.whoAnnounced(silent), 'before it was allowed').to.deep.equal([]);
    const { pool } = west.installation;
    const nonce = Buffer.alloc(32, 1);
    const hint = federation.hints.hintFor(token, 'west', 'east');
    const proof = await claimToken(pool, atWest, { hint, nonce });
    expect(federation.hints.verifyProof(token, nonce, proof as Buffer, atWest)).to.equal(true);
    const unknown = federation.hints.hintFor('another', 'west', 'east');
    expect(await claimToken(pool, atWest, { hint: unknown, nonce })).to.equal('unsure');
    await rejection(claimToken(pool, atWest, { hint: Buffer.alloc(31), nonce }), 'bad_request');
  });

  it('a partner that is suspended is not followed, and caught up with when it comes back', async () => {
    const token = await login();
    const facts = await factsOf(token);
    const { store, view } = west.installation;
    await store.partners.apply(atWest.uid, 'suspend');
    await view.refresh();
    expect(marks().confirmedAt(atWest.uid)).to.equal(null);
    await endInEast(token);
    await confirmedInEast();
    await store.partners.apply(atWest.uid, 'resume');
    await view.refresh();
    await confirmed(0);
    expect(marks().isRevoked(atWest.uid, facts)).to.equal(true);
  });

  /** East has read its Keystone since. */
  const confirmedInEast = async () => {
    const { revocations } = east.broker.federation;
    const at = Date.now();
    await until('east has asked', async () => {
      const { ageMs: age } = await revocations.read({ after: -1, waitMs: 0, limit: 1 });
      return age !== null && Date.now() - age > at;
    });
  };
});
