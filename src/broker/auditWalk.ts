/** The slow look at all of the audit again and again, and the quick one at what was found wrong before. */
import { z } from 'zod';
import { auditLimits } from '../core/limits.ts';
import type { AuditBreak, AuditHead, Witness } from '../model/audit.ts';
import { asWitness } from '../model/auditCheck.ts';
import { ownSeals, witnessesOf } from './audit.ts';
import type { Installation } from './installation.ts';

export const remembered = ({ seq, hash }: AuditHead): Witness => ({
  seq,
  hash,
  by: 'What this broker has verified before',
});

const place = z.object({ seq: z.number().int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) });

/** Where the walk has come to; absent: it begins anew. */
async function walkedTo({ store }: Installation): Promise<Witness | undefined> {
  const { data } = place.safeParse(await store.audit.noteOf('walked'));
  return data && remembered({ seq: data.seq, hash: Buffer.from(data.hash, 'hex') });
}

/** How many records there are, but for those of a restore that is not noted here. */
async function countRecords({ store: { audit } }: Installation, till: number): Promise<number> {
  const start = (await audit.seal('cut'))?.seq ?? 0;
  let count = till - start;
  for (const { seq } of await audit.restores()) {
    if (seq <= start) continue;
    const [restored] = await audit.list({ after: seq - 1, limit: 1 });
    const after = restored?.details.after;
    if (typeof after === 'number' && after < seq) count -= seq - 1 - Math.max(after, start);
  }
  return Math.max(count, 0);
}

/** The next share of all records, as everybody who can tell knows them. True: the end was reached. */
export async function walkOn(
  installation: Installation,
  { walkRows, signal }: { readonly walkRows: number; readonly signal?: AbortSignal | undefined },
): Promise<AuditBreak | boolean> {
  const { store, auditWatch } = installation;
  const share = Math.ceil((await countRecords(installation, auditWatch.verified?.seq ?? 0)) / auditLimits.walkRounds);
  const rows = Math.max(walkRows, share);
  const isGenuine = await ownSeals(installation);
  const witnesses = await witnessesOf(installation);
  const passed = () => signal?.throwIfAborted();
  auditWatch.walked ??= await walkedTo(installation);
  const options = { isGenuine, witnesses, from: auditWatch.walked, rows, passed };
  const { broken, head, records } = await store.audit.verify(options);
  if (broken) return broken;
  const isThrough = records < rows;
  const reached: AuditHead = isThrough ? { seq: 0, hash: Buffer.alloc(32) } : head;
  auditWatch.walked = remembered(reached);
  await store.audit.keepNote('walked', { seq: reached.seq, hash: reached.hash.toString('hex') });
  return isThrough;
}

/** What is wrong where `finding` was found, from the last checkpoint before it on, and at the end; null: nothing any more. */
export async function lookAgain(
  installation: Installation,
  finding: AuditBreak,
  signal?: AbortSignal,
): Promise<AuditBreak | null> {
  const { audit } = installation.store;
  const isGenuine = await ownSeals(installation);
  const witnesses = await witnessesOf(installation);
  const passed = () => signal?.throwIfAborted();
  const before = await audit.checkpointBelow(finding.seq);
  const from = before && (await isGenuine(before)) ? asWitness(before) : undefined;
  const rows = finding.seq - (from?.seq ?? (await audit.seal('cut'))?.seq ?? 0) + 1;
  const { broken } = await audit.verify({ isGenuine, witnesses, from, rows, passed });
  if (broken) return broken;
  const newest = await audit.seal('checkpoint');
  const end = await audit.verify({ isGenuine, witnesses, from: newest ? asWitness(newest) : undefined, passed });
  return end.broken;
}
