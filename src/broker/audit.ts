/** The audit as a whole: what is recorded of the broker itself, and whether all is still there, by everybody who can tell. */
import { isStatement, readCheckpoint, signStatement } from '../channel/checkpoint.ts';
import type { Config } from '../core/config.ts';
import { namesOfChanged } from '../core/configView.ts';
import type { CloudId } from '../core/ids.ts';
import { auditLimits } from '../core/limits.ts';
import { readCertificate } from '../crypto/certificate.ts';
import {
  type AuditHead,
  type CheckpointAlarm,
  checkpointAlarms,
  type HeldCheckpoint,
  type NewCheckpoint,
  type Seal,
  type Verification,
  type Witness,
} from '../model/audit.ts';
import { asWitness } from '../model/auditCheck.ts';
import type { NewPartnerKey, Partner } from '../model/partner.ts';
import { storeFinding } from './auditFinding.ts';
import type { Installation } from './installation.ts';

/** At the first look after a restore, which itself has no identity to sign with. */
export async function signRestores({ store, view, clock, log }: Installation): Promise<void> {
  for (const { seq, hash } of await store.audit.restores()) {
    if (await store.audit.sealOf('restore', seq)) continue;
    const at = clock.now();
    const statement = await signStatement('restore', view.current.identity, { seq, hash, at });
    await store.audit.sealRestore({ seq, head: hash, at, ...statement });
    log.info({ seq, ...statement }, 'The audit goes on after a restore.');
  }
}

/** The names of keys, never their values. */
export const recordConfiguration = (
  { store }: Pick<Installation, 'store'>,
  outcome: 'loaded' | 'reloaded' | 'reload_failed',
  details: Readonly<Record<string, readonly string[]>>,
): Promise<void> =>
  store.audit.append({
    kind: 'configuration',
    actor: outcome === 'loaded' ? 'broker' : 'operator',
    partner: null,
    subject: null,
    outcome,
    rule: null,
    requestId: null,
    details,
  });

/** When the doors are open: which keys are not at their defaults. */
export const recordStart = (installation: Installation, config: Config): Promise<void> =>
  recordConfiguration(installation, 'loaded', { keys: namesOfChanged(config) });

export interface PartnerAudit {
  readonly cloudId: CloudId;
  /** The latest that it signed about its own audit. */
  readonly theirs: { readonly seq: number; readonly hash: Buffer; readonly at: number; readonly receivedAt: number };
  /** What it holds of ours; null: nothing yet. */
  readonly ours: AuditHead | null;
  /** Only recent ones. `unsigned`: what is stored of it here is not as it signed it. */
  readonly alarms: readonly (CheckpointAlarm | 'unsigned')[];
}

export interface AuditReport extends Verification {
  /** Records that hang on nothing that was signed, and that this broker does not have: of a file alone. */
  readonly unproven: number;
  readonly partners: readonly PartnerAudit[];
  /** A partner knows of records that a recent restore has lost. */
  readonly lost: boolean;
  /** The record behind which the look began, as this cloud had signed it; null: at the beginning. */
  readonly from: AuditHead | null;
}

/** What to look at. Default: everything. */
export interface AuditRange {
  /** Only what was written after the last checkpoint before this time. */
  readonly since?: number | undefined;
  /** Of the partners only this one is heard. */
  readonly partner?: CloudId | undefined;
}

