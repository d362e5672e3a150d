/** getSession over real sockets: what is refused, how, and what it leaves behind. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { grantContinuity } from '../../src/broker/partners.ts';
import { fromTicket, toTicket } from '../../src/client/session.ts';
import type { AllianceError } from '../../src/core/errors.ts';
import type { ErrorName } from '../../src/core/errorTable.ts';
import { sessionLimits } from '../../src/core/limits.ts';
import { SessionTKT } from '../../src/wire/types.ts';
import { createShiftedClock } from '../support/clock.ts';
import { type Cloud, startCloud, stopClouds } from '../support/cloud.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { PartnerPeer } from '../support/partnerPeer.ts';
import { callBytes, RawPeer } from '../support/rawPeer.ts';
import { payloadOf, signedTicket } from '../support/ticketParty.ts';

const previousOf = ({ sid, continuity }: { sid: Buffer; continuity: Buffer }) => ({ sid, continuity });

describe('getSession', () => {
  let cloud: Cloud;
  let peer: PartnerPeer;
  const clock = createShiftedClock();

  const refused = async (ticket: SessionTKT, name: ErrorName, at: Cloud = cloud): Promise<AllianceError> => {
    const raw = await RawPeer.tcp(at.ports.tcp);
    const thrown = await rejection(raw.call('getSession', ticket), name);
    raw.close();
    return thrown;
  };
  const stored = async () => (await cloud.installation.store.sessions.list()).length;

  beforeEach(async () => {
    cloud = await startCloud({ cloudId: 'east', clock, env: { ALLIANCE_LIMITS__UNAUTHENTICATED_PER_S: '0' } });
    peer = await PartnerPeer.join(cloud);
  });
  afterEach(stopClouds);

  it('tells strangers apart by nothing: the same bytes, not before 50 ms', async () => {
    const { ticket } = await peer.request();
    const good = fromTicket(ticket);
    const other = makeIdentity('peer');
    const stranger = Object.assign(Object.create(peer), { identity: makeIdentity('nobody') }) as PartnerPeer;
    const swapped = Object.assign(Object.create(peer), { identity: other }) as PartnerPeer;
    const elsewhere = Object.assign(Object.create(peer), {
      cloud: { cloudId: 'north', installation: cloud.installation },
    }) as PartnerPeer;
    const [head, tail] = good.signature.split('..') as [string, string];
    const flipped = `${tail.slice(0, 10)}${tail[10] === 'A' ? 'B' : 'A'}${tail.slice(11)}`;
    const tickets: [string, SessionTKT][] = [
      ['unknown cloud', fromTicket((await stranger.request()).ticket)],
      ['another key', fromTicket((await swapped.request()).ticket)],
      ['wrong audience', fromTicket((await elsewhere.request()).ticket)],
      ['bad signature', new SessionTKT({ ...good, signature: `${head}..${flipped}` })],
      ['another outer cloud_id', new SessionTKT({ ...good, cloud_id: 'nobody' })],
      ['ourselves', new SessionTKT({ ...good, cloud_id: 'east' })],
    ];
    const answers = new Map<string, string[]>();
    for (const [what, wrong] of tickets) {
      const raw = await peer.connect();
      const startedAt = performance.now();
      raw.send(callBytes('getSession', wrong));
      const answer = (await raw.next())!.toString('hex');
      const tookMs = performance.now() - startedAt;
      expect(tookMs, what).to.be.within(sessionLimits.refusalDelayMs - 1.5, sessionLimits.refusalDelayMs + 250);
      answers.set(answer, [...(answers.get(answer) ?? []), what]);
      raw.close();
    }
    expect([...answers.values()]).to.deep.equal([tickets.map(([what]) => what)]);
    expect(await stored()).to.equal(0);
    expect(await cloud.metric('alliance_handshakes_total', { outcome: 'ticket_refused' })).to.equal(tickets.length);
  });

  it('a ticket counts once, also after a restart', async () => {
    const { ticket, finish } = await peer.request();
    const raw = await peer.connect();
    await finish(toTicket(await raw.call('getSession', fromTicket(ticket))), clock.now());
    await refused(fromTicket(ticket), 'ticket_refused');
    await cloud.stopBroker();
    await cloud.startBroker();
    await refused(fromTicket(ticket), 'ticket_refused');
    expect(await stored()).to.equal(1);
    expect(await cloud.metric('alliance_refusals_total', { reason: 'replay' })).to.equal(1);
  });

  it('two copies that come at once make one session', async () => {
    const { ticket } = await peer.request();
    const outcomes = await Promise.all(
      [1, 2, 3].map(async () => {
        const raw = await peer.connect();
        return raw.call('getSession', fromTicket(ticket)).then(
          () => 'agreed',
          (error: AllianceError) => error.errorName,
        );
      }),
    );
    expect(outcomes.sort()).to.deep.equal(['agreed', 'ticket_refused', 'ticket_refused']);
    expect(await stored()).to.equal(1);
  });

  it('tells of a wrong clock only who proved who he is', async () => {
    const now = clock.now();
    const late = await peer.request({ now: now - sessionLimits.skewMs - 5000 });
    await refused(fromTicket(late.ticket), 'clock_skew');
    const early = await peer.request({ now: now + sessionLimits.skewMs + 5000 });
    await refused(fromTicket(early.ticket), 'clock_skew');
    const stranger = Object.assign(Object.create(peer), { identity: makeIdentity('peer') }) as PartnerPeer;
    const strange = await stranger.request({ now: now - 3600_000 });
    await refused(fromTicket(strange.ticket), 'ticket_refused');
  });

  it('what is no ticket at all is unreadable', async () => {
    const { ticket } = await peer.request();
    const good = fromTicket(ticket);
    for (const wrong of [
      { pki_data: '' },
      { pki_data: '!!!' },
      { pki_data: `${good.pki_data}=` },
      { signature: '' },
      { signature: good.signature.replace('..', '.') },
      { signature: `${good.signature}${'A'.repeat(4096)}` },
      { pki_data: Buffer.from('{"v":1}').toString('base64url') },
    ])
      await refused(new SessionTKT({ ...good, ...wrong }), 'ticket_unreadable');
    const payload = JSON.parse(Buffer.from(good.pki_data, 'base64url').toString());
    const later = Buffer.from(JSON.stringify({ ...payload, attempt: 'quantum' })).toString('base64url');
    await refused(new SessionTKT({ ...good, pki_data: later }), 'attempt_unknown');
  });

  it('a partner that is suspended, revoked or expired gets no session', async () => {
    const { store, view } = cloud.installation;
    const ask = async () => fromTicket((await peer.request()).ticket);
    await store.partners.apply(peer.partner.uid, 'suspend');
    await view.refresh();
    await refused(await ask(), 'partner_not_active');
    await store.partners.apply(peer.partner.uid, 'resume');
    await store.partners.update(peer.partner.uid, { trustTill: clock.now() + 60_000 });
    await view.refresh();
    const raw = await peer.connect();
    const { validTill } = await peer.agree(raw);
    expect(validTill).to.equal((await cloud.partner('peer')).trustTill);
    clock.advance(61_000);
    await refused(await ask(), 'partner_not_active');
    await store.partners.apply(peer.partner.uid, 'revoke');
    await view.refresh();
    await refused(await ask(), 'partner_not_active');
    await store.partners.remove(peer.partner.uid, { notify: false });
    await view.refresh();
    await refused(await ask(), 'ticket_refused');
  });

  it('signs so many a second for a partner, and no more', async () => {
    const outcomes: string[] = [];
    for (let n = 0; n < 12; n++) {
      const raw = await peer.connect();
      outcomes.push(
        await peer.agree(raw).then(
          () => 'agreed',
          (error: AllianceError) => `${error.errorName} ${(error.retryAfterMs ?? 0) > 0}`,
        ),
      );
      raw.close();
    }
    expect(outcomes.filter((outcome) => outcome === 'agreed')).to.have.length(10);
    expect(outcomes.at(-1)).to.equal('rate_limited true');
    clock.advance(1000);
    await peer.agree(await peer.connect());
  });

  it('whoever captured a ticket cannot spend the rate of the partner with it', async () => {
    const { ticket } = await peer.request();
    await (await peer.connect()).call('getSession', fromTicket(ticket));
    for (let n = 0; n < 12; n++) await refused(fromTicket(ticket), 'ticket_refused');
    await peer.agree(await peer.connect());
  });

  describe('attempts', () => {
    it('optimistic carries continuity on; without the key it is 1102, and unproven', async () => {
      const first = await peer.agree(await peer.connect());
      const second = await peer.agree(await peer.connect(), { attempt: 'optimistic', previous: previousOf(first) });
      expect(second.continuity).not.to.deep.equal(first.continuity);
      const wrong = { sid: second.sid, continuity: Buffer.alloc(32, 1) };
      await rejection(
        peer.agree(await peer.connect(), { attempt: 'optimistic', previous: wrong }),
        'session_key_mismatch',
      );
      const unknown = { sid: Buffer.alloc(16), continuity: second.continuity };
      await rejection(
        peer.agree(await peer.connect(), { attempt: 'optimistic', previous: unknown }),
        'session_key_mismatch',
      );
    });

    it("no other partner's continuity key counts", async () => {
      const first = await peer.agree(await peer.connect());
      const north = await PartnerPeer.join(cloud, 'north');
      await rejection(
        north.agree(await north.connect(), { attempt: 'optimistic', previous: previousOf(first) }),
        'session_key_mismatch',
      );
    });

    it('fallback comes at most once a minute, also across a restart', async () => {
      await peer.agree(await peer.connect());
      await peer.agree(await peer.connect(), { attempt: 'fallback' });
      await rejection(peer.agree(await peer.connect(), { attempt: 'fallback' }), 'rate_limited');
      await cloud.stopBroker();
      await cloud.startBroker();
      await rejection(peer.agree(await peer.connect(), { attempt: 'fallback' }), 'rate_limited');
      clock.advance(sessionLimits.fallbackEveryMs + 1);
      await peer.agree(await peer.connect(), { attempt: 'fallback' });
    });

    it('a new start while a session lives is told to the operator', async () => {
      await peer.agree(await peer.connect());
      expect(await cloud.metric('alliance_refusals_total', { reason: 'new_start' })).to.equal(0);
      await peer.agree(await peer.connect());
      expect(await cloud.metric('alliance_refusals_total', { reason: 'new_start' })).to.equal(1);
    });

    it('where continuity is required a new start needs approval, once', async () => {
      const strict = await startCloud({
        cloudId: 'strict',
        clock,
        env: { ALLIANCE_PARTNERS__PEER__CONTINUITY: 'required' },
      });
      const known = await PartnerPeer.join(strict);
      const first = await known.agree(await known.connect());
      await rejection(known.agree(await known.connect()), 'continuity_required');
      await rejection(known.agree(await known.connect(), { attempt: 'fallback' }), 'continuity_required');
      await known.agree(await known.connect(), { attempt: 'optimistic', previous: previousOf(first) });
      await grantContinuity(strict.installation, known.partner, 60_000);
      // What comes to nothing costs no permission: here an ephemeral key of low order.
      const payload = { ...payloadOf((await known.request()).ticket), epk: Buffer.alloc(32).toString('base64url') };
      await refused(fromTicket(await signedTicket(known.identity, payload)), 'ticket_refused', strict);
      await known.agree(await known.connect());
      await rejection(known.agree(await known.connect()), 'continuity_required');
    });
  });

  it('a new session never ends an old one; of more than eight those never used go first', async () => {
    const first = await peer.agree(await peer.connect());
    const channel = await peer.channel(first);
    for (let n = 0; n < 9; n++) {
      await peer.agree(await peer.connect());
      clock.advance(sessionLimits.pendingMs);
    }
    await delay(600);
    expect((await channel.ping()).response_data).to.equal('pong');
    const live = (await cloud.installation.store.sessions.list(peer.partner.uid)).filter((one) => one.hasSecret);
    // The last one still waits for its first channel, and is counted apart.
    expect(live).to.have.length(sessionLimits.livePerPartner + 1);
    expect(live.map((one) => one.sid)).to.include(first.sid.toString('base64url'));
  });
});
