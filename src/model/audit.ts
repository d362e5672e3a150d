/** The audit: what happened, append-only, each record bound to the one before it by a hash (docs/audit.md). */
import type { CloudId, PartnerUid } from '../core/ids.ts';

export const auditKinds = [
  'pairing',
  'trust',
  'handshake',
  'validation',
  'revocation',
  'provisioning',
  'image',
  'configuration',
] as const;
export type AuditKind = (typeof auditKinds)[number];

/** One act. It holds no secret: members of `details` whose names say that they are secret are replaced. */
export interface AuditEntry {
  readonly kind: AuditKind;
  /** Who acted or asked: `operator`, `broker`, `partner` (the one below), or a name. */
  readonly actor: string;
  /** The partner that it is about. */
  readonly partner: CloudId | null;
  /** What or whom it is about: a session, a user, a project, a key. */
  readonly subject: string | null;
  /** One word. */
  readonly outcome: string;
  /** What decided, where a rule did. */
  readonly rule: string | null;
  readonly requestId: string | null;
  /** JSON: texts, whole numbers, booleans, null, lists and objects of them; at most auditLimits.detailsBytes. */
  readonly details: Readonly<Record<string, unknown>>;
}

export interface AuditRecord extends AuditEntry {
  /** 1 for the first, +1 with each; only a restore leaves a gap. */
  readonly seq: number;
  readonly at: number;
  /** Hash of the record before, 32 bytes; zeros before the first. */
  readonly previous: Buffer;
  readonly hash: Buffer;
}

/** Where the chain stands: number and hash of one record. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: Buffer;
}

export interface AuditQuery {
  readonly kind?: AuditKind | undefined;
  readonly partner?: CloudId | undefined;
  /** From this time on. */
  readonly since?: number | undefined;
  /** Before this time. */
  readonly until?: number | undefined;
  /** Only records with a larger number; default 0. */
  readonly after?: number | undefined;
  /** At most, and never more than auditLimits.pageRows. */
  readonly limit?: number | undefined;
  /** The last ones instead of the first ones. */
  readonly newest?: boolean | undefined;
}

/** `checkpoint`: so far the chain had come. `cut`: up to here, retention removed it. `restore`: before this record numbers are left out. */
export type SealKind = 'checkpoint' | 'cut' | 'restore';

/** What this cloud signed about its chain. */
export interface Seal {
  readonly kind: SealKind;
  readonly seq: number;
  readonly head: Buffer;
  readonly at: number;
  readonly payload: string;
  readonly signature: string;
}

export type NewCheckpoint = Omit<Seal, 'kind'>;

/** `backwards`: it ends before one that we hold. `forked`: another hash for the same record. `disputed`: it holds another head of OUR audit than we. */
export const checkpointAlarms = ['backwards', 'forked', 'disputed'] as const;
export type CheckpointAlarm = (typeof checkpointAlarms)[number];

/** The latest checkpoint of a partner. */
export interface HeldCheckpoint extends NewCheckpoint {
  readonly partnerUid: PartnerUid;
  readonly receivedAt: number;
  /** When each fault was last found; one hides no other. */
  readonly alarms: Readonly<Record<CheckpointAlarm, number | null>>;
}

/** One that a partner signed earlier. */
export interface HeldStatement extends NewCheckpoint {
  readonly partnerUid: PartnerUid;
}

/** `overtaken`: an older one that came late, and was not kept. */
export type Reception = 'kept' | 'overtaken' | 'stale' | 'backwards' | 'forked';

/** A head of our chain that somebody vouches for. */
export interface Witness extends AuditHead {
  /** For people: `checkpoint of 2027-01-01T00:00:00Z`, `partner east`. */
  readonly by: string;
  /** When a partner said so, by its clock. */
  readonly at?: number;
}

export const auditFaults = ['altered', 'missing', 'reordered', 'truncated', 'unsigned'] as const;

/** The first thing that is wrong. `seq` is the record that is altered, missing or out of its place. */
export interface AuditBreak {
  readonly seq: number;
  readonly reason: (typeof auditFaults)[number];
  readonly details: string;
}

