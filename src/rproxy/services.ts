import type { ClientPool } from '../client/pool.ts';
import type { Partner } from '../model/partner.ts';
import { ServiceFilter } from '../wire/types.ts';
import { checkLength } from './catalog.ts';

export interface RemoteService {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly description: string | null;
}

/** Services that the partner exports. */
export async function services(
  pool: ClientPool,
  partner: Partner,
  filter: { readonly type?: string | undefined; readonly name?: string | undefined } = {},
): Promise<RemoteService[]> {
  const { type, name } = filter;
  const request = new ServiceFilter({ ...(type !== undefined && { type }), ...(name !== undefined && { name }) });
  const found = await pool.call(partner, 'getServices', request);
  return checkLength(found).map((service) => ({
    id: service.id,
    type: service.type,
    name: service.name,
    description: service.description ?? null,
  }));
}
