/** The audit as a whole: what this cloud signs about it, what retention removes, and whether all is still there. */
import { isStatement, readCheckpoint, signStatement } from '../channel/checkpoint.ts';
import { dayMs } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import { namesOfChanged } from '../core/configView.ts';
import type { CloudId } from '../core/ids.ts';
import { auditLimits } from '../core/limits.ts';
import { readCertificate } from '../crypto/certificate.ts';
import type {
  AuditHead,
  CheckpointAlarm,
  HeldCheckpoint,
  NewCheckpoint,
  Seal,
  Verification,
  Witness,
} from '../model/audit.ts';
import type { NewPartnerKey, Partner } from '../model/partner.ts';
import type { Installation } from './installation.ts';

/** Signs how far the audit has come, for the log and the database; nothing when there is nothing new. */
export async function signAudit(installation: Installation): Promise<void> {
  const { store, view, log } = installation;
  const { audit } = store;
  await signRestores(installation);
  const head = await audit.head();
  const last = await audit.seal('checkpoint');
  if (head.seq <= (last?.seq ?? 0)) return;
  const statement = await signStatement('checkpoint', view.current.identity, head);
  const { seq, hash, at } = head;
  await audit.addCheckpoint({ seq, head: hash, at, ...statement });
  log.info({ seq, head: hash.toString('hex'), ...statement }, 'Checkpoint of the audit.');
}

/** At the first look after a restore, which itself has no identity to sign with. */
async function signRestores({ store, view, clock, log }: Installation): Promise<void> {
  for (const { seq, hash } of await store.audit.restores()) {
    if (await store.audit.sealOf('restore', seq)) continue;
    const at = clock.now();
    const statement = await signStatement('restore', view.current.identity, { seq, hash, at });
    await store.audit.sealRestore({ seq, head: hash, at, ...statement });
    log.info({ seq, ...statement }, 'The audit goes on after a restore.');
  }
}

/** Whether our own audit is whole since we last signed it; what is not must be told to nobody, nor signed. */
export async function isAuditWhole(installation: Installation): Promise<boolean> {
  await signRestores(installation);
  const isGenuine = await ownSeals(installation);
  const { broken } = await installation.store.audit.verify({ isGenuine, recent: true });
  if (!broken) return true;
  installation.telemetry.refusal('checkpoint');
  installation.log.error({ ...broken }, 'Security: our audit is not whole, so no partner is told of it.');
  return false;
}

/** Removes what is older than the configuration keeps, and leaves a signed record of where that ended. */
export async function cutAudit({ store, view, config, clock, log }: Installation): Promise<void> {
  const { audit } = store;
  const keepFrom = clock.now() - config.audit.keepDays * dayMs;
  for (let point = await audit.cutPoint(keepFrom); point; point = await audit.cutPoint(keepFrom)) {
    const { seq, hash } = point;
    const at = clock.now();
    const statement = await signStatement('cut', view.current.identity, { seq, hash, at });
    await audit.cut({ seq, head: hash, at, ...statement });
    log.info({ seq }, 'Older records of the audit were removed.');
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
  /** Only a recent one. `unsigned`: what is stored of it here is not as it signed it. */
  readonly alarm: CheckpointAlarm | 'unsigned' | null;
}

export interface AuditReport extends Verification {
  readonly partners: readonly PartnerAudit[];
  /** A partner knows of records that a recent restore has lost. */
  readonly lost: boolean;
}

/** Reads the whole audit and compares it with everything that was signed about it, by this cloud and by its partners. */
export async function verifyAudit(installation: Installation): Promise<AuditReport> {
  const { store, clock } = installation;
  await signRestores(installation);
  const partners = await partnerAudits(installation);
  const witnesses = await witnessesOf(installation);
  const isGenuine = await ownSeals(installation);
  const found = await store.audit.verify({ witnesses, isGenuine });
  const since = clock.now() - auditLimits.alarmMs;
  const lost = found.gaps.some(({ witness, sealedAt }) => witness && sealedAt !== null && sealedAt > since);
  return { ...found, partners, lost };
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
export const recentAlarm = ({ alarm, alarmAt }: HeldCheckpoint, now: number): CheckpointAlarm | null =>
  alarmAt !== null && now - alarmAt < auditLimits.alarmMs ? alarm : null;

/** What partners ever said to hold of our audit, as far as their statements are kept. */
async function witnessesOf({ store, view }: Installation): Promise<Witness[]> {
  const statements = [...(await store.audit.statements()), ...(await store.audit.held())];
  const partners = (await store.partners.list()).map(async ({ uid, cloudId, keys }) => {
    const read = readerOf({ cloudId, keys }, view.cloudId);
    // One that nobody can read any more, for its key is gone, says nothing.
    const facts = await Promise.all(statements.filter(({ partnerUid }) => partnerUid === uid).map(read));
    return facts.flatMap((one): Witness[] => (one?.seen ? [{ ...one.seen, by: `Partner ${cloudId}` }] : []));
  });
  return (await Promise.all(partners)).flat();
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
    if (facts?.seq !== seq || !facts.hash.equals(hash)) return [{ cloudId, theirs, ours: null, alarm: 'unsigned' }];
    return [{ cloudId, theirs, ours: facts.seen, alarm: recentAlarm(held, clock.now()) }];
  });
  return (await Promise.all(audits)).flat().sort((a, b) => (a.cloudId < b.cloudId ? -1 : 1));
}
