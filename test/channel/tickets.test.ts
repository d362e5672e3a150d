import { expect } from 'chai';
import fc from 'fast-check';
import { startSession } from '../../src/channel/handshake.ts';
import {
  parseAnswerPayload,
  parseRequestPayload,
  readTicket,
  type Ticket,
  writeTicket,
} from '../../src/channel/tickets.ts';
import { AllianceError } from '../../src/core/errors.ts';
import { sessionLimits } from '../../src/core/limits.ts';
import { refusal } from '../support/errors.ts';
import { labelled } from '../support/randomness.ts';
import { defectsOf, east, payloadOf, pinOf, west } from '../support/ticketParty.ts';

const b64 = (label: string, size: number): string => labelled(label, size).toString('base64url');

const common = {
  v: 1,
  iss: 'east',
  aud: 'west',
  iss_key: b64('iss_key', 32),
  aud_key: b64('aud_key', 32),
  iat: 1_900_000_000_000,
  jti: b64('jti', 16),
  epk: b64('epk', 32),
};
const bootstrap = { ...common, attempt: 'bootstrap' };
const optimistic = { ...common, attempt: 'optimistic', prev: { sid: b64('sid', 16), proof: b64('proof', 32) } };
const answer = {
  ...common,
  attempt: 'bootstrap',
  req: b64('req', 32),
  sid: b64('sid', 16),
  valid_till: 1_900_000_000_001,
};

const bytes = (payload: unknown): Buffer => Buffer.from(JSON.stringify(payload));
const asRequest = (payload: unknown) => () => parseRequestPayload(bytes(payload));
const asAnswer = (payload: unknown) => () => parseAnswerPayload(bytes(payload));

describe('payload of a request', () => {
  it('is read, with its bytes as bytes', () => {
    const read = parseRequestPayload(bytes(optimistic));
    expect(read.iss_key.equals(labelled('iss_key', 32))).to.equal(true);
    expect(read.attempt === 'optimistic' && read.prev.sid.equals(labelled('sid', 16))).to.equal(true);
    expect(parseRequestPayload(bytes(bootstrap)).attempt).to.equal('bootstrap');
    expect(parseRequestPayload(bytes({ ...bootstrap, attempt: 'fallback' })).attempt).to.equal('fallback');
  });

  it('may have its members in any order, and white space', () => {
    const reversed = Object.fromEntries(Object.entries(bootstrap).reverse());
    expect(parseRequestPayload(Buffer.from(JSON.stringify(reversed, null, 2))).iat).to.equal(common.iat);
  });

  for (const name of Object.keys(bootstrap))
    for (const [what, payload] of defectsOf(bootstrap, name))
      it(`is refused with ${name} ${what}`, () => {
        const expected = name === 'attempt' && what === 'empty' ? 'attempt_unknown' : 'ticket_unreadable';
        refusal(asRequest(payload), expected);
      });

  for (const name of ['sid', 'proof'])
    for (const [what, prev] of defectsOf(optimistic.prev, name))
      it(`is refused with prev.${name} ${what}`, () => {
        refusal(asRequest({ ...optimistic, prev }), 'ticket_unreadable');
      });

  const sizes = { iss_key: 32, aud_key: 32, jti: 16, epk: 32 };
  for (const [name, size] of Object.entries(sizes))
    it(`is refused with a ${name} of another length or spelling`, () => {
      for (const other of [size - 1, size + 1, 0])
        refusal(asRequest({ ...bootstrap, [name]: b64(name, other) }), 'ticket_unreadable');
      const good = b64(name, size);
      const otherTail = good.slice(0, -1) + String.fromCharCode(good.charCodeAt(good.length - 1) + 1);
      for (const text of [`${good}=`, ` ${good}`, `${good}\n`, `+${good.slice(1)}`, otherTail])
        refusal(asRequest({ ...bootstrap, [name]: text }), 'ticket_unreadable');
    });

  it('is refused with members that are too many, also inside prev', () => {
    for (const extra of ['kid', 'req', '__proto__', 'constructor', '']) {
      const text = JSON.stringify(bootstrap).replace('{', `{${JSON.stringify(extra)}:"x",`);
      refusal(() => parseRequestPayload(Buffer.from(text)), 'ticket_unreadable');
    }
    refusal(asRequest({ ...optimistic, prev: { ...optimistic.prev, more: 1 } }), 'ticket_unreadable');
  });

  it('has prev with optimistic, and only then', () => {
    refusal(asRequest({ ...bootstrap, prev: optimistic.prev }), 'ticket_unreadable');
    refusal(asRequest({ ...optimistic, attempt: 'fallback' }), 'ticket_unreadable');
    refusal(asRequest({ ...bootstrap, attempt: 'optimistic' }), 'ticket_unreadable');
    for (const prev of [null, [], 'x', {}]) refusal(asRequest({ ...optimistic, prev }), 'ticket_unreadable');
  });

  it('of another version is refused', () => {
    for (const v of [0, 2, '1', 1.5]) refusal(asRequest({ ...bootstrap, v }), 'ticket_unreadable');
  });

  it('with an attempt of a later version says so', () => {
    for (const attempt of ['resume', 'Bootstrap', '']) refusal(asRequest({ ...bootstrap, attempt }), 'attempt_unknown');
  });

  it('has cloud_ids of 1 to 63 characters', () => {
    for (const name of ['iss', 'aud']) {
      expect(parseRequestPayload(bytes({ ...bootstrap, [name]: 'a'.repeat(63) }))).to.have.property(name);
      refusal(asRequest({ ...bootstrap, [name]: 'a'.repeat(64) }), 'ticket_unreadable');
    }
  });

  it('names members in its refusal, never their values', () => {
    const error = refusal(asRequest({ ...bootstrap, jti: 'SECRET', epk: 'SECRET' }), 'ticket_unreadable');
    expect(error.details).to.contain('jti').and.to.contain('epk');
    expect(error.message).not.to.contain('SECRET');
  });

  it('that is no JSON object is refused', () => {
    const texts = ['', '{', 'null', '[]', '7', '"x"', '{}x', '\u{feff}{}'];
    for (const text of texts) refusal(() => parseRequestPayload(Buffer.from(text)), 'ticket_unreadable');
  });

  it('of arbitrary bytes or JSON fails with one of two errors', () => {
    const check = (payload: Buffer) => {
      for (const parse of [parseRequestPayload, parseAnswerPayload])
        try {
          parse(payload);
        } catch (thrown) {
          expect(thrown).to.be.instanceOf(AllianceError);
          expect((thrown as AllianceError).errorName).to.match(/^(ticket_unreadable|attempt_unknown)$/);
        }
    };
    fc.assert(fc.property(fc.uint8Array(), (raw) => check(Buffer.from(raw))));
    fc.assert(fc.property(fc.json(), (text) => check(Buffer.from(text))));
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(optimistic)), fc.jsonValue(), (name, value) =>
        check(bytes({ ...optimistic, [name]: value })),
      ),
    );
  });
});

