/** What a cloud signs about its audit: how far it has come, where retention cut it and where a restore left numbers out (docs/audit.md). */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';
import { sessionLimits, signatureLimits } from '../core/limits.ts';
import { equalBytes } from '../crypto/bytes.ts';
import type { Identity } from '../crypto/identity.ts';
import { joinDetached, signCompact, splitDetached, verifyCompact } from '../crypto/jws.ts';
import { bytesField, encodePayload, parsePayload, timeField } from './fields.ts';
import type { PinnedKey } from './handshake.ts';

const sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const place = { seq: sequence, head: bytesField(32) };
const own = { v: z.literal(1), iss: z.string(), ...place, at: timeField };

const schemas = {
  /** For this cloud's own log and table. */
  checkpoint: z.strictObject(own),
  /** For one partner. `seen` is what the sender holds of that partner's audit. */
  exchange: z.strictObject({ ...own, aud: z.string(), seen: z.strictObject(place).nullable() }),
  cut: z.strictObject({ ...own, cut: z.literal(true) }),
  restore: z.strictObject({ ...own, restore: z.literal(true) }),
};

type SealKind = Exclude<keyof typeof schemas, 'exchange'>;

export interface CheckpointFields {
  readonly payload: string;
  readonly signature: string;
}

/** Number and hash of a record. */
interface Place {
  readonly seq: number;
  readonly hash: Buffer;
}

export interface StatementFacts extends Place {
  /** When the audit stood there, UTC epoch ms. */
  readonly at: number;
}

export interface ExchangeFacts extends StatementFacts {
  readonly seen: Place | null;
}

async function sign(identity: Identity, members: Record<string, unknown>): Promise<CheckpointFields> {
  const { privateKey: key, algorithm } = identity;
  const payload = encodePayload({ v: 1, iss: identity.cloudId, ...members });
  return splitDetached(await signCompact({ key, algorithm, use: 'alliance-checkpoint', payload }));
}

const membersOf = ({ seq, hash, at }: StatementFacts) => ({ seq, head: hash, at });

/** For this cloud alone. */
export const signStatement = (kind: SealKind, identity: Identity, facts: StatementFacts): Promise<CheckpointFields> =>
  sign(identity, { ...membersOf(facts), ...(kind !== 'checkpoint' && { [kind]: true }) });

/** For a partner. */
export const signCheckpoint = (
  identity: Identity,
  audience: string,
  { seen, ...facts }: ExchangeFacts,
): Promise<CheckpointFields> =>
  sign(identity, { aud: audience, ...membersOf(facts), seen: seen && { seq: seen.seq, head: seen.hash } });

/** The payload if one of these keys signed it, else `ticket_refused`. */
async function open(statement: CheckpointFields, keys: readonly Omit<PinnedKey, 'fingerprint'>[]): Promise<Buffer> {
  if (statement.payload.length + statement.signature.length > signatureLimits.compactBytes) throw refused('too long');
  const jws = joinDetached(statement.payload, statement.signature);
  for (const { publicKey: key, algorithm } of keys) {
    const payload = await verifyCompact(jws, { key, algorithm, use: 'alliance-checkpoint' }).catch(() => undefined);
    if (payload) return payload;
  }
  throw refused('no pinned key signed it');
}

const refused = (details: string): AllianceError =>
  new AllianceError('ticket_refused', { details: `A checkpoint of an audit: ${details}.` });

/** Whether `issuer` signed exactly this about its chain. */
export async function isStatement(
  kind: SealKind,
  statement: CheckpointFields & StatementFacts,
  keys: readonly Omit<PinnedKey, 'fingerprint'>[],
  issuer: string,
): Promise<boolean> {
  try {
    const json = parsePayload(schemas[kind], await open(statement, keys));
    const { seq, hash, at } = statement;
    return json?.iss === issuer && json.seq === seq && json.at === at && equalBytes(json.head, hash);
  } catch {
    return false;
  }
}

/** A partner's checkpoint for us. Throws `ticket_refused`; whether it follows the one before is the caller's to compare. */
export async function readCheckpoint(
  statement: CheckpointFields,
  keys: readonly Omit<PinnedKey, 'fingerprint'>[],
  { issuer, audience, now }: { readonly issuer: string; readonly audience: string; readonly now: number },
): Promise<ExchangeFacts> {
  const json = parsePayload(schemas.exchange, await open(statement, keys));
  if (!json) throw refused('it cannot be read');
  if (json.iss !== issuer || json.aud !== audience) throw refused('it is from or for another cloud');
  if (json.at > now + sessionLimits.skewMs) throw refused('it is of the future');
  const { seq, head: hash, at, seen } = json;
  return { seq, hash, at, seen: seen && { seq: seen.seq, hash: seen.head } };
}
