/** What looks at our own audit found, for the next process and for `alliance status`, which does not read all of it. */
import { z } from 'zod';
import { type AuditBreak, auditFaults } from '../model/audit.ts';
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

export async function storeFinding(
  installation: Pick<Installation, 'store' | 'clock'>,
  finding: AuditBreak | null,
): Promise<void> {
  const { store, clock } = installation;
  const before = (await keptFinding(installation))?.finding ?? null;
  if (JSON.stringify(before) === JSON.stringify(finding)) return;
  await store.audit.keepNote('finding', { at: clock.now(), finding });
}

/** What is not there, or is not ours, is none: the log and the metrics have it, too. */
export async function keptFinding({ store }: Pick<Installation, 'store'>): Promise<KeptFinding | null> {
  return schema.safeParse(await store.audit.noteOf('finding')).data ?? null;
}
