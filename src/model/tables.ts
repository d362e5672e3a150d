/** The tables as the database has them. Booleans are 0 and 1, times UTC epoch milliseconds, lists and objects JSON text. */
import type { CloudId, InvitationId, PartnerUid, SessionId } from '../core/ids.ts';
import type { SignatureAlgorithm } from '../crypto/jws.ts';
import type { TokenAlgorithm } from '../crypto/tokenKey.ts';
import type { AuditKind, SealKind } from './audit.ts';
import type { ExecutionState, RegionState, TaskKind, TaskState } from './execution.ts';
import type { LogLevel } from './executionLog.ts';
import type { IdentityRecord } from './identityRecord.ts';
import type { Partner, PartnerKey } from './partner.ts';
import type { PartnerImageState } from './partnerImage.ts';
import type { DueReason } from './policy.ts';
import type { ProvisionDirection, ProvisionState } from './provision.ts';
import type { Direction } from './session.ts';
import type { TokenKeyState } from './tokenKey.ts';
import type { TransferStep } from './transfer.ts';
import type { Role, Side, TrustState } from './trust.ts';

export interface PartnerRow {
  uid: PartnerUid;
  cloud_id: CloudId;
  name: string;
  role: Role;
  state: TrustState;
  approval: Side | null;
  trust_since: number;
  trust_till: number | null;
  endpoints: string;
  binding: Partner['binding'];
  code: string | null;
  rotation_sequence: number;
  bundle_sequence: number;
  acknowledged_sequence: number;
  revoked_by: Side | null;
  removed: number;
  notice_pending: Partner['noticePending'];
  continuity_granted_till: number | null;
  last_contact: number | null;
  last_error: string | null;
  created_at: number;
  updated_at: number;
}

interface KeyColumns {
  fingerprint: Buffer;
  algorithm: SignatureAlgorithm;
  certificate_der: Buffer;
  not_before: number;
  not_after: number;
  overlap_till: number | null;
  created_at: number;
}

export interface PartnerKeyRow extends KeyColumns {
  partner_uid: PartnerUid;
  state: PartnerKey['state'];
}

export interface IdentityRow extends KeyColumns {
  cloud_id: CloudId;
  state: IdentityRecord['state'];
  sequence: number;
}

/** Which cloud_id a removed partner's key is bound to for ever. */
interface TombstoneRow {
  fingerprint: Buffer;
  cloud_id: CloudId;
  /** 0 = retired or replaced: never accepted again. */
  usable: number;
}

export interface InvitationRow {
  id: InvitationId;
  /** Sealed. */
  kp: Buffer;
  role: Role;
  name: string | null;
  for_cloud_id: CloudId | null;
  approve: number;
  trust_till: number | null;
  replace_identity: number;
  created_at: number;
  expires_at: number;
  used_by: Buffer | null;
  used_at: number | null;
  partner_uid: PartnerUid | null;
}

export interface SessionRow {
  direction: Direction;
  sid: SessionId;
  partner_uid: PartnerUid;
  own_fingerprint: Buffer;
  partner_fingerprint: Buffer;
  /** Sealed; null once it ended. */
  secret: Buffer | null;
  /** Sealed; null once it ended. */
  continuity: Buffer | null;
  created_at: number;
  valid_till: number;
  confirmed_at: number | null;
  continuity_till: number;
}

interface TokenKeyRow {
  thumbprint: Buffer;
  partner_uid: PartnerUid;
  algorithm: TokenAlgorithm;
  spki: Buffer;
  state: TokenKeyState;
  created_at: number;
}

/** How far the revocations of a partner were read. */
interface FollowerRow {
  partner_uid: PartnerUid;
  cursor: number;
  head: number;
  /** When the head was last confirmed to be the newest; null: never. */
  confirmed_at: number | null;
  last_error: string | null;
  updated_at: number;
}

export interface AuditRow {
  seq: number;
  at: number;
  kind: AuditKind;
  actor: string;
  partner: CloudId | null;
  subject: string | null;
  outcome: string;
  rule: string | null;
  request_id: string | null;
  /** Canonical JSON. */
  details: string;
  /** Hash of the record before. */
  previous: Buffer;
  hash: Buffer;
}

export interface AuditSealRow {
  kind: SealKind;
  seq: number;
  head: Buffer;
  at: number;
  payload: string;
  signature: string;
}

