import { expect } from 'chai';
import fc from 'fast-check';
import { decodeInvitation, encodeInvitation, type Invitation } from '../../src/channel/invitation.ts';
import type { CloudId } from '../../src/core/ids.ts';
import { sha256 } from '../../src/crypto/bytes.ts';
import { refusal } from '../support/errors.ts';
import { labelled } from '../support/randomness.ts';
import { defectsOf } from '../support/ticketParty.ts';

const invitation: Invitation = {
  id: labelled('invitation id', 16),
  secret: labelled('invitation secret', 32),
  cloudId: 'west' as CloudId,
  fingerprint: labelled('invitation fp', 32),
  endpoints: ['tls://west.example:9443', 'tcp://west.example:9441'],
  role: 'consumer',
  expiresAt: 1_900_000_000_000,
};
const token = encodeInvitation(invitation);
const payload = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;

/** A token of this content, with a good checksum. */
function tokenOf(content: unknown, head = 'alliance1'): string {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  const body = Buffer.from(text).toString('base64url');
  return `${head}.${body}.${sha256('alliance/1 invitation', body).subarray(0, 6).toString('base64url')}`;
}

const unreadable = (text: string) => refusal(() => decodeInvitation(text), 'invitation_unreadable');

describe('invitation token', () => {
  it('comes back as it was made', () => {
    const roles = fc.constantFrom('provider' as const, 'consumer' as const, 'both' as const);
    const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map((raw) => Buffer.from(raw));
    const endpoints = fc.array(
      fc
        .tuple(fc.constantFrom('tls', 'tcp'), fc.integer({ min: 1, max: 65_535 }))
        .map(([s, p]) => `${s}://h.example:${p}`),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(
        bytes(16),
        bytes(32),
        bytes(32),
        endpoints,
        roles,
        fc.maxSafeNat(),
        (id, secret, fp, ends, role, exp) => {
          const made = { ...invitation, id, secret, fingerprint: fp, endpoints: ends, role, expiresAt: exp };
          expect(decodeInvitation(encodeInvitation(made))).to.deep.equal(made);
        },
      ),
    );
  });

  it('is one word that can be pasted with white space around it', () => {
    expect(token).to.match(/^alliance1\.[\w-]+\.[\w-]{8}$/);
    expect(decodeInvitation(`\n  ${token}\r\n`)).to.deep.equal(invitation);
  });

  it('cut short anywhere is refused', () => {
    for (let length = 0; length < token.length; length++) unreadable(token.slice(0, length));
  });

  it('with any one character changed is refused, or not changed in what it says', () => {
    const characters = 'ABCxyz019-_.= ';
    fc.assert(
      fc.property(fc.nat({ max: token.length - 1 }), fc.constantFrom(...characters), (at, character) => {
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        if (changed.trim() !== token) unreadable(changed);
      }),
      { numRuns: 500 },
    );
  });

  it('of another version is refused', () => {
    for (const head of ['alliance2', 'alliance', 'Alliance1', '']) unreadable(tokenOf(payload, head));
    expect(unreadable(tokenOf({ ...payload, v: 2 })).details).to.contain('version');
    expect(decodeInvitation(tokenOf(payload))).to.deep.equal(invitation);
  });

  it('of more parts is refused', () => {
    for (const text of [`${token}.x`, `${token}.`, `.${token}`, `${token} ${token}`]) unreadable(text);
  });

  for (const name of Object.keys(payload))
    for (const [what, changed] of defectsOf(payload, name))
      it(`is refused with ${name} ${what}`, () => {
        unreadable(tokenOf(changed));
      });

  it('is refused with members of a wrong value', () => {
    const wrong = [
      { more: 1 },
      { cloud_id: 'West' },
      { cloud_id: 'none' },
      { role: 'friend' },
      { id: labelled('x', 15).toString('base64url') },
      { secret: labelled('x', 33).toString('base64url') },
      { fp: labelled('x', 31).toString('base64url') },
      { endpoints: Array.from({ length: 9 }, (_, i) => `tls://h${i}:1`) },
      { endpoints: ['http://west.example'] },
      { endpoints: ['tls://west.example'] },
      { endpoints: [7] },
    ];
    for (const change of wrong) unreadable(tokenOf({ ...payload, ...change }));
  });

  it('above 8 KiB is refused before it is hashed', () => {
    expect(unreadable(tokenOf({ ...payload, more: 'x'.repeat(8000) })).details).to.contain('long');
    unreadable(`${token}${' '.repeat(9000)}`);
  });

  it('is never part of the refusal', () => {
    const secret = invitation.secret.toString('base64url');
    for (const text of [token.slice(0, -1), tokenOf({ ...payload, v: 2 }), `${token}x`]) {
      const error = unreadable(text);
      expect(`${error.message} ${String(error.cause)}`).not.to.contain(secret.slice(0, 10));
      expect(error.message).not.to.contain(text.slice(20, 40));
    }
  });

  it('of any text fails with one error', () => {
    fc.assert(
      fc.property(fc.string(), fc.json(), (text, json) => {
        unreadable(text);
        unreadable(`alliance1.${text}`);
        unreadable(tokenOf(json));
      }),
    );
  });
});
