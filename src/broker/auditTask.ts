/** What a running broker does with its audit: looks whether it is whole, signs how far it has come, removes what is old. */
import { signStatement } from '../channel/checkpoint.ts';
import { dayMs } from '../core/clock.ts';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditHead, Witness } from '../model/audit.ts';
import { asWitness } from '../model/auditCheck.ts';
import { ownSeals, signRestores, witnessesOf } from './audit.ts';
import { storedFinding, storeFinding } from './auditFinding.ts';
import type { Installation } from './installation.ts';

/** What this process knows of the audit by itself; whoever writes to the database cannot change it. */
export interface AuditWatch {
  /** The last record that was verified: what is new must follow it. */
  verified?: Witness;
  /** How far the slow walk through all of it has come; absent: it begins anew. */
  walked?: Witness | undefined;
  /** What is wrong; absent: nobody has looked yet. */
  finding?: AuditBreak | null;
}

const remembered = (head: AuditHead): Witness => ({ ...head, by: 'What this broker has verified before' });

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
  installation.telemetry.refusal('checkpoint');
  installation.log.error({ ...broken }, 'Security: our audit is not whole.');
  await storeFinding(installation, broken);
}

/** Signs how far the audit has come, for the log and the database; nothing when there is nothing new. False: it is not whole. */
export async function signAudit(installation: Installation): Promise<boolean> {
  const { store, view, log } = installation;
  const { audit } = store;
  if (!(await isAuditWhole(installation))) return false;
  const head = await audit.head();
  const { seq, hash, at } = head;
  // What is signed is what was verified, whatever the database says meanwhile.
  if (!(await isAuditWhole(installation, [{ seq, hash, by: 'The stored head' }]))) return false;
  const [last, cut] = [await audit.seal('checkpoint'), await audit.seal('cut')];
  if (seq <= Math.max(last?.seq ?? 0, cut?.seq ?? 0)) return true;
  const statement = await signStatement('checkpoint', view.current.identity, head);
  await audit.addCheckpoint({ seq, head: hash, at, ...statement });
  log.info({ seq, head: hash.toString('hex'), ...statement }, 'Checkpoint of the audit.');
  return true;
}

/**
 * Removes what is older than the configuration keeps, and leaves a signed record of where that ended. How old a record is tells a
 * checkpoint that was signed after it, for what the record itself says may be altered; and nothing goes that was not verified up to
 * that checkpoint. Returns what is wrong instead.
 */
async function cutAudit(installation: Installation, signal?: AbortSignal): Promise<AuditBreak | null> {
  const { store, view, config, clock, log } = installation;
  const { audit } = store;
  const keepMs = config.audit.keepDays * dayMs;
  const keepFrom = clock.now() - keepMs;
  let due = await audit.checkpointOf(0, keepFrom);
  if (!due) return null;
  const isGenuine = await ownSeals(installation);
  // A checkpoint of then shows that the clock has not just leapt to where all records are old.
  const ago = Math.min(auditLimits.settleMs, keepMs / 2);
  const settled = await audit.checkpointOf(clock.now() - 2 * ago, clock.now() - ago);
  if (!settled || !(await isGenuine(settled))) {
    log.warn('The clock leapt, or this broker did not run: nothing of the audit is removed for some days.');
    return null;
  }
  const witnesses = await witnessesOf(installation);
  for (; due; due = await audit.checkpointOf(0, keepFrom)) {
    const heads: AuditHead[] = [];
    const passed = (head: AuditHead) => {
      signal?.throwIfAborted();
      heads.push(head);
    };
    const { broken } = await audit.verify({ isGenuine, witnesses, till: asWitness(due), passed });
    if (broken) return broken;
    for (const { seq, hash } of heads) {
      signal?.throwIfAborted();
      const at = clock.now();
      const statement = await signStatement('cut', view.current.identity, { seq, hash, at });
      await audit.cut({ seq, head: hash, at, ...statement });
      log.info({ seq }, 'Older records of the audit were removed.');
    }
  }
  return null;
}

/** The next of all records, as everybody who can tell knows them. True: the end was reached. */
async function walkOn(installation: Installation, rows: number, signal?: AbortSignal): Promise<AuditBreak | boolean> {
  const { store, auditWatch } = installation;
  const isGenuine = await ownSeals(installation);
  const witnesses = await witnessesOf(installation);
  const passed = () => signal?.throwIfAborted();
  const options = { isGenuine, witnesses, from: auditWatch.walked, rows, passed };
  const { broken, head, records } = await store.audit.verify(options);
  if (broken) return broken;
  auditWatch.walked = records < rows ? undefined : remembered(head);
  return records < rows;
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
  auditWatch.finding ??= await storedFinding(installation);
  const walked = await walkOn(installation, walkRows, signal);
  if (typeof walked !== 'boolean') await raise(installation, walked);
  else if (walked) {
    auditWatch.finding = null;
    await storeFinding(installation, null);
  }
  if (auditWatch.finding) return true;
  const broken = await cutAudit(installation, signal);
  if (broken) await raise(installation, broken);
  return true;
}
