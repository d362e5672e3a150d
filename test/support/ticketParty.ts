/** Two clouds that pin each other, and tickets of theirs with any member changed but a good signature. */

import { encodePayload } from '../../src/channel/fields.ts';
import type { PinnedKey } from '../../src/channel/handshake.ts';
import type { Ticket } from '../../src/channel/tickets.ts';
import type { Identity } from '../../src/crypto/identity.ts';
import { type SignatureUse, signCompact, splitDetached } from '../../src/crypto/jws.ts';
import { makeIdentity } from './identity.ts';

export const pinOf = (identity: Identity): PinnedKey => ({
  fingerprint: identity.fingerprint,
  algorithm: identity.algorithm,
  publicKey: identity.certificate.publicKey,
});

export const east = makeIdentity('east');
export const west = makeIdentity('west', 'Ed25519');
export const north = makeIdentity('north');

export const payloadOf = (ticket: Ticket): Record<string, unknown> =>
  JSON.parse(Buffer.from(ticket.pkiData, 'base64url').toString());

/** The payload as it is, signed; text and bytes go in verbatim. */
export async function signedTicket(
  identity: Identity,
  payload: Record<string, unknown> | string | Buffer,
  use: SignatureUse = 'alliance-request',
  cloudId: string = identity.cloudId,
): Promise<Ticket> {
  const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.from(payload) : encodePayload(payload);
  const { privateKey: key, algorithm } = identity;
  const { payload: pkiData, signature } = splitDetached(await signCompact({ key, algorithm, use, payload: bytes }));
  return { cloudId, signature, pkiData };
}

/** Ways to spoil one member of a payload that every reader refuses as a matter of form. */
export function defectsOf(
  payload: Record<string, unknown>,
  name: string,
): [what: string, changed: Record<string, unknown>][] {
  const without = Object.fromEntries(Object.entries(payload).filter(([key]) => key !== name));
  const value = payload[name];
  const otherTypes = [null, true, [], {}, typeof value === 'number' ? String(value) : 7];
  const defects: [string, Record<string, unknown>][] = [
    ['missing', without],
    ...otherTypes.map((other): [string, Record<string, unknown>] => [
      `as ${JSON.stringify(other)}`,
      { ...payload, [name]: other },
    ]),
  ];
  if (typeof value === 'number')
    for (const other of [-1, 1.5, 2 ** 53]) defects.push([`as ${other}`, { ...payload, [name]: other }]);
  if (typeof value === 'string') defects.push(['empty', { ...payload, [name]: '' }]);
  return defects;
}