/** The latest checkpoint of a partner's audit. */
export interface AuditCheckpointRow extends Omit<AuditSealRow, 'kind'> {
  partner_uid: PartnerUid;
  received_at: number;
  /** When each fault was last found. */
  backwards_at: number | null;
  forked_at: number | null;
  disputed_at: number | null;
}

/** What a partner said of both audits, kept besides its latest one. */
export interface AuditStatementRow extends Omit<AuditSealRow, 'kind'> {
  partner_uid: PartnerUid;
  /** 1: it names a head of ours that we do not have. */
  disputed: number;
  /** Days since 1970, UTC, when it came. */
  day: number;
}

export interface ProvisionRow {
  id: string;
  direction: ProvisionDirection;
  partner_uid: PartnerUid;
  cloud_id: CloudId;
  request_id: string;
  /** What was asked for. */
  asked: string;
  name: string;
  user_id: string | null;
  roles: string;
  domain_id: string | null;
  project_id: string | null;
  state: ProvisionState;
  expires_at: number | null;
  noticed_at: number | null;
  last_error: string | null;
  created_at: number;
  updated_at: number;
}

interface FailureColumns {
  failure_name: string | null;
  failure_reason: string | null;
}

export interface ExecutionRow extends FailureColumns {
  id: string;
  trigger_name: string;
  source: string;
  options: string;
  state: ExecutionState;
  runner: string;
  stop_asked: number;
  started_at: number;
  seen_at: number;
  ended_at: number | null;
}

export interface ExecutionRegionRow extends FailureColumns {
  execution_id: string;
  region: string;
  position: number;
  state: RegionState;
  ended_at: number | null;
}

export interface ExecutionTaskRow extends FailureColumns {
  id: string;
  execution_id: string;
  region: string;
  position: number;
  kind: TaskKind;
  name: string;
  source_id: string | null;
  image_id: string | null;
  total_bytes: number;
  sent_bytes: number;
  state: TaskState;
  started_at: number | null;
  ended_at: number | null;
}

export interface TransferRow {
  id: string;
  execution_id: string;
  task_id: string;
  region_key: string;
  image_id: string;
  name: string;
  source_id: string;
  content: string;
  old: string | null;
  final: string;
  step: TransferStep;
  created_at: number;
  updated_at: number;
}

export interface ImagePolicyRow {
  name: string;
  disabled: number;
  trigger: string;
  seen_till: number;
  due_since: number | null;
  due_reason: DueReason | null;
  last_execution: string | null;
  skipped_at: number | null;
  /** 1: its images were looked at, though there may have been none. */
  looked: number;
}

export interface ExecutionLineRow {
  execution_id: string;
  position: number;
  at: number;
  level: LogLevel;
  region: string | null;
  image: string | null;
  text: string;
}

export interface PartnerImageRow {
  region: string;
  image_id: string;
  partner_uid: PartnerUid;
  cloud_id: CloudId;
  size_bytes: number;
  state: PartnerImageState;
  created_at: number;
  updated_at: number;
}

export interface Tables {
  partners: PartnerRow;
  partner_keys: PartnerKeyRow;
  tombstones: TombstoneRow;
  identities: IdentityRow;
  invitations: InvitationRow;
  sessions: SessionRow;
  replays: { issuer: CloudId; jti: Buffer; keep_till: number };
  leases: { name: string; holder: string; till: number };
  feed: { seq: number; subject: string; payload: string; at: number };
  mappings: { partner_uid: PartnerUid; rules: string; updated_at: number };
  token_keys: TokenKeyRow;
  followers: FollowerRow;
  own_tokens: { id: Buffer; key: Buffer; expires_at: number };
  provisions: ProvisionRow;
  partner_images: PartnerImageRow;
  image_policies: ImagePolicyRow;
  image_baselines: { policy: string; image_id: string; looks: string };
  execution_lines: ExecutionLineRow;
  executions: ExecutionRow;
  execution_regions: ExecutionRegionRow;
  execution_tasks: ExecutionTaskRow;
  transfers: TransferRow;
  listed_images: { key: string; images: number };
  audit: AuditRow;
  /** One row: number and hash of the latest record. */
  /** `settled` counts how often it was brought to the disk. */
  audit_head: { id: number; seq: number; hash: Buffer; settled: number };
  audit_seals: AuditSealRow;
  audit_checkpoints: AuditCheckpointRow;
  audit_statements: AuditStatementRow;
  settings: { key: string; value: string };
  counters: { name: 'trust_epoch' | 'feed_head' | 'feed_cut'; value: number };
  schema_version: { version: number; applied_at: number };
}
