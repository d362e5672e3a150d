import { keystoneLimits } from '../../core/limits.ts';
import { EndpointInfo } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { isExported } from './getServices.ts';
import { assertFilter, keystoneOf } from './tokens.ts';

/** Endpoints that configuration exports: by default the public ones. */
export const getEndpoints: PartnerHandler<'getEndpoints'> = async (context, filter, { partner }) => {
  assertFilter(filter);
  const { interfaces, regions } = context.config().exports;
  const keystone = keystoneOf(context, partner);
  const [services, endpoints] = await Promise.all([keystone.listServices(), keystone.listEndpoints()]);
  const visible = new Map(
    services.filter((service) => isExported(context, service)).map((service) => [service.id, service]),
  );
  const found: EndpointInfo[] = [];
  for (const { id, serviceId, interface: face, region, url } of endpoints) {
    const service = visible.get(serviceId);
    if (!service || !interfaces.some((exported) => exported === face)) continue;
    if (regions.length > 0 && (region === null || !regions.includes(region))) continue;
    if (filter.type && service.type !== filter.type) continue;
    if (filter.region && region !== filter.region) continue;
    if (filter.interface_name && face !== filter.interface_name) continue;
    if (found.length === keystoneLimits.listItems) break;
    found.push(
      new EndpointInfo({
        id,
        service_id: serviceId,
        service_type: service.type,
        service_name: service.name,
        interface_name: face,
        ...(region !== null && { region }),
        url,
      }),
    );
  }
  return found;
};
