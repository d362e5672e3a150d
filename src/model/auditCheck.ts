/**
 * Whether records follow one another and lead to everything that was signed about them, a page at a time, so that a chain of any
 * length is checked in little memory. The one way to look at a chain: of the database, of a file, what is new, and what is cut away.
 */
import type { AuditBreak, AuditGap, AuditHead, Seal, Witness } from './audit.ts';
import { beforeFirst, hashRow } from './auditChain.ts';
import type { AuditRow } from './tables.ts';

/** Records in the order of the chain, and what is signed about them: checkpoints and restores. */
export interface ChainPage {
  readonly rows: readonly AuditRow[];
  readonly seals: readonly Seal[];
}

/** Whoever can tell what a chain has to be. */
export interface Vouchers {
  /** Whether a seal is signed by this cloud. */
  readonly isGenuine: (seal: Seal) => Promise<boolean>;
  readonly witnesses?: readonly Witness[];
}

export class ChainCheck {
  /** The last record that was in order. */
  head: AuditHead;
  records = 0;
  /** Signed heads that were compared. */
  witnesses = 0;
  readonly gaps: AuditGap[] = [];
  readonly #part: boolean;
  readonly #isGenuine: Vouchers['isGenuine'];
  /** By number; those before `#passed` were compared. */
  readonly #vouched: readonly Witness[];
  #passed = 0;

  /** `start` is what the first record follows. Of a part of a chain (some records of a time, a partner or a kind) null: there numbers may be left out. */
  constructor(start: AuditHead | null, { isGenuine, witnesses = [] }: Vouchers) {
    this.head = start ?? beforeFirst;
    this.#part = start === null;
    this.#isGenuine = isGenuine;
    this.#vouched = witnesses.filter(({ seq }) => seq > this.head.seq).sort((a, b) => a.seq - b.seq);
  }

  /** Undefined when the page follows the ones before, and nobody contradicts it. */
  async take({ rows, seals }: ChainPage): Promise<AuditBreak | undefined> {
    const gaps: AuditGap[] = [];
    for (const row of rows) {
      const broken = this.#follow(row, rows, gaps);
      if (broken) return broken;
    }
    const forged = await this.forged(seals);
    if (forged) return forged;
    const from = this.#passed;
    while ((this.#vouched[this.#passed]?.seq ?? Number.POSITIVE_INFINITY) <= this.head.seq) this.#passed++;
    const checkpoints = seals.filter(({ kind }) => kind === 'checkpoint');
    const here = [...checkpoints.map(asWitness), ...this.#vouched.slice(from, this.#passed)];
    this.witnesses += here.length;
    const contradicted = contradictionOf(here, rows);
    if (contradicted) return contradicted;
    for (const gap of gaps) {
      const explained = explainGap(gap, { rows, seals }, here);
      if ('reason' in explained) return explained;
      this.gaps.push(explained);
    }
    return undefined;
  }

  /** The first of these seals that this cloud has not signed. */
  async forged(seals: readonly Seal[]): Promise<AuditBreak | undefined> {
    for (const seal of seals) if (!(await this.#isGenuine(seal))) return unsigned(seal);
    return undefined;
  }

  /** Where the records have ended, although somebody knows of more. */
  ended(others: readonly Witness[] = []): AuditBreak | undefined {
    const beyond = [...others, ...this.#vouched.slice(this.#passed)].find(({ seq }) => seq > this.head.seq);
    return beyond && truncated(this.head, beyond);
  }

  /** `others` are records near it, to tell a record out of its place from an altered one. */
  #follow(row: AuditRow, others: readonly AuditRow[], gaps: AuditGap[]): AuditBreak | undefined {
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
    if (gap) gaps.push({ from: seq + 1, till: row.seq - 1, sealedAt: null, witness: null });
    this.head = { seq: row.seq, hash: row.hash };
    this.records++;
    return undefined;
  }
}

/** A checkpoint as somebody who vouches. Nobody may have signed it yet, so its time may be anything. */
export const asWitness = ({ seq, head: hash, at }: Seal): Witness => {
  const date = new Date(at);
  return { seq, hash, by: Number.isNaN(date.getTime()) ? 'A checkpoint' : `The checkpoint of ${date.toISOString()}` };
};

export const changedAt = ({ seq, by }: Witness): AuditBreak => ({
  seq,
  reason: 'altered',
  details: `${by} has another hash of record ${seq}.`,
});

const truncated = ({ seq }: Pick<AuditHead, 'seq'>, { by, seq: known }: Witness): AuditBreak => ({
  seq: seq + 1,
  reason: 'truncated',
  details: `The records from ${seq + 1} on are missing: ${by} knows of ${known}.`,
});

const unsigned = ({ kind, seq }: Seal): AuditBreak => ({
  seq,
  reason: 'unsigned',
  details: `The ${kind} at record ${seq} is not signed by this cloud.`,
});

/** Records that were written anew from some point on, with hashes that fit. */
function contradictionOf(witnesses: readonly Witness[], rows: readonly AuditRow[]): AuditBreak | undefined {
  const hashes = new Map(rows.map(({ seq, hash }) => [seq, hash]));
  const wrong = witnesses.find(({ seq, hash }) => hashes.has(seq) && !same(hash, hashes.get(seq)!));
  return wrong && changedAt(wrong);
}

/** Only a restore that this cloud has signed leaves numbers out, and never one of a record that it had signed before. */
function explainGap(gap: AuditGap, { rows, seals }: ChainPage, vouched: readonly Witness[]): AuditGap | AuditBreak {
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

/** What is compared may be of any type, as somebody else may have written it. */
export const same = (a: unknown, b: Buffer): boolean => Buffer.isBuffer(a) && a.equals(b);

function isWhole(row: AuditRow): boolean {
  try {
    return same(row.hash, hashRow(row));
  } catch {
    return false;
  }
}

const isRestore = ({ kind, outcome, details }: AuditRow, after: number): boolean =>
  kind === 'configuration' && outcome === 'restored' && details === `{"after":${after}}`;