/** Reads the audit and compares it with everything that was signed about it, by this cloud and by its partners. */
export async function verifyAudit(
  installation: Installation,
  { since, partner }: AuditRange = {},
): Promise<AuditReport> {
  const { store, clock } = installation;
  await signRestores(installation);
  const isGenuine = await ownSeals(installation);
  const isMeant = (cloudId: CloudId): boolean => partner === undefined || cloudId === partner;
  const partners = (await partnerAudits(installation)).filter(({ cloudId }) => isMeant(cloudId));
  const witnesses = await witnessesOf(installation, isMeant);
  const begin = since === undefined ? null : await store.audit.checkpointBefore(since);
  // One that is not ours proves nothing of what is before it: then all is read, and it is found.
  const from = begin && (await isGenuine(begin)) ? asWitness(begin) : undefined;
  const found = await store.audit.verify({ witnesses, isGenuine, from });
  // A look at a part takes back nothing that was found elsewhere.
  if (found.broken || (from === undefined && partner === undefined)) await storeFinding(installation, found.broken);
  const recent = clock.now() - auditLimits.alarmMs;
  const lost = found.gaps.some(({ witness, sealedAt }) => witness && sealedAt !== null && sealedAt > recent);
  return { ...found, unproven: 0, partners, lost, from: from ?? null };
}

/** Tells whether a seal is ours, by whichever of our identities. */
export async function ownSeals({ store, view }: Installation): Promise<(seal: Seal) => Promise<boolean>> {
  const keys = keysOf(await store.identities.list());
  return (seal) => isStatement(seal.kind, { ...seal, hash: seal.head }, keys, view.cloudId);
}

const keysOf = (records: readonly NewPartnerKey[]) =>
  records.map(({ certificateDer, algorithm }) => ({
    algorithm,
    publicKey: readCertificate(certificateDer).certificate.publicKey,
  }));

/** An alarm ends by time: what led to it stays in the audit. */
export const recentAlarms = ({ alarms }: HeldCheckpoint, now: number): CheckpointAlarm[] =>
  checkpointAlarms.filter((alarm) => alarms[alarm] !== null && now - alarms[alarm] < auditLimits.alarmMs);

/** What partners ever said to hold of our audit, as far as their statements are kept. */
export async function witnessesOf(
  { store, view }: Installation,
  isMeant: (cloudId: CloudId) => boolean = () => true,
): Promise<Witness[]> {
  const statements = [...(await store.audit.statements()), ...(await store.audit.held())];
  const witnesses: Witness[] = [];
  for (const { uid, cloudId, keys } of (await store.partners.list()).filter((one) => isMeant(one.cloudId))) {
    const read = readerOf({ cloudId, keys }, view.cloudId);
    // One after the other, for a running broker has other signatures to check.
    for (const statement of statements.filter(({ partnerUid }) => partnerUid === uid)) {
      // One that nobody can read any more, for its key is gone, says nothing.
      const said = await read(statement);
      if (said?.seen) witnesses.push({ ...said.seen, by: `Partner ${cloudId}`, at: said.at });
    }
  }
  return witnesses;
}

/** Undefined: the partner has not signed that for us. */
function readerOf({ cloudId: issuer, keys }: Pick<Partner, 'cloudId' | 'keys'>, audience: CloudId) {
  const known = keysOf(keys);
  return (statement: NewCheckpoint) =>
    readCheckpoint(statement, known, { issuer, audience, now: statement.at }).catch(() => undefined);
}

async function partnerAudits({ store, view, clock }: Installation): Promise<PartnerAudit[]> {
  const partners = new Map((await store.partners.list()).map((partner) => [partner.uid, partner]));
  const audits = (await store.audit.held()).map(async (held): Promise<PartnerAudit[]> => {
    const partner: Partner | undefined = partners.get(held.partnerUid);
    if (!partner) return [];
    const { cloudId } = partner;
    const { seq, head: hash, at, receivedAt } = held;
    const theirs = { seq, hash, at, receivedAt };
    const facts = await readerOf(partner, view.cloudId)(held);
    if (facts?.seq !== seq || !facts.hash.equals(hash)) return [{ cloudId, theirs, ours: null, alarms: ['unsigned'] }];
    return [{ cloudId, theirs, ours: facts.seen, alarms: recentAlarms(held, clock.now()) }];
  });
  return (await Promise.all(audits)).flat().sort((a, b) => (a.cloudId < b.cloudId ? -1 : 1));
}
