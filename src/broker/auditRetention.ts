/** Removes what is old from the audit. */
import { signStatement } from '../channel/checkpoint.ts';
import { dayMs } from '../core/clock.ts';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditHead, Witness } from '../model/audit.ts';
import { asWitness } from '../model/auditCheck.ts';
import { ownSeals, witnessesOf } from './audit.ts';
import type { Installation } from './installation.ts';

/**
 * Removes what is older than the configuration keeps, and leaves a signed record of where that ended. How old a record is tells a
 * checkpoint that was signed after it, for what the record itself says may be altered; and nothing goes that was not verified up to
 * that checkpoint. Only the first checkpoint counts: what is before one that is young is young, whatever time a later one has, such as
 * of a clock that stood in the past. Returns what is wrong instead.
 */
export async function cutAudit(installation: Installation, signal?: AbortSignal): Promise<AuditBreak | null> {
  const { store, view, config, clock, log } = installation;
  const { audit } = store;
  const keepMs = config.audit.keepDays * dayMs;
  const keepFrom = clock.now() - keepMs;
  let due = await audit.firstCheckpoint();
  if (!due || due.at >= keepFrom) return null;
  const isGenuine = await ownSeals(installation);
  // A checkpoint of then shows that the clock has not just leapt to where all records are old.
  const ago = Math.min(auditLimits.settleMs, keepMs / 2);
  const settled = await audit.firstCheckpoint({ since: clock.now() - 2 * ago, before: clock.now() - ago });
  if (!settled || !(await isGenuine(settled))) {
    log.warn('The clock leapt, or this broker did not run: nothing of the audit is removed for some days.');
    return null;
  }
  const witnesses = await witnessesOf(installation);
  for (; due && due.at < keepFrom; due = await audit.firstCheckpoint()) {
    if (lastNewsOf(due.seq, witnesses) >= keepFrom + ago) {
      log.warn({ seq: due.seq }, 'A partner heard later of what seems old in our audit: that is not removed yet.');
      return null;
    }
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

/**
 * When somebody last heard of a record up to this one that was new to it then. That it repeats what it has known for long says nothing,
 * or else a partner that we cannot tell anything would stop retention for ever.
 */
function lastNewsOf(till: number, witnesses: readonly Witness[]): number {
  let last = Number.NEGATIVE_INFINITY;
  const known = new Map<string, number>();
  const said = witnesses.flatMap(({ at, ...witness }) => (at === undefined ? [] : [{ ...witness, at }]));
  for (const { seq, by, at } of said.sort((a, b) => a.at - b.at)) {
    if (seq <= (known.get(by) ?? 0)) continue;
    known.set(by, seq);
    if (seq <= till) last = Math.max(last, at);
  }
  return last;
}
