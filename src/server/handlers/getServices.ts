import { keystoneLimits } from '../../core/limits.ts';
import type { KeystoneService } from '../../lproxy/keystoneBodies.ts';
import { ServiceInfo } from '../../wire/types.ts';
import type { PartnerHandler, ServerContext } from '../context.ts';
import { assertFilter, keystoneOf } from './tokens.ts';

/** Services that configuration exports. */
export const getServices: PartnerHandler<'getServices'> = async (context, filter, { partner }) => {
  assertFilter(filter);
  const { type, name } = filter;
  const services = await keystoneOf(context, partner).listServices({ ...(type && { type }), ...(name && { name }) });
  return services
    .filter((service) => (!type || service.type === type) && (!name || service.name === name))
    .filter((service) => isExported(context, service))
    .slice(0, keystoneLimits.listItems)
    .map(({ id, type: serviceType, name: serviceName, description }) => {
      const info = { id, type: serviceType, name: serviceName };
      return new ServiceInfo(description === null ? info : { ...info, description });
    });
};

/** Whether partners may see a service at all. */
export function isExported({ config }: ServerContext, service: KeystoneService): boolean {
  const { services } = config().exports;
  return services.length === 0 || services.includes(service.type);
}