describe('payload of an answer', () => {
  it('is read', () => {
    const read = parseAnswerPayload(bytes(answer));
    expect(read.sid.equals(labelled('sid', 16))).to.equal(true);
    expect(read.valid_till).to.equal(answer.valid_till);
  });

  for (const name of Object.keys(answer))
    for (const [what, payload] of defectsOf(answer, name))
      it(`is refused with ${name} ${what}`, () => {
        refusal(asAnswer(payload), 'ticket_unreadable');
      });

  it('is refused with members that are too many, or of a request', () => {
    refusal(asAnswer({ ...answer, prev: optimistic.prev }), 'ticket_unreadable');
    refusal(asAnswer({ ...answer, nbf: 1 }), 'ticket_unreadable');
    refusal(asAnswer({ ...answer, attempt: 'resume' }), 'ticket_unreadable');
    refusal(asRequest(answer), 'ticket_unreadable');
    refusal(asAnswer(bootstrap), 'ticket_unreadable');
  });
});

describe('ticket', () => {
  let ticket: Ticket;
  before(async () => {
    const partner = { cloudId: 'west', key: pinOf(west) };
    ({ ticket } = await startSession({ identity: east, partner, attempt: 'bootstrap', now: 1_900_000_000_000 }));
  });

  it('is a detached JWS that comes back whole', () => {
    const { jws, payload } = readTicket(ticket);
    expect(ticket.signature).to.match(/^[\w-]+\.\.[\w-]+$/);
    expect(jws.split('.')).to.have.length(3);
    expect(JSON.parse(payload.toString())).to.deep.equal(payloadOf(ticket));
    expect(writeTicket('east', jws)).to.deep.equal(ticket);
  });

  it('is refused above 4 KiB, before anything is decoded', () => {
    const room = sessionLimits.ticketBytes - ticket.cloudId.length - ticket.signature.length;
    const exact = { ...ticket, pkiData: 'A'.repeat(room - (room % 4)) };
    expect(readTicket(exact).payload.length).to.be.greaterThan(2000);
    const error = refusal(() => readTicket({ ...ticket, pkiData: '!'.repeat(room + 1) }), 'ticket_unreadable');
    expect(error.details).to.contain('4 KiB');
    refusal(() => readTicket({ ...ticket, cloudId: 'c'.repeat(5000) }), 'ticket_unreadable');
  });

  it('is refused with a signature or payload of another form', () => {
    const [head, tail] = ticket.signature.split('..') as [string, string];
    const { jws } = readTicket(ticket);
    for (const signature of [
      '',
      '..',
      `${head}..`,
      `..${tail}`,
      `${head}.${tail}`,
      `${head}.x.${tail}`,
      jws,
      `${head}..${tail}.`,
    ])
      refusal(() => readTicket({ ...ticket, signature }), 'ticket_unreadable');
    const { pkiData } = ticket;
    for (const other of ['', `${pkiData}=`, `${pkiData}.`, ` ${pkiData}`, `${pkiData}+`, `${pkiData}\n`])
      refusal(() => readTicket({ ...ticket, pkiData: other }), 'ticket_unreadable');
  });
});
