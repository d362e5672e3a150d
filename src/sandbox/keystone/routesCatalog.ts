/** Services, endpoints, regions. */
import type { Json } from './authentication.ts';
import { addCollection, type Collection } from './collection.ts';
import { conflict, expecting } from './errors.ts';
import { showEndpoint, showRegion, showService } from './resources.ts';
import { type Context, optionalText, requiredText } from './routes.ts';
import type { Endpoint, Region, Service } from './state.ts';

const flag = (body: Json): boolean => body.enabled !== false;

function services({ state }: Context): Collection<Service> {
  return {
    singular: 'service',
    items: state.services,
    show: showService,
    filters: { type: (service) => service.type, name: (service) => service.name },
    create(body) {
      const description = optionalText(body, 'description');
      return state.addService(requiredText(body, 'type'), optionalText(body, 'name') ?? '', {
        enabled: flag(body),
        ...(description !== undefined && { description }),
      });
    },
    change(service, body) {
      service.type = optionalText(body, 'type') ?? service.type;
      service.name = optionalText(body, 'name') ?? service.name;
      service.description = optionalText(body, 'description') ?? service.description ?? '';
      service.enabled = typeof body.enabled === 'boolean' ? body.enabled : service.enabled;
    },
    remove: ({ id }) => state.removeService(id),
  };
}

function endpoints({ state }: Context): Collection<Endpoint> {
  const assertService = (id: string) => {
    if (!state.services.has(id)) throw expecting('endpoint service_id', 'service table');
  };
  const regionOf = (body: Json) => optionalText(body, 'region_id') ?? optionalText(body, 'region');
  return {
    singular: 'endpoint',
    items: state.endpoints,
    show: showEndpoint,
    filters: {
      interface: (endpoint) => endpoint.interface,
      service_id: (endpoint) => endpoint.serviceId,
      region_id: (endpoint) => endpoint.regionId ?? undefined,
    },
    create(body) {
      const serviceId = requiredText(body, 'service_id');
      assertService(serviceId);
      return state.addEndpoint({
        serviceId,
        interface: requiredText(body, 'interface'),
        url: requiredText(body, 'url'),
        regionId: regionOf(body) ?? null,
        enabled: flag(body),
      });
    },
    change(endpoint, body) {
      const serviceId = optionalText(body, 'service_id') ?? endpoint.serviceId;
      assertService(serviceId);
      endpoint.serviceId = serviceId;
      endpoint.interface = optionalText(body, 'interface') ?? endpoint.interface;
      endpoint.url = optionalText(body, 'url') ?? endpoint.url;
      endpoint.regionId = regionOf(body) ?? endpoint.regionId;
      endpoint.enabled = typeof body.enabled === 'boolean' ? body.enabled : endpoint.enabled;
    },
    remove: ({ id }) => state.endpoints.delete(id),
  };
}

function regions({ state }: Context): Collection<Region> {
  return {
    singular: 'region',
    items: state.regions,
    show: showRegion,
    filters: { parent_region_id: (region) => region.parentId ?? undefined },
    create(body, newId) {
      const id = optionalText(body, 'id') ?? newId();
      if (state.regions.has(id)) throw conflict(`Conflict occurred attempting to store region - Duplicate ID, ${id}.`);
      return state.addRegion(
        id,
        optionalText(body, 'description') ?? '',
        optionalText(body, 'parent_region_id') ?? null,
      );
    },
    change(region, body) {
      region.description = optionalText(body, 'description') ?? region.description;
    },
    remove: ({ id }) => state.regions.delete(id),
  };
}

export function addCatalogRoutes(context: Context): void {
  addCollection(context, services(context));
  addCollection(context, endpoints(context));
  addCollection(context, regions(context));
}
