/** What was last found wrong with our own audit, so that `alliance status` knows it without reading all of it. */
import { z } from 'zod';
import { type AuditBreak, auditFaults } from '../model/audit.ts';
import type { Installation } from './installation.ts';

const key = 'audit_finding';
/** A number that somebody wrote into the database may be none. */
const schema = z.object({ seq: z.number().catch(0), reason: z.enum(auditFaults), details: z.string() });

/** Null: all of it was read and is right. */
export async function storeFinding({ store }: Pick<Installation, 'store'>, found: AuditBreak | null): Promise<void> {
  const text = found && JSON.stringify(found);
  if (text !== (await store.settings.get(key))) await store.settings.set(key, text);
}

/** What is not there, or is no finding, is none: the log and the metrics have it, too. */
export async function storedFinding({ store }: Pick<Installation, 'store'>): Promise<AuditBreak | null> {
  const text = await store.settings.get(key);
  try {
    return text === null ? null : schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
