/** Whether records follow one another, one at a time, so that a chain of any length is checked in little memory. */
import type { AuditBreak, AuditGap, AuditHead } from './audit.ts';
import { beforeFirst, hashRow } from './auditChain.ts';
import type { AuditRow } from './tables.ts';

export class ChainCheck {
  /** The last record that was in order. */
  head: AuditHead;
  records = 0;
  readonly gaps: AuditGap[] = [];
  readonly #part: boolean;

  /** `start` is what the first record follows. Of a part of a chain (some records of a time, a partner or a kind) null: there numbers may be left out. */
  constructor(start: AuditHead | null) {
    this.head = start ?? beforeFirst;
    this.#part = start === null;
  }

  /** Undefined when the record follows the ones before. `others` are records near it, to tell a record out of its place from an altered one. */
  take(row: AuditRow, others: readonly AuditRow[] = []): AuditBreak | undefined {
    const { seq, hash } = this.head;
    if (!Number.isSafeInteger(row.seq) || row.seq <= seq)
      return { seq: row.seq, reason: 'reordered', details: `Record ${row.seq} comes after record ${seq}.` };
    const next = row.seq === seq + 1;
    const gap = !next && !this.#part;
    if (gap && !isRestore(row, seq))
      return { seq: seq + 1, reason: 'missing', details: `Record ${seq + 1} is missing: ${row.seq} comes next.` };
    const follows = this.#part && !next ? true : same(row.previous, hash);
    if (!isWhole(row) || !follows) {
      const place = others.find((other) => other.seq !== row.seq && isWhole({ ...row, seq: other.seq }));
      if (place)
        return { seq: row.seq, reason: 'reordered', details: `In the place of record ${row.seq} is ${place.seq}.` };
      return { seq: row.seq, reason: 'altered', details: `Record ${row.seq} is not as it was written.` };
    }
    if (gap) this.gaps.push({ from: seq + 1, till: row.seq - 1, sealedAt: null, witness: null });
    this.head = { seq: row.seq, hash: row.hash };
    this.records++;
    return undefined;
  }
}

/** What is compared may be of any type, as somebody else may have written it. */
const same = (a: unknown, b: Buffer): boolean => Buffer.isBuffer(a) && a.equals(b);

function isWhole(row: AuditRow): boolean {
  try {
    return same(row.hash, hashRow(row));
  } catch {
    return false;
  }
}

const isRestore = ({ kind, outcome, details }: AuditRow, after: number): boolean =>
  kind === 'configuration' && outcome === 'restored' && details === `{"after":${after}}`;
