/** Exported audits: one JSON object a line (docs/audit.md). */
import { readLines, whyUnread } from '../core/boundedFile.ts';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditRecord, Seal, SealKind, Verification } from '../model/audit.ts';
import { beforeFirst, canonicalJson } from '../model/auditChain.ts';
import { ChainCheck, changedAt, type Vouchers } from '../model/auditCheck.ts';
import type { AuditRow } from '../model/tables.ts';
import { usageError } from './failure.ts';

/** A record as it is hashed, with both hashes. */
export const exportedRecord = ({ requestId, previous, hash, ...record }: AuditRecord) => ({
  v: 1,
  ...record,
  request_id: requestId,
  previous: previous.toString('hex'),
  hash: hash.toString('hex'),
});

export const exportedSeal = ({ kind, seq, head, at, payload, signature }: Seal) => ({
  [kind]: { seq, head: head.toString('hex'), at, payload, signature },
});

type Line = { readonly row: AuditRow } | { readonly seal: Seal };

/** Undefined: no export has it. */
function readLine(text: string): Line | undefined {
  try {
    return parseLine(JSON.parse(text) as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

function parseLine(line: Record<string, unknown>): Line {
  const bytes = (value: unknown): Buffer => Buffer.from(String(value), 'hex');
  for (const kind of ['cut', 'restore', 'checkpoint'] satisfies SealKind[])
    if (typeof line[kind] === 'object' && line[kind] !== null) {
      const { head, ...seal } = line[kind] as Record<string, unknown>;
      return { seal: { ...seal, kind, head: bytes(head) } as unknown as Seal };
    }
  const { v, details, previous, hash, ...members } = line;
  if (v !== 1) throw new Error('another version');
  const row = { ...members, details: canonicalJson(details), previous: bytes(previous), hash: bytes(hash) };
  return { row: row as unknown as AuditRow };
}

interface FileOptions {
  /** Only some records were exported; then neither beginning nor end are looked for, and numbers may be left out. */
  readonly part: boolean;
  readonly isGenuine: Vouchers['isGenuine'];
  /** What this broker itself has of a record; null: nothing. */
  readonly hashOf: (seq: number) => Promise<Buffer | null>;
}

/**
 * Hashes that fit are no proof, for anybody can compute them. A whole export is proven by the checkpoint at its end, which hangs on
 * every record; a part has none, and its records are held against those of this broker.
 */
export async function verifyFile(
  path: string,
  { part, isGenuine, hashOf }: FileOptions,
): Promise<Verification & { readonly unproven: number }> {
  let check = new ChainCheck(part ? null : beforeFirst, { isGenuine });
  let cut: Seal | null = null;
  let end: Seal | null = null;
  let page: { rows: AuditRow[]; seals: Seal[] } = { rows: [], seals: [] };
  let proven = 0;
  const result = (broken: AuditBreak | null) => {
    const { records, head, gaps } = check;
    return { broken, records, head, cut, witnesses: end ? 1 : 0, gaps, unproven: part ? records - proven : 0 };
  };
  const takePage = async (): Promise<AuditBreak | undefined> => {
    const { rows } = page;
    const broken = await check.take(page);
    page = { rows: [], seals: [] };
    if (broken || !part) return broken;
    for (const { seq, hash } of rows) {
      const own = await hashOf(seq);
      if (own && !own.equals(hash)) return changedAt({ seq, hash: own, by: 'The audit of this broker' });
      if (own) proven++;
    }
    return undefined;
  };
  const unreadable = (details: string): AuditBreak => ({ seq: check.head.seq + 1, reason: 'altered', details });

  for await (const text of linesOf(path)) {
    if (end) return result({ seq: end.seq, reason: 'reordered', details: 'Something comes after the checkpoint.' });
    const line = readLine(text);
    if (line && 'row' in line) {
      page.rows.push(line.row);
      const broken = page.rows.length < auditLimits.pageRows ? undefined : await takePage();
      if (broken) return result(broken);
    } else if (line?.seal.kind === 'restore') page.seals.push(line.seal);
    else {
      const broken = (await takePage()) ?? (line && (await check.forged([line.seal])));
      if (broken) return result(broken);
      if (!line) return result(unreadable(`What comes after record ${check.head.seq} cannot be read.`));
      if (line.seal.kind === 'checkpoint') end = line.seal;
      else if (check.records > 0 || cut) return result(unreadable('A cut stands only at the beginning.'));
      else {
        cut = line.seal;
        check = new ChainCheck(part ? null : { seq: cut.seq, hash: cut.head }, { isGenuine });
      }
    }
  }
  const broken = await takePage();
  if (part && !broken && check.records === 0) throw usageError(`--file: ${path} holds no record.`, 'file');
  if (broken || part) return result(broken ?? null);
  const { seq, hash } = check.head;
  if (end?.seq === seq && end.head.equals(hash)) return result(null);
  if (end?.seq === seq)
    return result({ seq, reason: 'altered', details: 'The checkpoint at the end has another hash of it.' });
  return result({
    seq: seq + 1,
    reason: 'truncated',
    details: 'The checkpoint at the end is not there, or a later one.',
  });
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    for await (const line of readLines(path, auditLimits.lineBytes)) if (line !== '') yield line;
  } catch (thrown) {
    throw usageError(`--file: ${path} cannot be read (${whyUnread(thrown)}).`, 'file');
  }
}
