/** This cloud's images for partners: the Glances beside its Keystone, by the broker's own user. */
import type { PartnerUid } from '../core/ids.ts';
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
  const { env, clock, store, log, view } = installation;
  const settings = namesKeystone(installation.config.keystone, env)
    ? resolveKeystone(installation.config.keystone, { env })
    : undefined;
  const glance = settings && createGlanceRegions({ ...settings, clock });
  const service = new ImageService({
    store,
    config: () => installation.config,
    glance,
    homeRegion: settings?.region,
    trusted: (uid) => {
      const partner = view.partnerByUid(uid as PartnerUid);
      return partner && !view.lost && view.stateOf(partner) === 'active' ? partner : undefined;
    },
    rates: rates.partners,
    clock,
    log,
  });
  // Each look, because a reload changes what partners may do as well.
  view.onLook(() => service.review());
  return {
    service,
    close: async () => {
      service.close();
      await glance?.close();
    },
  };
}
