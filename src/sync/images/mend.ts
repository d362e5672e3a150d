/** A region as it is found, after what earlier runs have left there was finished or taken back. */
import type { StoredImage } from '../../lproxy/imageStore.ts';
import type { Transfer } from '../../model/transfer.ts';
import { getIfThere } from './finish.ts';
import { readImages } from './fromStore.ts';
import { recover } from './recover.ts';
import { Retirements } from './retirements.ts';
import type { Run } from './run.ts';
import type { SendJournal } from './send.ts';
import { clearStrays } from './strays.ts';
import type { Recovery, RegionEnd } from './syncTypes.ts';

export interface Mending {
  readonly region: RegionEnd;
  readonly run: Pick<Run, 'store' | 'request' | 'sources' | 'clock' | 'origin'>;
  readonly journal: SendJournal;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

export interface Mended {
  /** Images of the region by id. */
  readonly listed: ReadonlyMap<string, StoredImage>;
  readonly retirements: Retirements;
  readonly recovered: readonly Recovery[];
  /** Names of images whose replacement could not be finished now: what else is done to them could leave both. */
  readonly held: ReadonlySet<string>;
}

export async function mend(mending: Mending): Promise<Mended> {
  const { region, run, signal } = mending;
  const { key, store, projectId } = region;
  const { transfers } = run.store;
  const { journal, note } = mending;
  let listed = await readImages(store, { signal });
  const retirements = new Retirements(listed, projectId);
  const open = await transfers.openIn(key);
  const now = run.clock.now();
  const common = { store, journal, signal, note, projectId };
  const strays = { ...common, transfers, origin: run.origin, now };
  for (const id of await clearStrays(listed.values(), strays)) listed.delete(id);
  if (open.length === 0) return { listed, retirements, recovered: [], held: new Set() };
  const { postpone } = retirements;
  const isWithdrawn = (transfer: Transfer): Promise<boolean> => isGoneAtSource(transfer, mending);
  const context = { ...common, postpone, isWithdrawn, known: new Set<string>() };
  const recovered = await recover(open, context, now);
  listed = await readImages(store, { signal });
  const held = new Set<string>();
  // What could not be taken back now is no image.
  for (const { id, name, imageId, step } of await transfers.openIn(key))
    if (step === 'create' || step === 'write' || step === 'verify' || step === 'undo') listed.delete(imageId);
    else if (!retirements.isPostponed(id)) held.add(name);
  return { listed, retirements, recovered, held };
}

/** Asked only where it came from the region that this run reads, and only what this run has not just seen there. */
async function isGoneAtSource({ executionId, sourceId }: Transfer, { run, signal }: Mending): Promise<boolean> {
  const { master } = run.request;
  if (run.sources.get(sourceId)?.status === 'active') return false;
  const execution = await run.store.executions.get(executionId);
  if (execution?.source !== master.name) return false;
  const image = await getIfThere(master.store, sourceId, signal);
  return image?.status !== 'active';
}
