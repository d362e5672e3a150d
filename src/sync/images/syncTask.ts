/** One action of a plan, carried out. */
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { FinalAttributes, Transfer } from '../../model/transfer.ts';
import { retrying } from '../transfer/retry.ts';
import { changeImage } from './change.ts';
import { isLinkKey } from './image.ts';
import type { Action, Update, Upload } from './plan.ts';
import { failureOf, type Progress } from './progress.ts';
import type { Run } from './run.ts';
import { type SendJournal, send } from './send.ts';
import type { RegionEnd } from './syncTypes.ts';
import type { PlannedTask } from './tasks.ts';

export interface TaskContext {
  readonly region: RegionEnd;
  readonly run: Run;
  readonly progress: Progress;
  readonly journal: SendJournal;
  /** Images of the region by id, as they were listed. */
  readonly listed: ReadonlyMap<string, StoredImage>;
  /** Ids of images that were sent in this run, by name. */
  readonly sentIds: Map<string, string>;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  readonly postpone: (transfer: Transfer) => boolean;
}

/** @returns whether it is done; else the task says why. Throws only where there is no way to write that down */
export async function carryOut({ task, action }: PlannedTask, context: TaskContext): Promise<boolean> {
  const { progress, signal } = context;
  const skip = (name: string, reason: string): Promise<void> => progress.ended(task.id, 'skipped', { name, reason });
  if (signal.aborted) {
    await skip('shutting_down', 'The run was ended before.');
    return false;
  }
  if (!spend(task.totalBytes, context)) {
    await skip('image_quota', 'It does not fit into what the run may send.');
    return false;
  }
  await progress.began(task.id);
  try {
    if ('source' in action) await sendOne(action, task.id, context);
    else await changeOne(action, context);
  } catch (error) {
    await progress.ended(task.id, 'failed', failureOf(error));
    return false;
  }
  await progress.ended(task.id, 'done');
  return true;
}

function spend(bytes: number, { run: { budget } }: TaskContext): boolean {
  if (bytes > budget.leftBytes) return false;
  budget.leftBytes -= bytes;
  return true;
}

async function changeOne(action: Update, context: TaskContext): Promise<void> {
  const { region, listed, journal, signal } = context;
  const { id, newName, isPublic } = action;
  const properties = textsOf(action, context);
  const changing = { listed: listed.get(id)!, newName, isPublic, properties };
  await changeImage(changing, { store: region.store, journal, signal });
}

/** Properties as Glance has them, links by the ids that images have got. */
function textsOf({ properties }: Action, { sentIds }: TaskContext): Map<string, string> {
  return new Map(
    [...properties].flatMap(([key, value]) => {
      const known = typeof value === 'object' && value !== null ? sentIds.get(value.idOf) : value;
      // Glance takes ids only; what `compat` puts there for a kernel that is not there is none.
      const isNoId = isLinkKey(key) && !/^[0-9a-f-]{36}$/i.test(String(known));
      return known === undefined || known === null || isNoId ? [] : [[key, String(known)] as const];
    }),
  );
}

async function sendOne(action: Upload, taskId: string, context: TaskContext): Promise<void> {
  const { region, run, progress, listed, sentIds } = context;
  const { name, old } = action;
  const source = run.sources.get(action.source)!;
  const final = await finalOf(action, source, context);
  const oldImage = old && { image: listed.get(old.id)!, newName: old.newName };
  const { executionId, throttle, slots, origin, budget, request } = run;
  const properties = textsOf(action, context);
  let counted = 0;
  const id = await send(
    { executionId, taskId, regionKey: region.key, name, source, old: oldImage, properties, final },
    {
      ...{ store: region.store, source: request.master.store, throttle, slots, origin },
      spend: (bytes) => spend(bytes, context),
      ...{ projectId: region.projectId, known: listed },
      ...{ journal: context.journal, signal: context.signal, note: context.note, postpone: context.postpone },
      onImage: (imageId) => progress.moved(taskId, { imageId }),
      onBytes: (sentBytes) => {
        if (sentBytes > counted) budget.sentBytes += sentBytes - counted;
        counted = sentBytes;
        progress.moved(taskId, { sentBytes });
      },
    },
  );
  sentIds.set(name, id);
}

async function finalOf({ isPublic }: Upload, source: StoredImage, context: TaskContext): Promise<FinalAttributes> {
  const { region, run, note } = context;
  // Not `protected`: the next sync could not replace it.
  const { hidden } = source;
  // Where nothing can be published, that and what else binds the operator there is the operator's.
  if (!region.store.publishes) return { hidden: false, members: [] };
  const visibility = isPublic ? 'public' : run.request.compat ? 'private' : source.visibility;
  if (visibility !== 'shared') return { visibility, hidden, members: [] };
  const { store } = run.request.master;
  const listed = await retrying(() => store.members(source.id, { signal: context.signal }), { signal: context.signal });
  const members: string[] = [];
  for (const { projectId } of listed) {
    const mapped = region.mapMember?.(projectId) ?? null;
    if (mapped === null) note(`Project ${projectId}, which it is shared with, has none here that stands for it.`);
    else members.push(mapped);
  }
  return { visibility, hidden, members: [...new Set(members)] };
}
