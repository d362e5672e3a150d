/** What a partner may answer that it should not: nothing of it is believed, and nothing of it stays. */
import { expect } from 'chai';
import type { Ticket } from '../../src/channel/tickets.ts';
import { AllianceError } from '../../src/core/errors.ts';
import type { ErrorName } from '../../src/core/errorTable.ts';
import { foreignLimits, keystoneLimits, timeLimits } from '../../src/core/limits.ts';
import { fromBase64url } from '../../src/crypto/bytes.ts';
import { authenticate, validateToken } from '../../src/rproxy/auth.ts';
import { endpoints } from '../../src/rproxy/endpoints.ts';
import { readTrustBundle, tellIdentity } from '../../src/rproxy/identity.ts';
import { askPairing } from '../../src/rproxy/pairing.ts';
import { ping } from '../../src/rproxy/ping.ts';
import { services } from '../../src/rproxy/services.ts';
import {
  CertificateState,
  EndpointInfo,
  IdentityCertificate,
  IndeterminateReason,
  IssuedToken,
  PairingState,
  PairingStatus,
  RotationReceipt,
  ServiceInfo,
  TokenSigningKey,
  TokenStatus,
  TokenValidation,
  TrustBundle,
  toInt64,
} from '../../src/wire/types.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { type FalseBehaviour, type FalseCall, startFalsePartner, stopFalsePartners } from '../support/falsePartner.ts';
import { makeIdentity } from '../support/identity.ts';
import { newTokenKey } from '../support/tokenKeys.ts';
import { until } from '../support/until.ts';

