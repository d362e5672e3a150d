/** What looks at our own audit found, for the next process and for `alliance status`, which does not read all of it. */
import { z } from 'zod';
import { type AuditBreak, type AuditEntry, auditFaults } from '../model/audit.ts';
import type { Installation } from './installation.ts';

/** A number that somebody wrote into the database may be none. */
const found = z.object({ seq: z.number().catch(0), reason: z.enum(auditFaults), details: z.string() });
const schema = z.object({ at: z.number(), finding: found.nullable() });

export interface KeptFinding {
  /** When it was found. */
  readonly at: number;
  /** Null: what was looked at is right. */
  readonly finding: AuditBreak | null;
}

/** With a record of what was found, and of its end, so that an alarm that has gone is known to have been there. */
export async function storeFinding(
  installation: Pick<Installation, 'store' | 'clock'>,
  finding: AuditBreak | null,
): Promise<void> {
  const { store, clock } = installation;
  const before = (await keptFinding(installation))?.finding ?? null;
  if (JSON.stringify(before) === JSON.stringify(finding)) return;
  await store.audit.keepNote('finding', { at: clock.now(), finding });
  const { seq, reason, details } = (finding ?? before)!;
  const entry: AuditEntry = {
    kind: 'configuration',
    actor: 'broker',
    partner: null,
    subject: String(seq),
    outcome: finding ? 'audit_broken' : 'audit_mended',
    rule: null,
    requestId: null,
    details: { reason, details },
  };
  // An audit may be broken so that it takes no record; then the log and the note have it.
  await store.audit.append(entry).catch(() => undefined);
}

/** What is not there, or is not ours, is none: the log and the metrics have it, too. */
export async function keptFinding({ store }: Pick<Installation, 'store'>): Promise<KeptFinding | null> {
  return schema.safeParse(await store.audit.noteOf('finding')).data ?? null;
}
