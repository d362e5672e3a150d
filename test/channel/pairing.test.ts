import { expect } from 'chai';
import { answerOpen, encodeCard, mirrorRole, startPairing } from '../../src/channel/pairing.ts';
import { hmacSha256, lengthPrefixed, sha256 } from '../../src/crypto/bytes.ts';
import { signCompact } from '../../src/crypto/jws.ts';
import { makeCertificate } from '../support/certificate.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { begin, cardBytes, cardOf, invitationOf, keyOf, pairUp } from '../support/pairingParty.ts';
import { labelled } from '../support/randomness.ts';
import { defectsOf, east, north, west } from '../support/ticketParty.ts';

const flip = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  copy[5]! ^= 1;
  return copy;
};

describe('pairing', () => {
  for (const kind of ['RSA-3072', 'P-256', 'Ed25519'] as const)
    it(`tells both sides of each other and the same code, with ${kind}`, async () => {
      const south = makeIdentity('south', kind);
      const { acceptor, inviter } = await pairUp({ acceptor: south });
      expect(acceptor.cloudId).to.equal('south');
      expect(inviter.cloudId).to.equal('west');
      expect(acceptor.fingerprint.equals(south.fingerprint)).to.equal(true);
      expect(inviter.certificate.equals(west.certificateDer)).to.equal(true);
      expect(acceptor.endpoints).to.deep.equal(['tls://south.example:9443']);
      expect(acceptor.code).to.match(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
      expect(inviter.code).to.equal(acceptor.code);
    });

  it('has another code every time', async () => {
    const codes = await Promise.all([1, 2, 3].map(async () => (await pairUp()).acceptor.code));
    expect(new Set(codes).size).to.equal(3);
  });

  it('binds channels to TLS only if both want it', async () => {
    const bindingOf = async (a: 'none' | 'exporter', b: 'none' | 'exporter') => {
      const { acceptor, inviter } = await pairUp({ acceptorCard: { binding: a }, inviterCard: { binding: b } });
      expect(acceptor.binding).to.equal(inviter.binding);
      return acceptor.binding;
    };
    expect(await bindingOf('exporter', 'exporter')).to.equal('exporter');
    expect(await bindingOf('exporter', 'none')).to.equal('none');
    expect(await bindingOf('none', 'exporter')).to.equal('none');
  });

  it('mirrors roles', async () => {
    expect(['provider', 'consumer', 'both'].map((role) => mirrorRole(role as 'both'))).to.deep.equal([
      'consumer',
      'provider',
      'both',
    ]);
    for (const role of ['provider', 'consumer'] as const) await pairUp({ invitation: invitationOf(west, role) });
  });

  it('someone in between with the token, and with a token of his own, gives two codes', async () => {
    const between = makeIdentity('west');
    const trueInvitation = invitationOf(west);
    // The worst case: same id, same secret, same name, only the key is his.
    const falseInvitation = { ...trueInvitation, fingerprint: between.fingerprint };
    const towardsEast = await pairUp({ inviter: between, invitation: falseInvitation });
    const towardsWest = await pairUp({ acceptor: makeIdentity('east'), invitation: trueInvitation });
    expect(towardsEast.inviter.code).not.to.equal(towardsWest.acceptor.code);
  });

  it('someone in between who passes on but changes a card is found out', async () => {
    const { accepting, kp, tlsFingerprint } = begin();
    const changed = cardBytes(cardOf(east, { endpoints: ['tls://evil.example:9443'] }));
    const commitment = sha256('alliance/1 commit', labelled('r', 32), lengthPrefixed(changed));
    const inviting = answerOpen(
      { identity: west, card: cardOf(west) },
      { ...accepting.open, card: changed, commitment },
    );
    const { proof } = await accepting.prove(inviting.offer, tlsFingerprint);
    await rejection(inviting.accept(proof, kp), 'invitation_refused');
  });
});

describe('inviter', () => {
  it('offers the same, but for its random value, to whoever opens', () => {
    const options = { identity: west, card: cardOf(west) };
    const open = { invitationId: labelled('unknown', 16), card: Buffer.from('{'), commitment: Buffer.alloc(32) };
    const [one, two] = [answerOpen(options, open).offer, begin().inviting.offer];
    expect(one.card.equals(two.card)).to.equal(true);
    expect(one.nonce).to.have.length(32);
    expect(one.nonce.equals(two.nonce)).to.equal(false);
  });

  it('refuses an unknown, used or expired invitation as it refuses a wrong proof', async () => {
    const { accepting, inviting, tlsFingerprint } = begin();
    const { proof } = await accepting.prove(inviting.offer, tlsFingerprint);
    const unknown = await rejection(inviting.accept(proof, undefined), 'invitation_refused');
    const wrong = await rejection(inviting.accept(proof, labelled('another kp', 32)), 'invitation_refused');
    expect(unknown.message).to.equal(wrong.message);
  });

  const spoilers: [string, (proof: { nonce: Buffer; signature: string; mac: Buffer }) => object][] = [
    ['the opened value', ({ nonce }) => ({ nonce: flip(nonce) })],
    ['a longer opened value', ({ nonce }) => ({ nonce: Buffer.concat([nonce, Buffer.alloc(1)]) })],
    ['no opened value', () => ({ nonce: Buffer.alloc(0) })],
    ['the mac', ({ mac }) => ({ mac: flip(mac) })],
    ['a shorter mac', ({ mac }) => ({ mac: mac.subarray(0, 31) })],
    ['the signature', ({ signature }) => ({ signature: `${signature.slice(0, -6)}AAAAAA` })],
    ['no signature', () => ({ signature: '' })],
    ['an endless signature', () => ({ signature: 'A'.repeat(5000) })],
  ];
  for (const [what, spoil] of spoilers)
    it(`refuses ${what} altered`, async () => {
      const { accepting, inviting, kp, tlsFingerprint } = begin();
      const { proof } = await accepting.prove(inviting.offer, tlsFingerprint);
      await rejection(inviting.accept({ ...proof, ...spoil(proof) }, kp), 'invitation_refused');
      await inviting.accept(proof, kp);
    });

  /** A proof of someone who holds the invitation, over any card, with any signature. */
  async function forge(
    card: Buffer,
    options: {
      nonce?: Buffer;
      commitment?: Buffer;
      statement?: object;
      signer?: typeof east;
      use?: 'alliance-pair' | 'alliance-request';
    } = {},
  ) {
    const invitation = invitationOf(west);
    const nonce = options.nonce ?? labelled('r_A', 32);
    const commitment = options.commitment ?? sha256('alliance/1 commit', nonce, lengthPrefixed(card));
    const inviting = answerOpen(
      { identity: west, card: cardOf(west) },
      { invitationId: invitation.id, card, commitment },
    );
    const { offer } = inviting;
    const tp = sha256(
      'alliance/1 pair',
      invitation.id,
      lengthPrefixed(card),
      commitment,
      lengthPrefixed(offer.card),
      offer.nonce,
      nonce,
    );
    const { signer = east, use = 'alliance-pair' } = options;
    const statement = { v: 1, side: 'acceptor', tp: tp.toString('base64url'), ...options.statement };
    const signature = await signCompact({
      key: signer.privateKey,
      algorithm: signer.algorithm,
      use,
      payload: Buffer.from(JSON.stringify(statement)),
    });
    const mac = hmacSha256(keyOf(invitation), 'acceptor', tp);
    return { answer: inviting.accept({ nonce, signature, mac }, keyOf(invitation)), tp };
  }
  const refuses = async (...args: Parameters<typeof forge>) =>
    rejection((await forge(...args)).answer, 'invitation_refused');

  it('accepts a good proof over a good card, made by hand', async () => {
    const { partner } = await (await forge(cardBytes(cardOf(east)))).answer;
    expect(partner.cloudId).to.equal('east');
    const { partner: later } = await (
      await forge(Buffer.from(JSON.stringify(JSON.parse(cardBytes(cardOf(east)).toString()), null, 1)))
    ).answer;
    expect(later.fingerprint.equals(east.fingerprint)).to.equal(true);
  });

  it('refuses another commitment, however good the rest', async () => {
    await refuses(cardBytes(cardOf(east)), { commitment: Buffer.alloc(32) });
    await refuses(cardBytes(cardOf(east)), { commitment: Buffer.alloc(0) });
  });

  it('refuses an opened value of another length, consistent as it is', async () => {
    for (const size of [0, 31, 33]) await refuses(cardBytes(cardOf(east)), { nonce: labelled('r_A', size) });
  });

  it('refuses a signature by another key, for another use, side, version or transcript', async () => {
    const card = cardBytes(cardOf(east));
    await refuses(card, { signer: north });
    await refuses(card, { use: 'alliance-request' });
    const tp = Buffer.alloc(32, 1).toString('base64url');
    for (const statement of [{ side: 'inviter' }, { v: 2 }, { tp }, { more: 1 }, { v: null }])
      await refuses(card, { statement });
  });

  const good = JSON.parse(cardBytes(cardOf(east)).toString()) as Record<string, unknown>;
  for (const name of Object.keys(good))
    for (const [what, changed] of defectsOf(good, name)) {
      if (name === 'endpoints' && what === 'as []') continue;
      it(`refuses a card with ${name} ${what}`, async () => {
        await refuses(Buffer.from(JSON.stringify(changed)));
      });
    }

  const badCards: [string, Record<string, unknown>][] = [
    ['a member too many', { more: 1 }],
    ['a cloud_id of another form', { cloud_id: 'East!' }],
    ['a reserved cloud_id', { cloud_id: 'all' }],
    ['a role that is no mirror of ours', { role: 'provider' }],
    ['an unknown role', { role: 'friend' }],
    ['an unknown binding', { binding: 'some' }],
    ['an endpoint that is none', { endpoints: ['http://east.example'] }],
    ['nine endpoints', { endpoints: Array.from({ length: 9 }, (_, i) => `tls://h${i}:1`) }],
    ['a certificate that is none', { certificate: 'AAAA' }],
    [
      'bytes after the certificate',
      { certificate: Buffer.concat([east.certificateDer, Buffer.alloc(1)]).toString('base64url') },
    ],
  ];
  for (const [what, changes] of badCards)
    it(`refuses a card with ${what}`, async () => {
      await refuses(cardBytes(cardOf(east), changes));
    });

  it('refuses a card above 8 KiB, and one that is no JSON', async () => {
    await refuses(Buffer.concat([cardBytes(cardOf(east)), Buffer.alloc(8192, 0x20)]));
    await refuses(Buffer.from('card'));
  });

  it('takes a card without endpoints: not everyone can be dialled', async () => {
    const { partner } = await (await forge(cardBytes(cardOf(east, { endpoints: [] })))).answer;
    expect(partner.endpoints).to.deep.equal([]);
  });

  it('reads no meaning from the names in a certificate', async () => {
    const certificate = makeCertificate({ privateKey: east.privateKey, commonNames: ['somebody else'] });
    const { partner } = await (await forge(cardBytes(cardOf(east, { certificate })))).answer;
    expect(partner.cloudId).to.equal('east');
  });

  it('refuses an acceptor whose own card does not mirror the role of the invitation', async () => {
    const invitation = invitationOf(west, 'consumer');
    for (const role of ['consumer', 'both'] as const) {
      const { accepting, inviting, kp, tlsFingerprint } = begin({ invitation, acceptorCard: { role } });
      const { proof } = await accepting.prove(inviting.offer, tlsFingerprint);
      await rejection(inviting.accept(proof, kp), 'invitation_refused');
    }
  });
});

describe('acceptor', () => {
  it('commits to its value and shows it only with the proof', async () => {
    const { accepting, inviting, tlsFingerprint } = begin();
    const { proof } = await accepting.prove(inviting.offer, tlsFingerprint);
    const commitment = sha256('alliance/1 commit', proof.nonce, lengthPrefixed(accepting.open.card));
    expect(accepting.open.commitment.equals(commitment)).to.equal(true);
    for (const shown of Object.values(accepting.open)) expect(shown.includes(proof.nonce)).to.equal(false);
  });

  it('says nothing to an inviter with another certificate than the invitation names', async () => {
    const { accepting } = begin();
    const other = answerOpen({ identity: north, card: cardOf(north, { cloudId: west.cloudId }) }, accepting.open);
    await rejection(accepting.prove(other.offer, north.fingerprint), 'pin_mismatch');
    await rejection(accepting.prove(other.offer, west.fingerprint), 'pin_mismatch');
  });

  it('says nothing where TLS showed another certificate than the card, or none', async () => {
    const { accepting, inviting } = begin();
    await rejection(accepting.prove(inviting.offer, north.fingerprint), 'pin_mismatch');
    await rejection(accepting.prove(inviting.offer, Buffer.alloc(0)), 'pin_mismatch');
  });

  it('says nothing to another cloud_id or role than the invitation names', async () => {
    const { accepting, tlsFingerprint } = begin();
    for (const [changes, name] of [
      [{ cloud_id: 'north' }, 'pin_mismatch'],
      [{ role: 'provider' }, 'invitation_refused'],
      [{ role: 'consumer' }, 'invitation_refused'],
    ] as const) {
      const offer = { card: cardBytes(cardOf(west), changes), nonce: labelled('r_B', 32) };
      await rejection(accepting.prove(offer, tlsFingerprint), name);
    }
  });

  it('says nothing after an offer that cannot be read', async () => {
    const { accepting, inviting, tlsFingerprint } = begin();
    const { card, nonce } = inviting.offer;
    for (const offer of [
      { card: Buffer.from('{}'), nonce },
      { card: Buffer.alloc(0), nonce },
      { card, nonce: nonce.subarray(1) },
      { card, nonce: Buffer.concat([nonce, nonce]) },
    ])
      await rejection(accepting.prove(offer, tlsFingerprint), 'pin_mismatch');
  });

  it('refuses its own card, reflected', async () => {
    const invitation = { ...invitationOf(west), fingerprint: east.fingerprint, cloudId: east.cloudId };
    const accepting = startPairing({ identity: east, card: cardOf(east), invitation });
    const { proof, finish } = await accepting.prove(
      { card: accepting.open.card, nonce: labelled('r_B', 32) },
      east.fingerprint,
    );
    await rejection(finish(proof), 'pin_mismatch');
  });

  it('stores nothing unless mac and signature of the inviter are right', async () => {
    const { accepting, inviting, kp, tlsFingerprint } = begin();
    const { proof, finish } = await accepting.prove(inviting.offer, tlsFingerprint);
    const { sign } = await inviting.accept(proof, kp);
    const result = await sign();
    await rejection(finish({ ...result, mac: flip(result.mac) }), 'pin_mismatch');
    await rejection(finish({ ...result, mac: proof.mac }), 'pin_mismatch');
    await rejection(finish({ ...result, signature: `${result.signature.slice(0, -6)}AAAAAA` }), 'pin_mismatch');
    await rejection(finish({ ...result, signature: proof.signature }), 'pin_mismatch');
    const other = await pairAgain();
    await rejection(finish(other), 'pin_mismatch');
    expect((await finish(result)).cloudId).to.equal('west');
  });

  /** The result of another pairing with the same invitation. */
  async function pairAgain() {
    const { accepting, inviting, kp, tlsFingerprint } = begin();
    const { proof } = await accepting.prove(inviting.offer, tlsFingerprint);
    return (await inviting.accept(proof, kp)).sign();
  }
});

describe('card', () => {
  it('is JSON with the certificate as base64url, in a fixed order', () => {
    expect(encodeCard(cardOf(east)).equals(cardBytes(cardOf(east)))).to.equal(true);
  });
});
