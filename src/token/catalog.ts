/** The catalog of a foreign user's body: that of this cloud, and perhaps, by region, that of the user's own. */
import { isIP } from 'node:net';
import type { KeystoneEndpoint, KeystoneService } from '../lproxy/keystone.ts';
import type { RemoteEndpoint } from '../rproxy/endpoints.ts';
import { comparable } from './mapping/privilege.ts';

export interface CatalogEndpoint {
  readonly id: string;
  readonly interface: string;
  readonly region_id: string | null;
  readonly url: string;
  readonly region: string | null;
}

export interface CatalogService {
  readonly endpoints: readonly CatalogEndpoint[];
  readonly id: string;
  readonly type: string;
  readonly name: string;
}

export interface LocalCatalog {
  readonly services: readonly KeystoneService[];
  readonly endpoints: readonly KeystoneEndpoint[];
}

/** Whom the URLs of a catalog are for. */
interface UrlValues {
  readonly projectId: string | null;
  readonly userId: string;
}

const template = /[$%]\((\w+)\)s/g;
const plainId = /^[A-Za-z0-9_-]{1,64}$/;

/** The URL with project and user filled in, both styles of template; null where that is not possible, as with Keystone. */
export function fillUrl(url: string, { projectId, userId }: UrlValues): string | null {
  let complete = true;
  const filled = url.replace(template, (_whole, name: string) => {
    const value = name === 'project_id' || name === 'tenant_id' ? projectId : name === 'user_id' ? userId : null;
    if (!value || !plainId.test(value)) complete = false;
    return value ?? '';
  });
  return complete ? filled : null;
}

export function localCatalog({ services, endpoints }: LocalCatalog, values: UrlValues): CatalogService[] {
  const byService = new Map<string, CatalogEndpoint[]>(services.map(({ id }) => [id, []]));
  for (const { id, serviceId, interface: face, region, url: registered } of endpoints) {
    const url = fillUrl(registered, values);
    if (url !== null) byService.get(serviceId)?.push({ id, interface: face, region_id: region, url, region });
  }
  return services.map(({ id, type, name }) => ({ endpoints: byService.get(id)!, id, type, name }));
}

export interface Injection {
  /** The partner's regions, and what they are called here. */
  readonly regions: readonly { readonly region: string; readonly as: string }[];
  /** `host` or `host:port`, as URLs may name them. */
  readonly hosts: readonly string[];
  readonly endpoints: readonly RemoteEndpoint[];
  /** Of the foreign token: the partner's URLs are for its own ids. */
  readonly values: UrlValues;
  /** Id here of what has another one there. */
  readonly idOf: (kind: 'service' | 'endpoint', id: string) => string;
}

const faces: ReadonlySet<string> = new Set(['public', 'internal', 'admin']);
const typeForm = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** https, to a host of the operator's list, without anything that a URL may hide. */
function isPermitted(text: string, hosts: readonly string[]): boolean {
  if (!/^https:\/\/[\x21-\x7e]+$/.test(text) || text.includes('\\') || !URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.username === '' && url.password === '' && url.hash === '' && url.search === '';
  const listed = hosts.map((host) => host.toLowerCase());
  const named = listed.includes(url.host) || (url.port === '' && listed.includes(`${url.hostname}:443`));
  return bare && (named || listed.includes(bareHost(url.hostname)));
}

/** An IPv6 address as people write it, without brackets. */
const bareHost = (hostname: string): string => {
  const inner = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(inner) === 6 ? inner : hostname;
};

/**
 * Adds the partner's endpoints under names of ours: never of the type identity, never in a region that this cloud has itself, and
 * only by URLs that the operator permits.
 */
export function injectEndpoints(catalog: readonly CatalogService[], injection: Injection): CatalogService[] {
  const own = new Set(catalog.flatMap(({ endpoints }) => endpoints.map(({ region }) => region)));
  const added = new Map<string, CatalogEndpoint[]>();
  for (const endpoint of injection.endpoints) {
    const as = injection.regions.find(({ region }) => region === endpoint.region)?.as;
    const type = endpoint.serviceType;
    if (as === undefined || own.has(as) || !faces.has(endpoint.interface)) continue;
    if (!typeForm.test(type) || comparable(type).startsWith('identity')) continue;
    const url = fillUrl(endpoint.url, injection.values);
    if (url === null || !isPermitted(url, injection.hosts)) continue;
    const id = injection.idOf('endpoint', endpoint.id);
    const entry = { id, interface: endpoint.interface, region_id: as, url, region: as };
    added.set(type, [...(added.get(type) ?? []), entry]);
  }
  const merged = catalog.map((service) => {
    const more = added.get(service.type) ?? [];
    added.delete(service.type);
    return { ...service, endpoints: [...service.endpoints, ...more] };
  });
  const fresh = [...added].map(([type, endpoints]) => ({
    endpoints,
    id: injection.idOf('service', type),
    type,
    name: type,
  }));
  return [...merged, ...fresh];
}
