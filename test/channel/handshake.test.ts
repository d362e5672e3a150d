import { expect } from 'chai';
import {
  type AgreedSession,
  answerRequest,
  proofHolds,
  readRequest,
  startSession,
  verifyRequest,
} from '../../src/channel/handshake.ts';
import type { Attempt, Ticket } from '../../src/channel/tickets.ts';
import { toBase64url } from '../../src/crypto/bytes.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import { rejection } from '../support/errors.ts';
import { type KeyKind, makeIdentity } from '../support/identity.ts';
import { labelled } from '../support/randomness.ts';
import { east, north, payloadOf, pinOf, signedTicket, west } from '../support/ticketParty.ts';

const now = 1_900_000_000_000;
const minute = 60_000;
const hour = 3_600_000;

/** Points of low order on Curve25519, and what is congruent to them (RFC 7748, section 6.1; cr.yp.to/ecdh.html). */
const lowOrder = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => toBase64url(Buffer.from(hex, 'hex')));

const start = (attempt: Attempt = 'bootstrap', previous?: { sid: Buffer; continuity: Buffer }, initiator = east) =>
  startSession({
    identity: initiator,
    partner: { cloudId: west.cloudId, key: pinOf(west) },
    attempt,
    ...(previous && { previous }),
    now,
  });

const verify = (ticket: Ticket, at = now, pins = [pinOf(east)], own: readonly Identity[] = [west]): Promise<Identity> =>
  verifyRequest(readRequest(ticket), pins, own, at);

const answerTo = (ticket: Ticket, options: { at?: number; trustTill?: number; continuity?: Buffer } = {}) =>
  answerRequest(readRequest(ticket), {
    identity: west,
    now: options.at ?? now,
    ...(options.trustTill !== undefined && { trustTill: options.trustTill }),
    ...(options.continuity && { previousContinuity: options.continuity }),
  });

const sameKeys = (a: AgreedSession, b: AgreedSession): boolean =>
  a.sid.equals(b.sid) && a.secret.equals(b.secret) && a.continuity.equals(b.continuity);

async function agree(attempt: Attempt, previous?: AgreedSession): Promise<AgreedSession> {
  const request = await start(attempt, previous);
  const { ticket, session } = await answerTo(request.ticket, previous && { continuity: previous.continuity });
  const own = await request.finish(ticket, now + 5);
  expect(sameKeys(own, session)).to.equal(true);
  return own;
}

describe('handshake', () => {
  const kinds: KeyKind[] = ['RSA-3072', 'P-256', 'Ed25519'];
  for (const kind of kinds)
    it(`gives both sides the same keys, with ${kind}`, async () => {
      const initiator = makeIdentity('south', kind);
      const request = await start('bootstrap', undefined, initiator);
      expect(await verify(request.ticket, now, [pinOf(initiator)])).to.equal(west);
      const { ticket, session } = await answerTo(request.ticket);
      const own = await request.finish(ticket, now + 5);
      expect(sameKeys(own, session)).to.equal(true);
      expect(own.validTill)
        .to.equal(session.validTill)
        .and.to.equal(now + 10 * hour);
      expect(own.ownFingerprint.equals(session.partnerFingerprint)).to.equal(true);
      expect(own.partnerFingerprint.equals(session.ownFingerprint)).to.equal(true);
      expect(own.attempt).to.equal('bootstrap');
    });

  it('never gives the same keys, sid or tickets twice', async () => {
    const [one, two] = [await agree('bootstrap'), await agree('bootstrap')];
    for (const name of ['sid', 'secret', 'continuity'] as const) expect(one[name].equals(two[name])).to.equal(false);
    const [a, b] = [payloadOf((await start()).ticket), payloadOf((await start()).ticket)];
    for (const name of ['jti', 'epk']) expect(a[name]).not.to.equal(b[name]);
  });

  it('carries continuity on: without the last key, the next secret cannot be derived', async () => {
    const first = await agree('bootstrap');
    const request = await start('optimistic', first);
    const payload = readRequest(request.ticket).payload;
    if (payload.attempt !== 'optimistic') throw new Error('no optimistic attempt');
    expect(payload.prev.sid.equals(first.sid)).to.equal(true);
    expect(proofHolds(payload, first.continuity)).to.equal(true);
    expect(proofHolds(payload, first.secret)).to.equal(false);
    const { ticket, session } = await answerTo(request.ticket);
    const own = await request.finish(ticket, now);
    expect(own.secret.equals(session.secret)).to.equal(false);
    expect(own.continuity.equals(session.continuity)).to.equal(false);
    await agree('optimistic', first);
  });

  it('a proof is for one request only', async () => {
    const first = await agree('bootstrap');
    const payload = readRequest((await start('optimistic', first)).ticket).payload;
    if (payload.attempt !== 'optimistic') throw new Error('no optimistic attempt');
    const changes = {
      iss: 'north',
      aud: 'north',
      iss_key: north.fingerprint,
      aud_key: north.fingerprint,
      iat: now + 1,
      jti: labelled('jti', 16),
      epk: labelled('epk', 32),
    };
    for (const [name, value] of Object.entries(changes))
      expect(proofHolds({ ...payload, [name]: value }, first.continuity), name).to.equal(false);
    const prev = { ...payload.prev, proof: labelled('proof', 32) };
    expect(proofHolds({ ...payload, prev }, first.continuity)).to.equal(false);
  });

  it('a fallback has no trace of continuity', async () => {
    const request = await start('fallback');
    expect(payloadOf(request.ticket)).not.to.have.property('prev');
    await agree('fallback');
  });
});

