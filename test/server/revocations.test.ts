/** What a consumer may ask of revocations and hints, and how often: raw calls over channels, against a broker and a Keystone that run. */
import { expect } from 'chai';
import { hintLimits, revocationLimits as limits } from '../../src/core/limits.ts';
import { type SandboxKeystone, startSandboxKeystone } from '../../src/sandbox/keystone.ts';
import { pseudonymsOf } from '../../src/token/revocation/pseudonyms.ts';
import { CompactReader } from '../../src/wire/compact.ts';
import { readMessage, readOutcome } from '../../src/wire/messages.ts';
import {
  type RevocationPage,
  RevocationQuery,
  RevokeTokenRequest,
  TokenAnnouncement,
  TokenClaimRequest,
  TokenStatus,
  toInt64,
  toNumber,
  ValidateTokenRequest,
} from '../../src/wire/types.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { createKeystoneApi, passwordLogin } from '../support/keystoneApi.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, type RawPeer } from '../support/rawPeer.ts';
import { fullEvent } from '../support/revocations.ts';
import { until } from '../support/until.ts';

/** An id, as east tells it to the partner. */
const told = pseudonymsOf('peer', 'east');

const query = (fields: { after?: number; waitMs?: number; limit?: number; announce?: boolean } = {}) =>
  new RevocationQuery({
    after: toInt64(fields.after ?? 0),
    wait_ms: fields.waitMs ?? 0,
    limit: fields.limit ?? 1000,
    ...(fields.announce !== undefined && { announce_tokens: fields.announce }),
  });

