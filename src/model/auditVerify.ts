/** The stored chain, page by page, held against itself, against what this cloud signed, and against what others vouch for. */
import { setImmediate } from 'node:timers/promises';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditHead, Seal, Verification, VerifyOptions } from './audit.ts';
import { beforeFirst } from './auditChain.ts';
import { asWitness, ChainCheck, changedAt, same } from './auditCheck.ts';
import { findSeal } from './auditSeals.ts';
import type { Database } from './database.ts';
import type { AuditRow } from './tables.ts';

type Reader = Database['reader'];

export async function verifyChain({ reader }: Database, options: VerifyOptions): Promise<Verification> {
  for (;;) {
    const cut = await findSeal(reader, 'cut');
    const found = await walk(reader, cut, options);
    // Retention may have removed records while they were read; then what is left is read from its new beginning.
    const later = await findSeal(reader, 'cut');
    if (!found.broken || later?.seq === cut?.seq) return found;
  }
}

async function walk(reader: Reader, cut: Seal | null, options: VerifyOptions): Promise<Verification> {
  const { isGenuine, witnesses = [], from, till, rows: wanted = Number.POSITIVE_INFINITY, passed } = options;
  // Whatever vouches is read before the records: what is appended meanwhile is then no contradiction.
  const stored = await readHead(reader);
  const newest = await findSeal(reader, 'checkpoint');
  const beginning = cut ? { seq: cut.seq, hash: cut.head } : beforeFirst;
  const start = from && from.seq > beginning.seq ? from : beginning;
  const known = [...(stored ? [{ ...stored, by: 'The stored head' }] : []), ...witnesses];
  const vouched = till ? [...known.filter(({ seq }) => seq < till.seq), till] : known;
  const check = new ChainCheck(start, { isGenuine, witnesses: vouched });
  const result = (broken: AuditBreak | null): Verification => {
    const { records, head, witnesses: compared, gaps } = check;
    return { broken, records, head, cut, witnesses: compared, gaps };
  };

  const odd =
    (await check.forged([cut, newest].filter((seal) => seal !== null))) ??
    (await beforeBeginning(reader, beginning)) ??
    (start === from && (await isMoved(reader, from)) ? changedAt(from) : undefined);
  if (odd) return result(odd);
  for (;;) {
    const before = check.head.seq;
    const rows = await readPage(reader, before, till?.seq);
    if (rows.length === 0) break;
    const broken = await check.take({ rows, seals: await readSeals(reader, before + 1, rows.at(-1)!.seq) });
    if (broken) return result(broken);
    passed?.(check.head);
    if (check.records >= wanted) return result(null);
    // Somebody may wait for an answer meanwhile.
    await setImmediate();
  }
  if (till) return result(check.ended() ?? null);
  return result(check.ended(newest ? [asWitness(newest)] : []) ?? (await misplacedHead(reader, check.head)));
}

/** Records with numbers of those that were removed. */
async function beforeBeginning(reader: Reader, { seq: last }: AuditHead): Promise<AuditBreak | undefined> {
  const row = await reader.selectFrom('audit').select('seq').orderBy('seq').limit(1).executeTakeFirst();
  if (!row || row.seq > last) return undefined;
  const details = `Record ${row.seq} is there, although the audit begins after record ${last}.`;
  return { seq: row.seq, reason: 'reordered', details };
}

/** Whether a record is gone or another one. */
async function isMoved(reader: Reader, { seq, hash }: AuditHead): Promise<boolean> {
  const row = await reader.selectFrom('audit').select('hash').where('seq', '=', seq).executeTakeFirst();
  return !same(row?.hash, hash);
}

const readHead = (reader: Reader): Promise<AuditHead | undefined> =>
  reader.selectFrom('audit_head').select(['seq', 'hash']).where('id', '=', 1).executeTakeFirst();

/** The next record would follow another one than the last. */
async function misplacedHead(reader: Reader, last: AuditHead): Promise<AuditBreak | null> {
  const head = await readHead(reader);
  // Records may have been appended meanwhile.
  if (head && (head.seq > last.seq || (head.seq === last.seq && same(head.hash, last.hash)))) return null;
  return { seq: (head?.seq ?? 0) + 1, reason: 'reordered', details: 'The stored head is not the last record.' };
}

function readPage(reader: Reader, after: number, till: number | undefined): Promise<AuditRow[]> {
  const rows = reader.selectFrom('audit').selectAll().where('seq', '>', after);
  // Without an end also what has no number at all: it is out of its place.
  const wanted = till === undefined ? rows : rows.where('seq', '<=', till);
  return wanted.orderBy('seq').limit(auditLimits.turnRows).execute();
}

function readSeals(reader: Reader, from: number, till: number): Promise<Seal[]> {
  return reader
    .selectFrom('audit_seals')
    .selectAll()
    .where('kind', '!=', 'cut')
    .where('seq', '>=', from)
    .where('seq', '<=', till)
    .orderBy('seq')
    .limit(auditLimits.pageRows)
    .execute();
}
