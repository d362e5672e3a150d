/** Exported audits: one JSON object a line (docs/audit.md). */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { AllianceError } from '../core/errors.ts';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditGap, AuditRecord, Seal, SealKind, Verification } from '../model/audit.ts';
import { canonicalJson } from '../model/auditChain.ts';
import { ChainCheck } from '../model/auditCheck.ts';
import { explainGap } from '../model/auditVerify.ts';
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

/** Throws for what no export has. */
function readLine(text: string): Line {
  const line = JSON.parse(text) as Record<string, unknown>;
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

/** `part`: only some records were exported; then neither beginning nor end are looked for, and numbers may be left out. */
export async function verifyFile(
  path: string,
  { part, isGenuine }: { readonly part: boolean; readonly isGenuine: (seal: Seal) => Promise<boolean> },
): Promise<Verification> {
  let check = new ChainCheck(part ? null : { seq: 0, hash: Buffer.alloc(32) });
  let cut: Seal | null = null;
  let end: Seal | null = null;
  let restore: Seal | null = null;
  const gaps: AuditGap[] = [];
  const result = (broken: AuditBreak | null): Verification => {
    const { records, head } = check;
    return { broken, records, head, cut, witnesses: end ? 1 : 0, gaps };
  };
  const unreadable = (details: string): Verification => result({ seq: check.head.seq + 1, reason: 'altered', details });

  for await (const text of linesOf(path)) {
    if (end) return result({ seq: end.seq, reason: 'reordered', details: 'Something comes after the checkpoint.' });
    let line: Line;
    try {
      line = readLine(text);
    } catch {
      return unreadable(`What comes after record ${check.head.seq} cannot be read.`);
    }
    if ('row' in line) {
      const broken = check.take(line.row);
      if (broken) return result(broken);
      for (const gap of check.gaps.slice(gaps.length)) {
        const explained = explainGap(gap, restore ? [restore] : [], { rows: [line.row] });
        if ('reason' in explained) return result(explained);
        gaps.push(explained);
      }
      continue;
    }
    const { seal } = line;
    if (!(await isGenuine(seal)))
      return result({ seq: seal.seq, reason: 'unsigned', details: `The ${seal.kind} is not signed by this cloud.` });
    if (seal.kind === 'checkpoint') end = seal;
    else if (seal.kind === 'restore') restore = seal;
    else if (check.records > 0 || cut) return unreadable('A cut stands only at the beginning.');
    else {
      cut = seal;
      check = new ChainCheck(part ? null : { seq: seal.seq, hash: seal.head });
    }
  }
  if (part) return result(null);
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
  const input = createReadStream(path, { encoding: 'utf8' });
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.length > auditLimits.lineBytes) throw usageError(`--file: a line of ${path} is too long.`, 'file');
      if (line !== '') yield line;
    }
  } catch (thrown) {
    if (thrown instanceof AllianceError) throw thrown;
    throw usageError(`--file: ${path} cannot be read (${(thrown as NodeJS.ErrnoException).code}).`, 'file');
  } finally {
    input.destroy();
  }
}