describe('revocations for partners', () => {
  let keystone: SandboxKeystone;
  let cloud: Cloud;
  let raw: RawPeer;
  let peer: PartnerPeer;

  const login = () => createKeystoneApi(keystone.url).login(passwordLogin('demo', keystone.demoPassword));
  const source = () => cloud.broker.federation.revocations;
  const revoke = (...auditIds: string[]) =>
    source().append(auditIds.map((auditId) => ({ auditId, revokedAt: Date.now(), issuedBefore: Date.now() })));

  beforeEach(async () => {
    keystone = await startSandboxKeystone({ region: 'east' });
    cloud = await startCloud({
      cloudId: 'east',
      keystone,
      env: { ALLIANCE_PARTNERS__PEER__ANNOUNCE_TOKENS: 'true' },
    });
    peer = await PartnerPeer.join(cloud);
    raw = await peer.channel();
  });
  afterEach(async () => {
    raw.close();
    await stopClouds();
    await keystone.stop();
  });

  it('are refused for what is no query', async () => {
    for (const fields of [{ after: -2 }, { waitMs: -1 }, { waitMs: 30_001 }, { limit: 0 }, { limit: 1001 }])
      await rejection(raw.call('getRevocations', query(fields)), 'bad_request');
  });

  it('are none of the business of one who is asked, and notices none of one who asks', async () => {
    const provider = await (await PartnerPeer.join(cloud, 'north', { role: 'provider' })).channel();
    await rejection(provider.call('getRevocations', query()), 'forbidden');
    await rejection(provider.call('revokeToken', new RevokeTokenRequest({ token: 'x' })), 'forbidden');
    const claim = new TokenClaimRequest({ hint: Buffer.alloc(32), nonce: Buffer.alloc(32) });
    await rejection(provider.call('claimToken', claim), 'forbidden');
    const consumer = await (await PartnerPeer.join(cloud, 'south', { role: 'consumer' })).channel();
    const before = await cloud.metric('alliance_calls_total', { method: 'pushToken', outcome: 'forbidden' });
    const announcement = new TokenAnnouncement({ hint: Buffer.alloc(32), expires_at: toInt64(4e12) });
    consumer.sendSealed(callBytes('pushToken', announcement, 1));
    await until(
      'the refusal',
      async () => (await cloud.metric('alliance_calls_total', { method: 'pushToken', outcome: 'forbidden' })) > before,
    );
    await consumer.ping();
  });

  it('come in pages, with every member, and with the head of every validation', async () => {
    await source().append([{ ...fullEvent(2000), revokedAt: 1000 }]);
    await revoke('b', 'c');
    const first = await raw.call('getRevocations', query({ limit: 1 }));
    expect([toNumber(first.next_after), toNumber(first.head), first.gap]).to.deep.equal([1, 3, false]);
    const [event] = first.revocations;
    expect(event).to.deep.include({
      audit_id: told('a'),
      audit_chain_id: told('c'),
      user_id: told('u'),
      project_id: told('p'),
      domain_id: told('d'),
      domain_scope_id: told('s'),
      role_id: told('r'),
      trust_id: told('t'),
    });
    expect([event!.revoked_at, event!.issued_before, event!.expires_at!].map(toNumber)).to.deep.equal([
      1000, 2000, 3000,
    ]);
    const rest = await raw.call('getRevocations', query({ after: 1 }));
    expect(rest.revocations.map(({ audit_id }) => audit_id)).to.deep.equal([told('b'), told('c')]);
    for (const method of ['validateTokenHard', 'validateTokenSoft'] as const) {
      const answer = await raw.call(method, new ValidateTokenRequest({ token: 'unknown' }));
      expect(toNumber(answer.revocation_head!)).to.equal(3);
    }
  });

  it('name nothing that a partner has not met, and to each partner otherwise', async () => {
    const other = await (await PartnerPeer.join(cloud, 'north')).channel();
    const ids = ['Jane Doe', "o'neil", 'm\u00fcller', 'u'.repeat(255), 'line\nbreak', ' '];
    await source().append(ids.map((userId, n) => ({ userId, revokedAt: n, issuedBefore: n })));
    const [ours, theirs] = await Promise.all([raw, other].map((one) => one.call('getRevocations', query())));
    const users = (page: RevocationPage) => page.revocations.map(({ user_id }) => user_id!);
    expect(users(ours!)).to.deep.equal(ids.map(told));
    expect(users(theirs!).filter((id) => users(ours!).includes(id))).to.deep.equal([]);
    expect(JSON.stringify([ours, theirs])).not.to.match(/Jane|neil|ller/);
  });

  it('of a hundred long polls four wait; the others are refused, and nobody else is kept waiting', async () => {
    const other = await (await PartnerPeer.join(cloud, 'north')).channel();
    for (let n = 0; n < 100; n++) raw.sendSealed(callBytes('getRevocations', query({ waitMs: 30_000 }), n + 1000));
    const outcomes: string[] = [];
    for (let n = 0; n < 96; n++) outcomes.push(await outcomeOf(await raw.next()));
    expect(new Set(outcomes)).to.deep.equal(new Set(['overloaded']));
    await raw.ping();
    const waiting = other.call('getRevocations', query({ waitMs: 30_000 }));
    await revoke('a');
    expect((await waiting).revocations).to.have.length(1);
    for (let n = 0; n < limits.readersPerPartner; n++) expect(await outcomeOf(await raw.next())).to.equal('ok');
  });

  it('are not asked for without end', async () => {
    const outcomes = new Set<string>();
    for (let n = 0; n < limits.readsBurst + 50; n++) raw.sendSealed(callBytes('getRevocations', query(), n + 1000));
    for (let n = 0; n < limits.readsBurst + 50; n++) outcomes.add(await outcomeOf(await raw.next()));
    expect(outcomes).to.include('rate_limited').and.include('ok');
  });

  it('a reader that waits hears of the end of the broker at once', async () => {
    raw.sendSealed(callBytes('getRevocations', query({ waitMs: 30_000 }), 9));
    // Answered behind it, so the call has begun.
    await raw.ping();
    const startedAt = performance.now();
    await cloud.stopBroker();
    expect(performance.now() - startedAt).to.be.below(3000);
  });

  it('a token that the partner ends is invalid here, at Keystone, and in the list', async () => {
    const token = await login();
    const hard = () => raw.call('validateTokenHard', new ValidateTokenRequest({ token }));
    const soft = () => raw.call('validateTokenSoft', new ValidateTokenRequest({ token }));
    const { body } = await hard();
    const [auditId] = JSON.parse(body!).token.audit_ids;
    expect((await soft()).status).to.equal(TokenStatus.VALID);
    expect((await raw.call('revokeToken', new RevokeTokenRequest({ token }))).was_valid).to.equal(true);
    expect((await soft()).status).to.equal(TokenStatus.INVALID);
    expect((await hard()).status).to.equal(TokenStatus.INVALID);
    const page = await raw.call('getRevocations', query());
    expect(page.revocations.map(({ audit_id }) => audit_id)).to.deep.equal([told(auditId)]);
    expect((await raw.call('revokeToken', new RevokeTokenRequest({ token }))).was_valid).to.equal(false);
    await rejection(raw.call('revokeToken', new RevokeTokenRequest({ token: 'a1.east.x' })), 'token_form_refused');
    const records = await cloud.installation.store.audit.list({ kind: 'revocation' });
    expect(records.map(({ actor, partner, outcome }) => [actor, partner, outcome])).to.deep.equal([
      ['partner', 'peer', 'requested'],
      ['partner', 'peer', 'revoked'],
    ]);
    expect(records[0]!.details).to.deep.equal({ audit_id: auditId });
  });

  it('a Keystone that does not answer revokes nothing and says so, and the audit that nobody knows', async () => {
    const token = await login();
    keystone.faults.always('500', { match: { method: 'DELETE' } });
    await rejection(raw.call('revokeToken', new RevokeTokenRequest({ token })), 'keystone_unreachable');
    keystone.faults.clear();
    const { status } = await raw.call('validateTokenHard', new ValidateTokenRequest({ token }));
    expect(status).to.equal(TokenStatus.VALID);
    const records = await cloud.installation.store.audit.list({ kind: 'revocation' });
    expect(records.map(({ outcome }) => outcome)).to.deep.equal(['requested', 'undecided']);
    const [requested, undecided] = records.map(({ subject, details }) => ({ subject, details }));
    expect(undecided).to.deep.equal(requested);
    expect(undecided!.subject).to.match(/^[0-9a-f]{32}$/);
  });

  it('expired tokens are valid for those who ask so, and soft knowledge is not changed by it', async () => {
    const token = await login();
    const record = [...keystone.state.tokens.values()].find((each) => each.token === token)!;
    Object.assign(record, { expiresAt: Date.now() - 5000 });
    const ask = (allow_expired: boolean) =>
      raw.call('validateTokenHard', new ValidateTokenRequest({ token, allow_expired }));
    expect((await ask(true)).status).to.equal(TokenStatus.VALID);
    expect((await raw.call('validateTokenSoft', new ValidateTokenRequest({ token }))).status).to.equal(
      TokenStatus.INVALID,
    );
    expect((await ask(false)).status).to.equal(TokenStatus.INVALID);
  });

  it('claims are proved for tokens that were valid here, for the cloud that asks, and not without end', async () => {
    const token = await login();
    await raw.call('validateTokenHard', new ValidateTokenRequest({ token }));
    const { hints } = cloud.broker.federation;
    const nonce = Buffer.alloc(32, 3);
    const claim = (asker: string) =>
      raw.call('claimToken', new TokenClaimRequest({ hint: hints.hintFor(token, asker, 'east'), nonce }));
    expect((await claim('peer')).proof).to.have.length(32);
    expect((await claim('north')).proof).to.equal(undefined);
    const outcomes = new Set<string>();
    const bytes = (n: number) => callBytes('claimToken', new TokenClaimRequest({ hint: nonce, nonce }), n);
    const many = hintLimits.claimsBurst + 100;
    for (let n = 0; n < many; n++) raw.sendSealed(bytes(n + 1000));
    for (let n = 0; n < many; n++) outcomes.add(await outcomeOf(await raw.next(), 'claimToken'));
    expect(outcomes).to.include('rate_limited').and.include('ok');
  });

  it('announcements count from those that were asked to make them', async () => {
    const { hints } = cloud.broker.federation;
    const announce = (from: RawPeer, asked: string) =>
      from.sendSealed(
        callBytes(
          'pushToken',
          new TokenAnnouncement({ hint: hints.hintFor('fresh', 'east', asked), expires_at: toInt64(4e12) }),
          5,
        ),
      );
    const north = await (await PartnerPeer.join(cloud, 'north')).channel();
    announce(north, 'north');
    await north.ping();
    expect(hints.whoAnnounced('fresh')).to.deep.equal([]);
    announce(raw, 'peer');
    await until('the announcement', () => hints.whoAnnounced('fresh')[0]?.cloudId === 'peer');
  });
});

async function outcomeOf(message: Buffer | undefined, method: 'getRevocations' | 'claimToken' = 'getRevocations') {
  const reader = new CompactReader();
  reader.reset(message!);
  readMessage(reader);
  try {
    readOutcome(reader, method);
    return 'ok';
  } catch (error) {
    return (error as { errorName: string }).errorName;
  }
}
