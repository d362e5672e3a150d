import type { ClientPool } from '../client/pool.ts';
import type { Partner } from '../model/partner.ts';
import { EndpointFilter } from '../wire/types.ts';
import { checkLength } from './catalog.ts';

export interface RemoteEndpoint {
  readonly id: string;
  readonly serviceId: string;
  readonly serviceType: string;
  readonly serviceName: string;
  readonly interface: string;
  readonly region: string | null;
  readonly url: string;
}

/** Endpoints that the partner exports. */
export async function endpoints(
  pool: ClientPool,
  partner: Partner,
  filter: {
    readonly type?: string | undefined;
    readonly region?: string | undefined;
    readonly interface?: string | undefined;
  } = {},
): Promise<RemoteEndpoint[]> {
  const { type, region, interface: face } = filter;
  const request = new EndpointFilter({
    ...(type !== undefined && { type }),
    ...(region !== undefined && { region }),
    ...(face !== undefined && { interface_name: face }),
  });
  const found = await pool.call(partner, 'getEndpoints', request);
  return checkLength(found).map((endpoint) => ({
    id: endpoint.id,
    serviceId: endpoint.service_id,
    serviceType: endpoint.service_type,
    serviceName: endpoint.service_name,
    interface: endpoint.interface_name,
    region: endpoint.region ?? null,
    url: endpoint.url,
  }));
}
