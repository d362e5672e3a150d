/** Syncs of images in a running broker: policies, REST, and what runs of both. */
import { AllianceError } from '../core/errors.ts';
import { packageVersion } from '../core/version.ts';
import type { GlancesyncOptions } from '../http/glancesync/rest.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import { ImagePolicies } from './imagePolicies.ts';
import { ImageRest } from './imageRest.ts';
import { ImageRuns } from './imageRuns.ts';
import { assertImages } from './imagesExamination.ts';
import type { Installation } from './installation.ts';
import type { Task } from './tasks.ts';

export interface ImageWork {
  /** Undefined where it is not switched on. */
  readonly rest: GlancesyncOptions | undefined;
  readonly task: Task;
  /** Ends what runs; resolves when it is noted where it was. */
  stop(): Promise<void>;
}

/** @throws AllianceError configuration: expressions that are none, REST without a Keystone */
export function openImageWork(installation: Installation, keystone: Keystone | undefined): ImageWork {
  const { config, clock, log } = installation;
  assertImages(config);
  const runs = new ImageRuns(installation);
  const policies = new ImagePolicies(installation, runs);
  const { rest: isServed, restRole: role } = config.images;
  if (isServed && !keystone)
    throw new AllianceError('configuration', {
      field: 'images.rest',
      details: 'images.rest needs a Keystone that says whose tokens are good: keystone.auth_url.',
    });
  const startedAt = clock.now();
  const service = new ImageRest(installation, runs);
  return {
    rest: isServed && keystone ? { keystone, role, service, version: packageVersion(), startedAt, log } : undefined,
    task: { name: 'image policies', pause: 'policyMs', run: (_installation, { signal }) => policies.look(signal) },
    stop: async () => {
      await runs.stop();
      await policies.idle();
    },
  };
}
