import { expect } from 'chai';
import { encodePayload } from '../../src/channel/fields.ts';
import { createRotation, type RotationStatementFields, verifyRotation } from '../../src/channel/rotation.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import { type SignatureUse, signCompact, splitDetached } from '../../src/crypto/jws.ts';
import { makeCertificate } from '../support/certificate.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { defectsOf, east, north, pinOf } from '../support/ticketParty.ts';

const day = 86_400_000;
const now = Date.now();
const renewed = makeIdentity('east', 'Ed25519');
const options = {
  oldIdentity: east,
  newIdentity: renewed,
  audience: 'west',
  sequence: 2,
  notBefore: now,
  overlapTill: now + 7 * day,
};

const verify = (
  statement: RotationStatementFields,
  changes: { cloudId?: string; own?: string; key?: Identity; at?: number } = {},
) =>
  verifyRotation(
    statement,
    { cloudId: changes.cloudId ?? 'east', channelKey: pinOf(changes.key ?? east) },
    changes.own ?? 'west',
    changes.at ?? now,
  );
const refuses = async (statement: RotationStatementFields, changes: Parameters<typeof verify>[1] = {}) =>
  rejection(verify(statement, changes), 'rotation_refused');

const payload = {
  v: 1,
  iss: 'east',
  aud: 'west',
  seq: 2,
  old_key: east.fingerprint.toString('base64url'),
  certificate: renewed.certificateDer.toString('base64url'),
  not_before: now,
  overlap_till: now + 7 * day,
};

async function signed(
  content: Record<string, unknown> | Buffer,
  { old = east, next = renewed, use = 'alliance-rotate' as SignatureUse } = {},
): Promise<RotationStatementFields> {
  const bytes = Buffer.isBuffer(content) ? content : encodePayload(content);
  const sign = async ({ privateKey: key, algorithm }: Identity) =>
    splitDetached(await signCompact({ key, algorithm, use, payload: bytes }));
  const [first, second] = [await sign(old), await sign(next)];
  return { payload: first.payload, oldSignature: first.signature, newSignature: second.signature };
}

describe('rotation', () => {
  for (const [from, to] of [
    ['RSA-3072', 'P-256'],
    ['P-256', 'Ed25519'],
    ['Ed25519', 'RSA-3072'],
  ] as const)
    it(`from ${from} to ${to} is accepted`, async () => {
      const [oldIdentity, newIdentity] = [makeIdentity('east', from), makeIdentity('east', to)];
      const statement = await createRotation({ ...options, oldIdentity, newIdentity });
      const accepted = await verify(statement, { key: oldIdentity });
      expect(accepted.facts.fingerprint.equals(newIdentity.fingerprint)).to.equal(true);
      expect(accepted.facts.algorithm).to.equal(newIdentity.algorithm);
      expect(accepted.oldFingerprint.equals(oldIdentity.fingerprint)).to.equal(true);
      const { sequence, overlapTill } = accepted;
      expect({ sequence, overlapTill }).to.deep.equal({ sequence: 2, overlapTill: now + 7 * day });
    });

  it('made by hand is the same', async () => {
    await verify(await signed(payload));
  });

  for (const name of Object.keys(payload))
    for (const [what, changed] of defectsOf(payload, name))
      it(`is refused with ${name} ${what}`, async () => {
        await refuses(await signed(changed));
      });

  const wrongValues: [string, Record<string, unknown>][] = [
    ['another version', { v: 2 }],
    ['another issuer', { iss: 'north' }],
    ['another audience', { aud: 'north' }],
    ['sequence 0', { seq: 0 }],
    ['another old key', { old_key: north.fingerprint.toString('base64url') }],
    ['the new key as the old one', { old_key: renewed.fingerprint.toString('base64url') }],
    ['a certificate of yet another key', { certificate: north.certificateDer.toString('base64url') }],
    ['a certificate that is none', { certificate: 'AAAA' }],
    ['an overlap that has ended', { overlap_till: now }],
    ['an overlap of more than 30 days', { overlap_till: now + 30 * day + 1 }],
    ['a member too many', { more: 1 }],
  ];
  for (const [what, change] of wrongValues)
    it(`is refused with ${what}`, async () => {
      await refuses(await signed({ ...payload, ...change }));
    });

  it('may overlap by 30 days', async () => {
    await verify(await signed({ ...payload, overlap_till: now + 30 * day }));
  });

  it('is refused with an expired certificate', async () => {
    const expired = makeCertificate({ privateKey: renewed.privateKey, notBefore: now - 2 * day, notAfter: now - day });
    const error = await refuses(await signed({ ...payload, certificate: expired.toString('base64url') }));
    expect(error.details).to.contain('expired');
  });

  it('is refused without both signatures', async () => {
    await refuses(await signed(payload, { old: north }));
    await refuses(await signed(payload, { next: north }));
    await refuses(await signed(payload, { old: renewed }));
    await refuses(await signed(payload, { next: east }));
    const good = await signed(payload);
    await refuses({ ...good, oldSignature: good.newSignature });
    await refuses({ ...good, newSignature: good.oldSignature });
    await refuses({ ...good, oldSignature: good.newSignature, newSignature: good.oldSignature });
    for (const bad of ['', '..', good.oldSignature.replace('..', '.'), good.oldSignature.slice(0, -8)]) {
      await refuses({ ...good, oldSignature: bad });
      await refuses({ ...good, newSignature: bad });
    }
  });

  it('is refused with signatures over something else', async () => {
    const [one, two] = [await signed(payload), await signed({ ...payload, seq: 3 })];
    await refuses({ ...one, payload: two.payload });
    await refuses({ ...one, newSignature: two.newSignature });
    await refuses({ ...one, oldSignature: two.oldSignature });
  });

  it('is refused with signatures for another use', async () => {
    for (const use of ['alliance-request', 'alliance-answer', 'alliance-pair', 'alliance-checkpoint'] as const)
      await refuses(await signed(payload, { use }));
  });

  it('counts over a channel of the old key only', async () => {
    const statement = await signed(payload);
    await refuses(statement, { key: renewed });
    await refuses(statement, { key: north });
  });

  it('counts between the two clouds only', async () => {
    const statement = await signed(payload);
    await refuses(statement, { cloudId: 'north' });
    await refuses(statement, { own: 'north' });
    await refuses(statement, { at: now + 7 * day });
  });

  it('that is no JSON, or too long, is refused', async () => {
    await refuses(await signed(Buffer.from('rotate')));
    await refuses(await signed(Buffer.concat([encodePayload(payload), Buffer.alloc(20_000, 0x20)])));
    await refuses({ payload: '', oldSignature: '', newSignature: '' });
  });
});
