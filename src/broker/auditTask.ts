/** What a running broker does with its audit: looks whether it is whole, and signs how far it has come. */
import { signStatement } from '../channel/checkpoint.ts';
import { AllianceError } from '../core/errors.ts';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditHead, Seal, Witness } from '../model/audit.ts';
import { asWitness } from '../model/auditCheck.ts';
import { ownSeals, signRestores } from './audit.ts';
import { keptFinding, storeFinding } from './auditFinding.ts';
import { cutAudit } from './auditRetention.ts';
import { lookAgain, remembered, walkOn } from './auditWalk.ts';
import type { Installation } from './installation.ts';

/** What this process knows of the audit by itself; whoever writes to the database cannot change it. */
export interface AuditWatch {
  /** The last record that was verified: what is new must follow it. */
  verified?: Witness;
  /** How far the slow walk through all of it has come; absent: it begins anew. */
  walked?: Witness | undefined;
  /** What is new was not right when it was last looked at. */
  isTailBroken?: boolean;
  /** Somebody finds out how far it has come: whoever comes meanwhile waits for the same answer. */
  proving?: Promise<TimedHead | null> | undefined;
  /** What is wrong; absent: nobody has looked yet. */
  finding?: AuditBreak | null;
  /** When that was found. */
  foundAt?: number;
}

type TimedHead = AuditHead & { readonly at: number };

/** What is wrong with the records since this process last looked, at first since the last checkpoint. `known` are heads that they must lead to. */
export async function verifyNew(
  installation: Installation,
  known: readonly Witness[] = [],
): Promise<AuditBreak | null> {
  const { store, auditWatch } = installation;
  await signRestores(installation);
  const isGenuine = await ownSeals(installation);
  const newest = await store.audit.seal('checkpoint');
  const from = auditWatch.verified ?? (newest ? asWitness(newest) : undefined);
  const { broken, head } = await store.audit.verify({ isGenuine, witnesses: known, from });
  if (!broken) auditWatch.verified = remembered(head);
  auditWatch.isTailBroken = broken !== null;
  return broken;
}

/** Whether our own audit is whole since we last signed it; what is not must be told to nobody, nor signed. */
export async function isAuditWhole(installation: Installation, known: readonly Witness[] = []): Promise<boolean> {
  const broken = await verifyNew(installation, known);
  if (broken) await raise(installation, broken);
  return broken === null;
}

async function raise(installation: Installation, broken: AuditBreak): Promise<void> {
  installation.auditWatch.finding = broken;
  installation.auditWatch.foundAt = installation.clock.now();
  installation.telemetry.refusal('checkpoint');
  installation.log.error({ ...broken }, 'Security: our audit is not whole.');
  await storeFinding(installation, broken);
}

/** How far the audit has come. What is signed is what was verified, whatever the database says meanwhile; null: it is not whole. */
function provenHead(installation: Installation): Promise<TimedHead | null> {
  const { store, auditWatch } = installation;
  const prove = async () => {
    if (!(await isAuditWhole(installation))) return null;
    const head = await store.audit.head();
    const { seq, hash } = head;
    return (await isAuditWhole(installation, [{ seq, hash, by: 'The stored head' }])) ? head : null;
  };
  auditWatch.proving ??= prove().finally(() => {
    auditWatch.proving = undefined;
  });
  return auditWatch.proving;
}

/** What partners are told; `overloaded` while our audit is not whole, which the next round of the task looks at again. */
export async function headToTell(installation: Installation): Promise<TimedHead> {
  const head = installation.auditWatch.isTailBroken ? null : await provenHead(installation);
  if (!head) throw new AllianceError('overloaded', { details: 'Our audit is not whole: no head of it is told.' });
  return head;
}

/**
 * The last checkpoint, if by our clock it is yet to come. Times of checkpoints say how old records are, so that none may be signed that
 * is earlier than the one before.
 */
export async function checkpointAhead(installation: Installation): Promise<Seal | null> {
  const { store, clock } = installation;
  const last = await store.audit.seal('checkpoint');
  if (!last || last.at <= clock.now() + auditLimits.aheadMs) return null;
  return (await (await ownSeals(installation))(last)) ? last : null;
}

/** Signs how far the audit has come, for the log and the database; nothing when there is nothing new, or the clock is behind. False: it is not whole. */
export async function signAudit(installation: Installation): Promise<boolean> {
  const { store, view, log } = installation;
  const { audit } = store;
  const head = await provenHead(installation);
  if (!head) return false;
  const { seq, hash, at } = head;
  const ahead = await checkpointAhead(installation);
  if (ahead) {
    log.error(
      { seq: ahead.seq, at: ahead.at },
      'The clock is behind the last checkpoint of the audit: none is signed.',
    );
    return true;
  }
  const [last, cut] = [await audit.seal('checkpoint'), await audit.seal('cut')];
  if (seq <= Math.max(last?.seq ?? 0, cut?.seq ?? 0)) return true;
  const statement = await signStatement('checkpoint', view.current.identity, head);
  await audit.addCheckpoint({ seq, head: hash, at, ...statement });
  log.info({ seq, head: hash.toString('hex'), ...statement }, 'Checkpoint of the audit.');
  return true;
}

/**
 * A round of the task. False: what is new is not whole, so partners must not be told of it. Where an older record is wrong, what is new
 * is signed and told all the same, or else whoever alters one record could alter all that come after; but nothing is removed. After the
 * end of `signal` it throws between two turns.
 */
export async function tendAudit(
  installation: Installation,
  { signal, walkRows = auditLimits.walkRows }: { readonly signal?: AbortSignal; readonly walkRows?: number } = {},
): Promise<boolean> {
  const { auditWatch } = installation;
  if (!(await signAudit(installation))) return false;
  await takeFinding(installation);
  const { finding } = auditWatch;
  const again = finding ? await lookAgain(installation, finding, signal) : null;
  const walked = await walkOn(installation, { walkRows, signal });
  const broken = again ?? (typeof walked === 'boolean' ? null : walked);
  if (broken) await raise(installation, broken);
  else if (finding || walked) {
    auditWatch.finding = null;
    await storeFinding(installation, null);
  }
  if (auditWatch.finding) return true;
  const old = await cutAudit(installation, signal);
  if (old) await raise(installation, old);
  return true;
}

/** What another process has found: before the start of this one, or since, as a command that has read all of it does. */
async function takeFinding(installation: Installation): Promise<void> {
  const { auditWatch } = installation;
  const kept = await keptFinding(installation);
  if (!kept) return;
  if (auditWatch.finding && kept.at <= (auditWatch.foundAt ?? 0)) return;
  if (kept.finding || auditWatch.finding) auditWatch.finding = kept.finding;
}
