/** How records become bytes and how hashes bind them (docs/audit.md). */
import type { Transaction } from 'kysely';
import { AllianceError } from '../core/errors.ts';
import { auditLimits } from '../core/limits.ts';
import { withoutSecrets } from '../core/log.ts';
import { sha256 } from '../crypto/bytes.ts';
import type { AuditEntry, AuditHead, AuditRecord } from './audit.ts';
import type { AuditRow, Tables } from './tables.ts';

/** What the first record follows. */
export const beforeFirst: AuditHead = { seq: 0, hash: Buffer.alloc(32) };

/** An entry whose record can be made: its texts are checked, its details are text. */
export type CheckedEntry = Omit<AuditRow, 'seq' | 'previous' | 'hash'>;

const unfit = (field: string, details: string): AllianceError => new AllianceError('bad_request', { field, details });

/** JSON with the members of objects by name, no spaces, and whole numbers only, so that every language writes the same bytes. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(Buffer.from(value).toString());
  if (value === null || typeof value === 'boolean' || Number.isSafeInteger(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw unfit('details', 'Only JSON with whole numbers can be recorded.');
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}

/** Throws bad_request for what cannot be recorded. */
export function checkEntry(entry: AuditEntry, at: number): CheckedEntry {
  const { requestId: request_id, details, ...words } = entry;
  for (const [field, word] of Object.entries({ ...words, request_id }))
    if (word !== null && Buffer.byteLength(word) > auditLimits.wordBytes) throw unfit(field, `${field} is too long.`);
  const text = canonicalJson(withoutSecrets(details));
  if (Buffer.byteLength(text) > auditLimits.detailsBytes) throw unfit('details', 'The details are too long.');
  const { kind, actor, partner, subject, outcome, rule } = words;
  const clean = (word: string): string => Buffer.from(word).toString();
  return {
    at,
    kind,
    actor: clean(actor),
    partner,
    subject: subject && clean(subject),
    outcome: clean(outcome),
    rule: rule && clean(rule),
    request_id: request_id && clean(request_id),
    details: text,
  };
}

/** SHA-256 of the former hash and the record as canonical JSON. */
export function hashRow(row: Omit<AuditRow, 'hash'>): Buffer {
  const { previous, details, ...rest } = row;
  const { seq, at, kind, actor, partner, subject, outcome, rule, request_id } = rest;
  const [before, after] = [
    { actor, at },
    { kind, outcome, partner, request_id, rule, seq, subject, v: 1 },
  ].map(canonicalJson) as [string, string];
  // The details are canonical already, and stand between members by name: actor, at, details, kind and so on.
  return sha256(previous, `${before.slice(0, -1)},"details":${details},${after.slice(1)}`);
}

/** One record in the transaction of the act that it tells of: neither is there without the other. */
export async function appendAudit(trx: Transaction<Tables>, entry: AuditEntry, at: number): Promise<void> {
  await appendChecked(trx, [checkEntry(entry, at)]);
}

/** `leap` skips numbers before the first of these; only a restore does. */
export async function appendChecked(
  trx: Transaction<Tables>,
  entries: readonly CheckedEntry[],
  leap = 0,
): Promise<void> {
  const head = await trx.selectFrom('audit_head').select(['seq', 'hash']).where('id', '=', 1).executeTakeFirstOrThrow();
  let [seq, previous] = [head.seq + leap, head.hash];
  const rows = entries.map((entry): AuditRow => {
    seq++;
    const row = { ...entry, seq, previous };
    previous = hashRow(row);
    return { ...row, hash: previous };
  });
  await trx.insertInto('audit').values(rows).execute();
  // Where a database lets two transactions read the same head, only one of them can move it on.
  const { numUpdatedRows } = await trx
    .updateTable('audit_head')
    .set({ seq, hash: previous })
    .where('id', '=', 1)
    .where('seq', '=', head.seq)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new AllianceError('database_locked', { details: 'The audit went on meanwhile.' });
}

/** What the record of a restore looks like; it alone may skip numbers. */
export const restoredEntry = (after: number): AuditEntry => ({
  kind: 'configuration',
  actor: 'operator',
  partner: null,
  subject: null,
  outcome: 'restored',
  rule: null,
  requestId: null,
  details: { after },
});

export const toRecord = ({ request_id: requestId, details, ...row }: AuditRow): AuditRecord => ({
  ...row,
  requestId,
  details: parseDetails(details),
});

/** Somebody may have altered them; the others are still to be read. */
function parseDetails(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { unreadable: text };
  }
}