describe('request, as the responder verifies it', () => {
  let ticket: Ticket;
  let payload: Record<string, unknown>;
  before(async () => {
    ({ ticket } = await start());
    payload = payloadOf(ticket);
  });

  it('is accepted as signed by the pinned key, and with the members in another order', async () => {
    await verify(ticket);
    await verify(await signedTicket(east, Object.fromEntries(Object.entries(payload).reverse())));
  });

  it('is for one of our identities, during a rotation too', async () => {
    const renewed = makeIdentity('west');
    expect(await verify(ticket, now, [pinOf(east)], [renewed, west])).to.equal(west);
    await rejection(verify(ticket, now, [pinOf(east)], [renewed]), 'ticket_refused');
    await rejection(verify(ticket, now, [pinOf(east)], []), 'ticket_refused');
  });

  it('is verified with the key that it names, of two that are pinned', async () => {
    const renewed = makeIdentity('east', 'Ed25519');
    const pins = [pinOf(renewed), pinOf(east)];
    await verify(ticket, now, pins);
    await verify((await start('bootstrap', undefined, renewed)).ticket, now, pins);
    const crossed = await signedTicket(renewed, { ...payload, iss_key: toBase64url(east.fingerprint) });
    await rejection(verify(crossed, now, pins), 'ticket_refused');
  });

  const wrongValues: [string, Record<string, unknown>][] = [
    ['another issuer', { iss: 'north' }],
    ['another audience', { aud: 'north' }],
    ['itself as audience', { aud: 'east' }],
    ['another key of the issuer', { iss_key: toBase64url(north.fingerprint) }],
    ['another key of the audience', { aud_key: toBase64url(north.fingerprint) }],
    ["the issuer's key as the audience's", { aud_key: toBase64url(east.fingerprint) }],
  ];
  for (const [what, change] of wrongValues)
    it(`is refused with ${what}, well signed as it is`, async () => {
      await rejection(verify(await signedTicket(east, { ...payload, ...change })), 'ticket_refused');
    });

  it('is refused with another cloud_id outside than inside', async () => {
    await rejection(verify({ ...ticket, cloudId: 'north' }), 'ticket_refused');
  });

  it('is refused when another key signed it', async () => {
    await rejection(verify(await signedTicket(north, payload, 'alliance-request', 'east')), 'ticket_refused');
    await rejection(verify(ticket, now, [{ ...pinOf(north), fingerprint: east.fingerprint }]), 'ticket_refused');
    await rejection(verify(ticket, now, []), 'ticket_refused');
  });

  it('is refused with a signature for another use', async () => {
    for (const use of ['alliance-answer', 'alliance-pair', 'alliance-rotate', 'alliance-checkpoint'] as const)
      await rejection(verify(await signedTicket(east, payload, use)), 'ticket_refused');
  });

  it('is refused with the signature of another ticket, or an altered one', async () => {
    const other = (await start()).ticket;
    await rejection(verify({ ...ticket, signature: other.signature }), 'ticket_refused');
    await rejection(verify({ ...ticket, pkiData: other.pkiData }), 'ticket_refused');
    const [head, tail] = ticket.signature.split('..') as [string, string];
    const swapped = (tail[10] === 'A' ? 'B' : 'A') + tail.slice(11);
    await rejection(verify({ ...ticket, signature: `${head}..${tail.slice(0, 10)}${swapped}` }), 'ticket_refused');
    await rejection(verify({ ...ticket, signature: `${head}..${tail.slice(0, -4)}` }), 'ticket_refused');
  });

  it('is refused when the clocks differ by more than 60 s, which only who signed is told', async () => {
    await verify(ticket, now + minute);
    await verify(ticket, now - minute);
    await rejection(verify(ticket, now + minute + 1), 'clock_skew');
    await rejection(verify(ticket, now - minute - 1), 'clock_skew');
    const forged = await signedTicket(north, payload, 'alliance-request', 'east');
    await rejection(verify(forged, now + hour), 'ticket_refused');
    const misdirected = await signedTicket(east, { ...payload, aud: 'north' });
    await rejection(verify(misdirected, now + hour), 'ticket_refused');
  });

  it('gets no answer with a key of low order', async () => {
    for (const epk of lowOrder)
      await rejection(answerTo(await signedTicket(east, { ...payload, epk })), 'ticket_refused');
  });
});