describe('a partner that lies', () => {
  let cloud: Cloud;
  before(async () => {
    cloud = await startCloud({ cloudId: 'west', pauses: { bundleMs: 3600_000, newPartnerMs: 3600_000 } });
  });
  after(stopClouds);
  let count = 0;
  const meet = (behaviour: FalseBehaviour) => startFalsePartner(cloud, behaviour, `false-${++count}`);
  afterEach(stopFalsePartners);

  const pool = () => cloud.installation.pool;
  const sessionsWith = (uid: Parameters<Cloud['installation']['store']['sessions']['list']>[0]) =>
    cloud.installation.store.sessions.list(uid);

  describe('in the handshake', () => {
    const withPayload = (answer: Ticket, change: (payload: Record<string, unknown>) => void): Ticket => {
      const payload = JSON.parse(fromBase64url(answer.pkiData).toString()) as Record<string, unknown>;
      change(payload);
      return { ...answer, pkiData: Buffer.from(JSON.stringify(payload)).toString('base64url') };
    };
    let first: Ticket | undefined;
    let repeats = false;
    const lies: [what: string, lie: (answer: Ticket, request: Ticket) => Ticket, name: ErrorName][] = [
      [
        'a signature of nothing',
        (answer) => ({ ...answer, signature: answer.signature.replace(/..$/, 'AA') }),
        'ticket_refused',
      ],
      [
        'another end',
        (answer) =>
          withPayload(answer, (payload) => {
            payload.valid_till = Date.now() + 1e9;
          }),
        'ticket_refused',
      ],
      [
        'another key',
        (answer) =>
          withPayload(answer, (payload) => {
            payload.epk = Buffer.alloc(32, 9).toString('base64url');
          }),
        'ticket_refused',
      ],
      ['another name', (answer) => ({ ...answer, cloudId: 'east' }), 'ticket_refused'],
      ['our own ticket back', (_answer, request) => request, 'ticket_refused'],
      ['nothing readable', (answer) => ({ ...answer, pkiData: '!' }), 'ticket_unreadable'],
      [
        'an answer to an earlier request',
        (answer) => {
          first ??= answer;
          return repeats ? first : answer;
        },
        'ticket_refused',
      ],
    ];
    for (const [what, lie, name] of lies)
      it(`${what} leaves no trace`, async () => {
        [first, repeats] = [undefined, false];
        const { partner, methods } = await meet({ ticket: lie });
        // Only from here on: what the broker asks by itself may have come before, and its answer would be the earlier one.
        if (what.includes('earlier')) await pool().open(partner, true);
        repeats = true;
        const before = await sessionsWith(partner.uid);
        await rejection(pool().open(partner, true), name);
        expect(await sessionsWith(partner.uid)).to.have.length(before.length);
        expect(methods.filter((method) => method === 'attach')).to.have.length(before.length);
      });

    it('an attach that proves nothing makes no channel', async () => {
      for (const attach of [
        (response: { epk: Buffer; nonce: Buffer; mac: Buffer }) => ({ ...response, mac: Buffer.alloc(32) }),
        (response: { epk: Buffer; nonce: Buffer; mac: Buffer }) => ({ ...response, epk: Buffer.alloc(32) }),
        (response: { epk: Buffer; nonce: Buffer; mac: Buffer }) => ({ ...response, nonce: Buffer.alloc(31) }),
      ]) {
        const { partner } = await meet({ attach });
        const thrown = await ping(pool(), 'west', partner, { timeoutMs: 2000 }).catch((error: AllianceError) => error);
        expect((thrown as AllianceError).remote).to.equal(false);
        expect(pool().channels().get(partner.uid) ?? []).to.deep.equal([]);
      }
    });

    it('an attach that is followed by plain bytes at once makes no channel, and confirms nothing', async () => {
      const { partner, methods } = await meet({ afterAttach: Buffer.from('0000000100', 'hex') });
      const before = await cloud.metric('alliance_channels', { direction: 'out' });
      await rejection(pool().open(partner), 'connection_lost');
      expect(methods).to.deep.equal(['getSession', 'attach']);
      expect(pool().channels().get(partner.uid) ?? []).to.deep.equal([]);
      expect(await cloud.metric('alliance_channels', { direction: 'out' })).to.equal(before);
      expect((await sessionsWith(partner.uid)).map(({ confirmedAt }) => confirmedAt)).to.deep.equal([null]);
    });

    it('an attach that is answered when the partner was removed makes no channel', async () => {
      let answer = () => {};
      const held = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const { partner, methods } = await meet({ beforeAttach: () => held });
      const before = await cloud.metric('alliance_channels', { direction: 'out' });
      const opened = pool()
        .open(partner)
        .then(
          () => 'open',
          (error: AllianceError) => error.errorName,
        );
      await until('it was asked', () => methods.includes('attach'));
      const { store, view } = cloud.installation;
      await store.partners.remove(partner.uid, { notify: false });
      await view.refresh();
      answer();
      expect(await opened).to.equal('shutting_down');
      expect(methods).to.deep.equal(['getSession', 'attach']);
      expect(await cloud.metric('alliance_channels', { direction: 'out' })).to.equal(before);
    });

    it('a session that is refused is replaced once, not again and again', async () => {
      const { partner, methods } = await meet({
        refuseAttach: () => {
          throw new AllianceError('session_invalid');
        },
      });
      await rejection(ping(pool(), 'west', partner), 'session_invalid');
      expect(methods.filter((method) => method === 'attach')).to.have.length(2);
      expect(methods.filter((method) => method === 'getSession').length).to.be.at.most(2);
    });
  });

  describe('in an answer', () => {
    const now = toInt64(Date.now());
    const token = { expires_at: '2099-01-01T00:00:00Z', user: { id: 'u', name: 'ann' } };
    const validations: [what: string, answer: TokenValidation][] = [
      ['valid without an expiry', new TokenValidation({ status: TokenStatus.VALID, checked_at: now, body: '{}' })],
      ['valid without a body', new TokenValidation({ status: TokenStatus.VALID, checked_at: now, expires_at: now })],
      ['valid without a time', new TokenValidation({ status: TokenStatus.VALID, expires_at: now, body: '{}' })],
      ...['{}', JSON.stringify({ token: { ...token, padding: 'x'.repeat(foreignLimits.bodyBytes) } })].map(
        (body): [string, TokenValidation] => [
          `valid with a body of ${body.length} bytes that is refused`,
          new TokenValidation({ status: TokenStatus.VALID, checked_at: now, expires_at: now, body }),
        ],
      ),
      ['invalid without a time', new TokenValidation({ status: TokenStatus.INVALID })],
    ];
    for (const [what, answer] of validations)
      it(`${what} is no answer`, async () => {
        const { partner } = await meet({ answer: ({ reply }) => reply('validateTokenHard', answer) });
        await rejection(validateToken(pool(), partner, 'token'), 'wire_malformed');
      });

    for (const ms of [2 ** 53 - 1, 8.64e15, timeLimits.latestMs + 1, -1])
      it(`a time of ${ms} is none`, async () => {
        const time = toInt64(ms);
        const { partner } = await meet({
          answer: ({ method, reply }) => {
            const valid = { status: TokenStatus.VALID, checked_at: now, body: '{}' };
            if (method === 'getPairing')
              reply(method, new PairingStatus({ state: PairingState.ACTIVE, trust_since: now, trust_till: time }));
            else if (method === 'validateTokenHard') reply(method, new TokenValidation({ ...valid, expires_at: time }));
            else if (method === 'validateTokenSoft')
              reply(method, new TokenValidation({ status: TokenStatus.INVALID, checked_at: time }));
            else reply('authenticate', new IssuedToken({ token: 't', expires_at: time, body: '{}' }));
          },
        });
        const credentials = { kind: 'application_credential', id: 'a', secret: 'b' } as const;
        const fields = await Promise.all([
          rejection(askPairing(pool(), partner), 'wire_malformed'),
          rejection(validateToken(pool(), partner, 'token'), 'wire_malformed'),
          rejection(validateToken(pool(), partner, 'token', { soft: true }), 'wire_malformed'),
          rejection(authenticate(pool(), partner, credentials), 'wire_malformed'),
        ]);
        expect(fields.map(({ field }) => field)).to.deep.equal([
          'trust_till',
          'expires_at',
          'checked_at',
          'expires_at',
        ]);
      });

    it('a reason that is not known is unknown', async () => {
      const odd = new TokenValidation({ status: TokenStatus.INDETERMINATE });
      const { partner } = await meet({ answer: ({ reply }) => reply('validateTokenSoft', odd) });
      expect(await validateToken(pool(), partner, 'token', { soft: true })).to.deep.equal({
        status: 'indeterminate',
        reason: 'unknown',
      });
      const busy = new TokenValidation({ status: TokenStatus.INDETERMINATE, reason: IndeterminateReason.OVERLOADED });
      const other = await meet({ answer: ({ reply }) => reply('validateTokenHard', busy) });
      expect(await validateToken(pool(), other.partner, 'token')).to.deep.equal({
        status: 'indeterminate',
        reason: 'overloaded',
      });
    });

    it('a bundle of another cloud, or with no certificate in it, is none', async () => {
      const bundleOf = (cloudId: string, certificate: Buffer) =>
        new TrustBundle({
          cloud_id: cloudId,
          sequence: toInt64(5),
          refresh_hint_s: 1,
          certificates: [
            new IdentityCertificate({ certificate, state: CertificateState.CURRENT, not_before: now, not_after: now }),
          ],
        });
      const foreign = await meet({ answer: ({ reply }) => reply('getTrustBundle', bundleOf('east', Buffer.alloc(9))) });
      await rejection(
        readTrustBundle(pool(), cloud.installation.store, foreign.partner, () => false),
        'wire_malformed',
      );
      expect((await cloud.partner(foreign.partner.cloudId)).bundleSequence).to.equal(0);
      const broken = await meet({
        answer: ({ reply }) => reply('getTrustBundle', bundleOf(broken.partner.cloudId, Buffer.alloc(9))),
      });
      const thrown = await readTrustBundle(pool(), cloud.installation.store, broken.partner, () => false).catch(
        (error: unknown) => error,
      );
      expect(thrown).to.be.instanceOf(AllianceError);
    });

    it('a bundle of no certificate, or of more than two, is refused before one is read', async () => {
      const { certificateDer } = makeIdentity('false-bundle');
      const bundleOf = (cloudId: string, count: number) =>
        new TrustBundle({
          cloud_id: cloudId,
          sequence: toInt64(5),
          refresh_hint_s: 1,
          certificates: Array.from(
            { length: count },
            () =>
              new IdentityCertificate({
                certificate: certificateDer,
                state: CertificateState.CURRENT,
                not_before: now,
                not_after: now,
              }),
          ),
        });
      let certificates = 2;
      const { partner } = await meet({
        answer: ({ reply }) => reply('getTrustBundle', bundleOf(partner.cloudId, certificates)),
      });
      const read = () => readTrustBundle(pool(), cloud.installation.store, partner, () => false);
      expect((await read()).announced).to.equal(false);
      for (certificates of [0, 3, 5000]) await rejection(read(), 'wire_malformed');
    });

    it('a list of more services or endpoints than may be is refused', async () => {
      const face = {
        id: 'e',
        service_id: 's',
        service_type: 't',
        service_name: 'n',
        interface_name: 'public',
        url: '',
      };
      let length = keystoneLimits.listItems;
      const { partner } = await meet({
        answer: ({ method, reply }) => {
          if (method === 'getServices')
            reply(method, Array(length).fill(new ServiceInfo({ id: 's', type: 't', name: 'n' })));
          if (method === 'getEndpoints') reply(method, Array(length).fill(new EndpointInfo(face)));
        },
      });
      expect(await services(pool(), partner)).to.have.length(length);
      expect(await endpoints(pool(), partner)).to.have.length(length);
      length++;
      await rejection(services(pool(), partner), 'wire_malformed');
      await rejection(endpoints(pool(), partner), 'wire_malformed');
    });

    it('keys of tokens that are none, of another algorithm or too many: none of them is taken', async () => {
      const { spki } = newTokenKey();
      const key = (algorithm: string, publicKey: Buffer) => new TokenSigningKey({ algorithm, public_key: publicKey });
      const lists = [
        [key('ES256', spki), key('ES256', Buffer.alloc(91))],
        [key('ES384', spki)],
        [key('HS256', Buffer.alloc(32))],
        Array.from({ length: 17 }, () => key('ES256', spki)),
      ];
      for (const tokenKeys of lists) {
        const { store } = cloud.installation;
        const { partner } = await meet({
          answer: ({ reply }) =>
            reply(
              'getTrustBundle',
              new TrustBundle({
                cloud_id: partner.cloudId,
                sequence: toInt64(5),
                refresh_hint_s: 300,
                certificates: [],
                token_keys: tokenKeys,
              }),
            ),
        });
        await rejection(
          readTrustBundle(pool(), store, partner, () => false),
          'wire_malformed',
        );
        expect((await store.tokenKeys.list()).filter(({ partnerUid }) => partnerUid === partner.uid)).to.deep.equal([]);
      }
    });

    it('a receipt for another key is no acknowledgement', async () => {
      const receipt = new RotationReceipt({ sequence: toInt64(2), fingerprint: Buffer.alloc(32) });
      const { partner } = await meet({
        // A broker asks for revocations by itself; that call gets no answer here.
        answer: ({ method, reply }) => {
          if (method === 'updateIdentity') reply('updateIdentity', receipt);
        },
      });
      const former = { ...cloud.installation.view.current, overlapTill: Date.now() + 60_000 };
      const next = { identity: makeIdentity('west'), sequence: 2, overlapTill: null };
      await rejection(tellIdentity(pool(), partner, former, next), 'rotation_refused');
    });

    it('a call that changes something is not made twice when its answer is lost; one that does not is', async () => {
      const lose = ({ socket }: FalseCall) => socket.destroy();
      const { partner, methods } = await meet({ answer: lose });
      const user = { name: 'a', domain: { id: 'default' } };
      await rejection(authenticate(pool(), partner, { kind: 'password', user, password: 'x' }), 'connection_lost');
      expect(methods.filter((method) => method === 'authenticate')).to.have.length(1);
      await rejection(services(pool(), partner), 'connection_lost');
      expect(methods.filter((method) => method === 'getServices')).to.have.length(3);
    });

    it('an answer to another question ends the channel and settles the calls', async () => {
      const { partner } = await meet({ answer: ({ reply }) => reply('getServices', []) });
      await rejection(endpoints(pool(), partner), 'connection_lost');
      expect((await ping(pool(), 'west', partner)).cloudId).to.equal(partner.cloudId);
    });

    it('what is well said arrives, member by member', async () => {
      const { partner } = await meet({
        answer: ({ method, reply }) => {
          const face = {
            id: 'e',
            service_id: 's',
            service_type: 'image',
            service_name: 'glance',
            interface_name: 'public',
          };
          if (method === 'getServices') reply(method, [new ServiceInfo({ id: 's', type: 'image', name: 'glance' })]);
          if (method === 'getEndpoints') reply(method, [new EndpointInfo({ ...face, url: 'https://x' })]);
          if (method === 'authenticate')
            reply(method, new IssuedToken({ token: 't', expires_at: toInt64(5), body: '{}' }));
          if (method === 'getPairing')
            reply(method, new PairingStatus({ state: PairingState.ACTIVE, trust_since: now, trust_till: toInt64(7) }));
        },
      });
      expect(await services(pool(), partner)).to.deep.equal([
        { id: 's', type: 'image', name: 'glance', description: null },
      ]);
      expect(await endpoints(pool(), partner)).to.deep.equal([
        {
          id: 'e',
          serviceId: 's',
          serviceType: 'image',
          serviceName: 'glance',
          interface: 'public',
          region: null,
          url: 'https://x',
        },
      ]);
      const credentials = { kind: 'application_credential', id: 'a', secret: 'b' } as const;
      expect(await authenticate(pool(), partner, credentials)).to.deep.equal({ token: 't', expiresAt: 5, body: '{}' });
      expect(await askPairing(pool(), partner)).to.deep.equal({ active: true, trustTill: 7 });
    });
  });
});
