/** The region that images of a policy come from, listed. */
import { AllianceError } from '../core/errors.ts';
import { readImages, toImage } from '../sync/images/fromStore.ts';
import type { Image } from '../sync/images/image.ts';
import { imagesConfigOf } from '../sync/images/imagesSettings.ts';
import { isUnfinished } from '../sync/images/marks.ts';
import { masterFrom, targetFrom } from '../sync/images/regions.ts';
import { openConfiguredClouds } from './imageEnds.ts';
import type { Installation } from './installation.ts';

export interface SourceListing {
  readonly images: readonly Image[];
  readonly projectId: string;
}

/** @param from as in a policy; null: the configured master region */
export async function listSource(
  installation: Installation,
  from: string | null,
  signal: AbortSignal,
): Promise<SourceListing> {
  const config = imagesConfigOf(installation.config.images, { env: installation.env });
  const clouds = await openConfiguredClouds(installation, config);
  try {
    const word = from ?? undefined;
    const known = (await clouds.regions(targetFrom(word))).map(({ name }) => name);
    const { store, projectId } = await clouds.source(masterFrom(word, config, known));
    if (signal.aborted) throw new AllianceError('shutting_down');
    const stored = [...(await readImages(store, { signal })).values()];
    return { images: stored.filter((image) => !isUnfinished(image)).map(toImage), projectId };
  } finally {
    await clouds.close();
  }
}
