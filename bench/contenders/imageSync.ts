/** West's broker, which brings images of east: one run after the other in a process of its own. */
import { openImageEnds } from '../../src/broker/imageEnds.ts';
import { ImageRuns, plainOptions } from '../../src/broker/imageRuns.ts';
import { openInstallation } from '../../src/broker/installation.ts';
import { createLogger } from '../../src/core/log.ts';
import type { Contender } from '../load.ts';
import { serverCloudId } from '../message.ts';

let opened: ReturnType<typeof openInstallation> | undefined;

/** Runs a second, of one run. The program stays open, as a broker that serves. */
export const imageSync: Contender = {
  measure: async ({ home }) => {
    opened ??= openInstallation({ home, env: {}, log: createLogger({ level: 'error' }) });
    const installation = await opened;
    const query = { from: serverCloudId, words: [], condition: null };
    const begin = performance.now();
    const { ended } = await new ImageRuns(installation).begin(await openImageEnds(installation, query), {
      ...{ trigger: 'manual', query, options: { ...plainOptions, approved: true }, bwlimit: null },
    });
    const report = await ended;
    if (report?.state !== 'done') throw new Error(`The sync is ${JSON.stringify(report)?.slice(0, 2000)}.`);
    return 1000 / (performance.now() - begin);
  },
};

/** Listings a second, each of all images of both clouds: what a sync that has nothing to do cannot do without. */
export const imageListing: Contender = {
  measure: async ({ home }) => {
    opened ??= openInstallation({ home, env: {}, log: createLogger({ level: 'error' }) });
    const begin = performance.now();
    const ends = await openImageEnds(await opened, { from: serverCloudId, words: [], condition: null });
    try {
      for (const { store } of [ends.master, ...ends.regions]) for await (const page of store.list()) void page;
    } finally {
      await ends.close();
    }
    return 1000 / (performance.now() - begin);
  },
};
