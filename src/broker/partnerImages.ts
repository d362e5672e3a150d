/** This cloud's images for partners: the Glances beside its Keystone, by the broker's own user. */
import { namesKeystone, resolveKeystone } from '../lproxy/credentials.ts';
import { createGlanceRegions } from '../lproxy/glanceRegions.ts';
import { ImageService } from '../server/images/images.ts';
import type { ServerRates } from '../server/rates.ts';
import type { Installation } from './installation.ts';

export interface OpenImages {
  readonly service: ImageService;
  close(): Promise<void>;
}

/** Without a Keystone there is a service all the same, which tells partners that nothing is offered. */
export function openPartnerImages(installation: Installation, rates: Pick<ServerRates, 'partners'>): OpenImages {
  const { env, clock, store, log } = installation;
  const settings = namesKeystone(installation.config.keystone, env)
    ? resolveKeystone(installation.config.keystone, { env })
    : undefined;
  const glance = settings && createGlanceRegions({ ...settings, clock });
  const service = new ImageService({
    store,
    config: () => installation.config,
    glance,
    homeRegion: settings?.region,
    rates: rates.partners,
    clock,
    log,
  });
  return {
    service,
    close: async () => {
      service.close();
      await glance?.close();
    },
  };
}