describe('answer, as the initiator verifies it', () => {
  let request: Awaited<ReturnType<typeof start>>;
  let answer: Ticket;
  let payload: Record<string, unknown>;
  beforeEach(async () => {
    request = await start();
    ({ ticket: answer } = await answerTo(request.ticket));
    payload = payloadOf(answer);
  });

  const finish = (changed: Ticket, at = now) => request.finish(changed, at);
  const altered = (change: Record<string, unknown>) => signedTicket(west, { ...payload, ...change }, 'alliance-answer');

  it('is accepted as it is, and signed anew with nothing changed', async () => {
    await finish(await altered({}));
  });

  const wrongValues: [string, Record<string, unknown>][] = [
    ['another issuer', { iss: 'north' }],
    ['another audience', { aud: 'north' }],
    ['another key of the issuer', { iss_key: toBase64url(north.fingerprint) }],
    ['another key of the audience', { aud_key: toBase64url(north.fingerprint) }],
    ['the keys exchanged', { iss_key: toBase64url(east.fingerprint), aud_key: toBase64url(west.fingerprint) }],
    ['another attempt', { attempt: 'fallback' }],
    ['an attempt that was not made', { attempt: 'optimistic' }],
    ['another request', { req: toBase64url(labelled('req', 32)) }],
  ];
  for (const [what, change] of wrongValues)
    it(`is refused with ${what}`, async () => {
      await rejection(finish(await altered(change)), 'ticket_refused');
    });

  it('is refused with another cloud_id outside', async () => {
    await rejection(finish({ ...answer, cloudId: 'north' }), 'ticket_refused');
  });

  it('is refused when it answers another request of ours', async () => {
    const other = await start();
    const { ticket } = await answerTo(other.ticket);
    await rejection(finish(ticket), 'ticket_refused');
  });

  it('is refused when it is our own request, reflected', async () => {
    await rejection(finish(request.ticket), 'ticket_refused');
    const reflected = await signedTicket(west, payloadOf(request.ticket), 'alliance-answer');
    await rejection(finish(reflected), 'ticket_unreadable');
  });

  it('is refused when another key signed it, or for another use', async () => {
    await rejection(finish(await signedTicket(north, payload, 'alliance-answer', 'west')), 'ticket_refused');
    await rejection(finish(await signedTicket(east, payload, 'alliance-answer', 'west')), 'ticket_refused');
    await rejection(finish(await signedTicket(west, payload, 'alliance-request')), 'ticket_refused');
    const other = payloadOf((await answerTo((await start()).ticket)).ticket);
    const { pkiData } = await signedTicket(west, other, 'alliance-answer');
    await rejection(finish({ ...answer, pkiData }), 'ticket_refused');
  });

  it('is refused when the clocks differ by more than 60 s', async () => {
    await rejection(finish(answer, now + minute + 1), 'clock_skew');
    await rejection(finish(answer, now - minute - 1), 'clock_skew');
    await finish(answer, now + minute);
  });

  it('ends in the future, at most 24 hours ahead', async () => {
    for (const valid_till of [now, now - 1, 0, now + 24 * hour + 1])
      await rejection(finish(await altered({ valid_till })), 'ticket_refused');
    expect((await finish(await altered({ valid_till: now + 24 * hour }))).validTill).to.equal(now + 24 * hour);
  });

  it('is refused with a key of low order', async () => {
    for (const epk of lowOrder) {
      request = await start();
      payload = payloadOf((await answerTo(request.ticket)).ticket);
      await rejection(finish(await altered({ epk })), 'ticket_refused');
    }
  });

  it('leaves no trace when it is refused: the right one still counts', async () => {
    await rejection(finish(await altered({ attempt: 'fallback' })), 'ticket_refused');
    expect((await finish(answer)).sid.toString('base64url')).to.equal(payload.sid);
  });

  it('counts once', async () => {
    await finish(answer);
    await rejection(finish(answer), 'internal');
  });
});

describe('end of a session', () => {
  it('comes after 10 hours, or with the trust', async () => {
    const { ticket } = await start();
    const validTill = async (trustTill: number) => (await answerTo(ticket, { trustTill })).session.validTill;
    expect(await validTill(now + hour)).to.equal(now + hour);
    expect(await validTill(now + 100 * hour)).to.equal(now + 10 * hour);
  });

  it('counts from the clock of the responder', async () => {
    const { ticket } = await start();
    const { session, ticket: answer } = await answerTo(ticket, { at: now + 30_000 });
    expect(session.validTill).to.equal(now + 30_000 + 10 * hour);
    expect(payloadOf(answer).iat).to.equal(now + 30_000);
  });
});
