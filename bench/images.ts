/** The group `images`: plans, chunks over a channel, and syncs between two clouds. */
import { measureChunks } from './imageChunks.ts';
import { measurePlans } from './imagePlans.ts';
import { measureSyncs } from './imageSyncs.ts';
import type { Figure } from './report.ts';

export async function runImages(rounds: number, say: (line: string) => void): Promise<Figure[]> {
  const plans = measurePlans(rounds, say);
  const chunks = await measureChunks(rounds, say);
  return [...chunks, ...plans, ...(await measureSyncs(rounds, say))];
}
