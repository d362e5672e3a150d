/** What the body of a foreign token says: read once for as long as the token is remembered, however often services ask about it. */
import type { CloudId } from '../core/ids.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
import { type ForeignIdentity, identityInBody, parseBodyJson } from './mapping/identity.ts';
import type { Omission } from './mapping/outcome.ts';
import { type Restrictions, readRestrictions } from './restrictions.ts';

export interface Reading {
  readonly identity: ForeignIdentity;
  readonly restrictions: Restrictions | Omission;
}

const readings = new WeakMap<KeystoneToken, Reading>();

/**
 * `facts` stand for the body where it is remembered.
 * @throws AllianceError wire_malformed for what is no token's body
 */
export function readBody(body: string, facts: KeystoneToken | undefined, cloudId: CloudId): Reading {
  const known = facts && readings.get(facts);
  if (known) return known;
  const json = parseBodyJson(body);
  const reading = { identity: identityInBody(json, cloudId), restrictions: readRestrictions(json) };
  if (facts) readings.set(facts, reading);
  return reading;
}
