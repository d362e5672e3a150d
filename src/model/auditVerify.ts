/** The stored chain held against itself, against what this cloud signed, and against what others vouch for. */
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditGap, AuditHead, Seal, Verification, VerifyOptions, Witness } from './audit.ts';
import { beforeFirst } from './auditChain.ts';
import { ChainCheck } from './auditCheck.ts';
import { findSeal } from './auditSeals.ts';
import type { Database } from './database.ts';
import type { AuditRow } from './tables.ts';

export async function verifyChain({ reader }: Database, options: VerifyOptions): Promise<Verification> {
  for (;;) {
    const cut = await findSeal(reader, 'cut');
    const found = await walk(reader, cut, options);
    // Retention may have removed records while they were read; then what is left is read from its new beginning.
    const later = await findSeal(reader, 'cut');
    if (!found.broken || later?.seq === cut?.seq) return found;
  }
}

async function walk(reader: Database['reader'], cut: Seal | null, options: VerifyOptions): Promise<Verification> {
  // Whatever vouches is read before the records: what is appended meanwhile is then no contradiction.
  const head = await readHead(reader);
  const newest = await findSeal(reader, 'checkpoint');
  const from = options.recent && newest ? newest : cut;
  const start = from ? { seq: from.seq, hash: from.head } : beforeFirst;
  const known = [...(head ? [{ ...head, by: 'The stored head' }] : []), ...(options.witnesses ?? [])];
  const vouched = known.filter(({ seq }) => seq > start.seq);
  const check = new ChainCheck(start);
  const gaps: AuditGap[] = [];
  let witnesses = 0;
  const result = (broken: AuditBreak | null): Verification => {
    const { records } = check;
    return { broken, records, head: check.head, cut, witnesses, gaps };
  };
  const forged = async (seals: readonly Seal[]): Promise<AuditBreak | undefined> => {
    for (const seal of seals) if (!(await options.isGenuine(seal))) return unsigned(seal);
    return undefined;
  };

  const odd = await forged([cut, newest].filter((seal) => seal !== null));
  if (odd) return result(odd);
  const moved = from === newest && newest !== null && (await isMoved(reader, newest));
  if (moved) return result(changedAt(asWitness(newest)));
  for (let rows = await readPage(reader, start.seq); rows.length > 0; rows = await readPage(reader, check.head.seq)) {
    const before = check.head.seq;
    for (const row of rows) {
      const broken = check.take(row, rows);
      if (broken) return result(broken);
    }
    const last = check.head.seq;
    const seals = await readSeals(reader, before + 1, last);
    const checkpoints = seals.filter(({ kind }) => kind === 'checkpoint');
    const here = [...checkpoints.map(asWitness), ...vouched.filter(({ seq }) => seq > before && seq <= last)];
    witnesses += here.length;
    const contradicted = (await forged(seals)) ?? contradictionOf(here, rows);
    if (contradicted) return result(contradicted);
    for (const gap of check.gaps.slice(gaps.length)) {
      const explained = explainGap(gap, seals, { rows, vouched });
      if ('reason' in explained) return result(explained);
      gaps.push(explained);
    }
  }
  const beyond = [...(newest ? [asWitness(newest)] : []), ...vouched].find(({ seq }) => seq > check.head.seq);
  if (beyond) return result(truncated(check.head, beyond));
  return result(await misplacedHead(reader, check.head));
}

/** Only a restore that this cloud has signed leaves numbers out, and never one of a record that it had signed before. */
export function explainGap(
  gap: AuditGap,
  seals: readonly Seal[],
  {
    rows,
    vouched = [],
  }: { readonly rows: readonly Pick<AuditRow, 'seq' | 'hash'>[]; readonly vouched?: readonly Witness[] },
): AuditGap | AuditBreak {
  const inside = ({ seq }: { seq: number }) => seq >= gap.from && seq <= gap.till;
  const signed = seals.find((seal) => seal.kind === 'checkpoint' && inside(seal));
  if (signed) return truncated({ seq: gap.from - 1 }, asWitness(signed));
  const row = rows.find(({ seq }) => seq === gap.till + 1);
  const restore = seals.find(({ kind, seq, head }) => kind === 'restore' && seq === row?.seq && head.equals(row.hash));
  if (!restore)
    return {
      seq: gap.from,
      reason: 'truncated',
      details: `The records from ${gap.from} on are missing: no restore that this cloud has signed left them out.`,
    };
  const known = vouched.filter(inside).sort((a, b) => b.seq - a.seq);
  return { ...gap, sealedAt: restore.at, witness: known[0] ?? null };
}

/** Whether the record that a seal names is gone or another one. */
async function isMoved(reader: Database['reader'], { seq, head }: Seal): Promise<boolean> {
  const row = await reader.selectFrom('audit').select('hash').where('seq', '=', seq).executeTakeFirst();
  return !row?.hash.equals(head);
}

const readHead = (reader: Database['reader']): Promise<AuditHead | undefined> =>
  reader.selectFrom('audit_head').select(['seq', 'hash']).where('id', '=', 1).executeTakeFirst();

/** The next record would follow another one than the last. */
async function misplacedHead(reader: Database['reader'], last: AuditHead): Promise<AuditBreak | null> {
  const head = await readHead(reader);
  if (head && head.seq >= last.seq) return null;
  return { seq: (head?.seq ?? 0) + 1, reason: 'reordered', details: 'The stored head is not the last record.' };
}

const unsigned = ({ kind, seq }: Seal): AuditBreak => ({
  seq,
  reason: 'unsigned',
  details: `The ${kind} at record ${seq} is not signed by this cloud.`,
});

const truncated = ({ seq }: Pick<AuditHead, 'seq'>, { by, seq: known }: Witness): AuditBreak => ({
  seq: seq + 1,
  reason: 'truncated',
  details: `The records from ${seq + 1} on are missing: ${by} knows of ${known}.`,
});

const asWitness = ({ seq, head: hash, at }: Seal): Witness => ({
  seq,
  hash,
  by: `The checkpoint of ${new Date(at).toISOString()}`,
});

/** Records that were written anew from some point on, with hashes that fit. */
function contradictionOf(witnesses: readonly Witness[], rows: readonly AuditRow[]): AuditBreak | undefined {
  const hashes = new Map(rows.map(({ seq, hash }) => [seq, hash]));
  const wrong = witnesses.find(({ seq, hash }) => hashes.has(seq) && !hashes.get(seq)!.equals(hash));
  return wrong && changedAt(wrong);
}

const changedAt = ({ seq, by }: Witness): AuditBreak => ({
  seq,
  reason: 'altered',
  details: `${by} has another hash of record ${seq}.`,
});

const readPage = (reader: Database['reader'], after: number): Promise<AuditRow[]> =>
  reader.selectFrom('audit').selectAll().where('seq', '>', after).orderBy('seq').limit(auditLimits.pageRows).execute();

function readSeals(reader: Database['reader'], from: number, till: number): Promise<Seal[]> {
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