export interface Verification {
  readonly broken: AuditBreak | null;
  /** Records that were found in order. */
  readonly records: number;
  /** The last one of them. */
  readonly head: AuditHead;
  /** What the chain begins after; null: it is there from its first record. */
  readonly cut: Seal | null;
  /** Signed heads that were compared. */
  readonly witnesses: number;
  /** Numbers that a restore of a backup has skipped: what was recorded under them is lost. */
  readonly gaps: readonly AuditGap[];
}

export interface AuditGap {
  readonly from: number;
  readonly till: number;
  /** When this cloud signed the restore; null where no seals are looked at. */
  readonly sealedAt: number | null;
  /** Others who know of records in it, the one with the largest number. */
  readonly witness: Witness | null;
}

export interface VerifyOptions {
  readonly witnesses?: readonly Witness[];
  /** Whether a seal is signed by this cloud. */
  readonly isGenuine: (seal: Seal) => Promise<boolean>;
  /** Only what comes after this record, which must still be there as it was verified. Default: the beginning. */
  readonly from?: Witness | undefined;
  /** Up to this record, which must be there; whether the end is right is then not looked at. */
  readonly till?: Witness;
  /** At least so many records, if there are; whether the end is right is looked at only where it is reached. */
  readonly rows?: number;
  /** Each head that was reached and that nobody contradicts, auditLimits.turnRows apart at most. */
  readonly passed?: (head: AuditHead) => void;
}

/** `finding`: what was wrong last. `walked`: how far the slow look at all of it has come. */
export type AuditNote = 'finding' | 'walked';

export interface Audit {
  /**
   * For acts that are no transaction of the model: resolves once the record is stored, and only then may the act take effect. Many
   * that wait share one transaction. Throws bad_request (no record can be made of it), overloaded (too many wait), and whatever
   * the database says.
   */
  append(entry: AuditEntry): Promise<void>;
  /**
   * The same for what others can provoke at will: of equal acts (kind, partner, outcome) one every auditLimits.repeatMs. `omitted` in
   * its details is the number of those since the record before it. False when there is such a record already.
   */
  note(entry: AuditEntry): Promise<boolean>;
  /** In the order of the chain. */
  list(query?: AuditQuery): Promise<AuditRecord[]>;
  /** Where the chain stands at `at`; that far it is on the disk, and no power failure takes it. Taken under the lock, so that of two heads the one with the later time is never the shorter chain. */
  head(): Promise<AuditHead & { readonly at: number }>;
  /** Hash of a record; null when it is not there. */
  hashOf(seq: number): Promise<Buffer | null>;
  /** Newest of its kind. */
  seal(kind: SealKind): Promise<Seal | null>;
  sealOf(kind: SealKind, seq: number): Promise<Seal | null>;
  /** The first checkpoint of what is there; with times, of those that were made from `since` on and before `before`. */
  firstCheckpoint(time?: { readonly since: number; readonly before: number }): Promise<Seal | null>;
  /** The last that was signed no later than this. */
  checkpointBefore(at: number): Promise<Seal | null>;
  /** The last one of a record with a smaller number. */
  checkpointBelow(seq: number): Promise<Seal | null>;
  /** What a look at the audit leaves for later ones, as only this cloud can. */
  keepNote(note: AuditNote, content: object): Promise<void>;
  noteOf(note: AuditNote): Promise<unknown>;
  addCheckpoint(checkpoint: NewCheckpoint): Promise<void>;
  /** Records of restores that this cloud may sign. */
  restores(): Promise<AuditHead[]>;
  sealRestore(statement: NewCheckpoint): Promise<void>;
  /** Removes every record up to the one that the seal names, and leaves the seal. What is removed must have been verified: nobody can look at it later. */
  cut(seal: NewCheckpoint): Promise<void>;
  /** Keeps a checkpoint of a partner's, if it follows the one that is held. `disputed`: it contradicts our own audit. */
  receive(partnerUid: PartnerUid, checkpoint: NewCheckpoint, disputed?: boolean): Promise<Reception>;
  /** The first of each partner, the first of each day, and those that contradict our audit; never replaced. */
  statements(): Promise<HeldStatement[]>;
  held(): Promise<HeldCheckpoint[]>;
  raiseAlarm(partnerUid: PartnerUid, alarm: CheckpointAlarm): Promise<void>;
  /** Reads the chain, the whole of it unless the options say less. */
  verify(options: VerifyOptions): Promise<Verification>;
}
