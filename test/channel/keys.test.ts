/** Laws of the key schedule; its values are in vectors.test.ts. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type AttachContext,
  attachContext,
  attachMac,
  deriveChannelKeys,
  deriveSessionKeys,
  optimisticProof,
} from '../../src/channel/keys.ts';
import { labelled } from '../support/randomness.ts';

const bytes = (label: string, size = 32): Buffer => labelled(`keys ${label}`, size);
const flipped = (value: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(value);
  copy[(bit >> 3) % copy.length]! ^= 1 << (bit & 7);
  return copy;
};
const bit = fc.nat({ max: 0xffff });

describe('proof of continuity', () => {
  const fields = {
    iss: 'east',
    aud: 'west',
    issKey: bytes('iss'),
    audKey: bytes('aud'),
    iat: 1_900_000_000_000,
    jti: bytes('jti', 16),
    epk: bytes('epk'),
  };
  const continuity = bytes('continuity');
  const proof = optimisticProof(continuity, fields);

  it('depends on the key and on every field', () => {
    const proofs = [
      proof,
      optimisticProof(bytes('another'), fields),
      optimisticProof(continuity, { ...fields, iat: fields.iat + 1 }),
      // The cloud_ids as one text are the same; their lengths keep them apart.
      optimisticProof(continuity, { ...fields, iss: 'eastw', aud: 'est' }),
      ...(['issKey', 'audKey', 'jti', 'epk'] as const).map((name) =>
        optimisticProof(continuity, { ...fields, [name]: flipped(fields[name], 0) }),
      ),
    ].map((each) => each.toString('hex'));
    expect(new Set(proofs).size).to.equal(proofs.length);
    expect(proof).to.have.length(32);
  });
});

describe('keys of a session', () => {
  const keys = deriveSessionKeys(bytes('ss'), undefined, 'request', 'answer');

  it('are two, of 32 bytes, and differ', () => {
    expect(keys.secret).to.have.length(32);
    expect(keys.continuity).to.have.length(32);
    expect(keys.secret.equals(keys.continuity)).to.equal(false);
  });

  it('depend on the shared secret, on continuity and on both tickets', () => {
    const others = [
      deriveSessionKeys(flipped(bytes('ss'), 7), undefined, 'request', 'answer'),
      deriveSessionKeys(bytes('ss'), bytes('continuity'), 'request', 'answer'),
      deriveSessionKeys(bytes('ss'), undefined, 'requesta', 'nswer'),
      deriveSessionKeys(bytes('ss'), undefined, 'answer', 'request'),
    ];
    const all = [keys, ...others].flatMap(({ secret, continuity }) =>
      [secret, continuity].map((k) => k.toString('hex')),
    );
    expect(new Set(all).size).to.equal(all.length);
  });

  it('no continuity is 32 zero bytes', () => {
    const zero = deriveSessionKeys(bytes('ss'), Buffer.alloc(32), 'request', 'answer');
    expect(zero.secret.equals(keys.secret)).to.equal(true);
  });
});

describe('keys of a channel', () => {
  const context: AttachContext = {
    sid: bytes('sid', 16),
    initiator: { cloudId: 'east', fingerprint: bytes('east') },
    responder: { cloudId: 'west', fingerprint: bytes('west') },
    binding: Buffer.alloc(32),
  };
  const [epk, nonce, secret, ss] = [bytes('epk'), bytes('nonce'), bytes('secret'), bytes('ss')];
  const ctx = attachContext(context, epk, nonce);
  const mac = attachMac(secret, ctx);

  it('the context tells every part from every other', () => {
    const { initiator, responder } = context;
    const others = [
      { ...context, sid: flipped(context.sid, 1) },
      { ...context, binding: Buffer.alloc(32, 1) },
      { ...context, initiator: responder, responder: initiator },
      { ...context, initiator: { ...initiator, cloudId: 'eastw' }, responder: { ...responder, cloudId: 'est' } },
      { ...context, initiator: { ...initiator, fingerprint: flipped(initiator.fingerprint, 3) } },
      { ...context, responder: { ...responder, fingerprint: flipped(responder.fingerprint, 3) } },
    ].map((other) => attachContext(other, epk, nonce));
    others.push(attachContext(context, nonce, epk), ctx);
    expect(new Set(others.map((other) => other.toString('hex'))).size).to.equal(others.length);
  });

  it('five values of the right lengths, all different', () => {
    const { initiatorKey, initiatorIv, responderKey, responderIv, confirmation } = deriveChannelKeys(
      ss,
      secret,
      ctx,
      mac,
      epk,
      nonce,
    );
    const values = [initiatorKey, responderKey, confirmation, initiatorIv, responderIv];
    expect(values.map((value) => value.length)).to.deep.equal([32, 32, 32, 12, 12]);
    expect(new Set(values.map((value) => value.subarray(0, 12).toString('hex'))).size).to.equal(5);
  });

  it('change wholly with any bit of any input', () => {
    const inputs = [ss, secret, ctx, mac, bytes('epk R'), bytes('nonce R')] as const;
    type Inputs = [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
    const hexOf = (values: Inputs) =>
      Object.values(deriveChannelKeys(...values)).map((value: Buffer) => value.toString('hex'));
    const before = hexOf([...inputs]);
    fc.assert(
      fc.property(fc.nat({ max: 5 }), bit, (index, which) => {
        const changed = [...inputs] as Inputs;
        changed[index] = flipped(changed[index]!, which);
        for (const [i, value] of hexOf(changed).entries()) expect(value).not.to.equal(before[i]);
      }),
      { numRuns: 50 },
    );
  });
});
