/** Endpoints of partners, as they told them lately, for the catalog of their own users. A partner that does not answer costs no answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientPool } from '../client/pool.ts';
import type { Clock } from '../core/clock.ts';
import { toAllianceError } from '../core/errors.ts';
import { localiseLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Partner } from '../model/partner.ts';
import { endpoints, type RemoteEndpoint } from '../rproxy/endpoints.ts';
import { Remembered } from './remembered.ts';

export interface RemoteCatalog {
  /** None where they are not to be had in time. */
  endpointsOf(partner: Partner): Promise<readonly RemoteEndpoint[]>;
}

export function createRemoteCatalog(options: { pool: ClientPool; clock: Clock; log: Logger }): RemoteCatalog {
  const { pool, clock, log } = options;
  const remembered = new Remembered<readonly RemoteEndpoint[]>(clock, localiseLimits.remoteEndpointsMs);
  const ask = async (partner: Partner): Promise<readonly RemoteEndpoint[] | null> => {
    try {
      return await endpoints(pool, partner);
    } catch (thrown) {
      const { errorName, message } = toAllianceError(thrown);
      log.warn({ partner: partner.cloudId, error: errorName }, `No endpoints for the catalog: ${message}`);
      // As with what is missing: asked for again soon, and not by every token in between.
      return null;
    }
  };
  return {
    async endpointsOf(partner) {
      const giveUp = new AbortController();
      const late = delay(localiseLimits.remoteEndpointsWaitMs, null, { signal: giveUp.signal, ref: false }).catch(
        () => null,
      );
      const found = await Promise.race([remembered.get(partner.uid, () => ask(partner)), late]);
      giveUp.abort();
      return found ?? [];
    },
  };
}
