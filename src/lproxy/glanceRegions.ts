/** The Glances of one Keystone: which regions have one, and a store for each, all of them with one login. */
import { z } from 'zod';
import { type Clock, systemClock } from '../core/clock.ts';
import { AllianceError } from '../core/errors.ts';
import { glanceLimits } from '../core/limits.ts';
import { createGlance, type GlanceLimits } from './glance.ts';
import type { ImageStore } from './imageStore.ts';
import { createKeystone, type KeystoneOptions, type Reference } from './keystone.ts';
import { parseBody, parseJson } from './keystoneBodies.ts';

export interface GlanceRegionsOptions extends Omit<KeystoneOptions, 'limits' | 'region' | 'onCall'> {
  /** The project to work in, instead of that of `scope`. */
  readonly project?: Reference;
  /** Before the region in messages, such as the name of a target; absent: the region alone. */
  readonly label?: string;
  /** Whether images may be made `public`; absent: with the role admin, as Glance has it unless its policy was changed. */
  readonly publishes?: boolean;
  readonly limits?: Partial<GlanceLimits>;
  readonly keystoneLimits?: KeystoneOptions['limits'];
}

export interface GlanceRegions {
  /** Those with an image endpoint of the wanted interface, in the order of the catalog. */
  regions(): Promise<readonly string[]>;
  /** Of the project that the stores work in. @throws AllianceError glance_refused where the login has none */
  projectId(): Promise<string>;
  /** URL of its Glance, as the catalog has it. @throws AllianceError region_not_found */
  endpoint(region: string): Promise<string>;
  /** The same one for every call with the same region. @throws AllianceError region_not_found */
  store(region: string): Promise<ImageStore>;
  /** Ends the stores, too. */
  close(): Promise<void>;
}

const body = z.object({
  token: z.object({
    project: z.object({ id: z.string() }).nullish(),
    roles: z.array(z.object({ name: z.string() })).default([]),
    catalog: z
      .array(
        z.object({
          type: z.string(),
          endpoints: z.array(
            z.object({
              interface: z.string(),
              url: z.string(),
              region_id: z.string().nullish(),
              region: z.string().nullish(),
            }),
          ),
        }),
      )
      .default([]),
  }),
});

interface Access {
  readonly projectId: string;
  readonly isAdmin: boolean;
  /** URLs by region. */
  readonly endpoints: ReadonlyMap<string, string>;
}

/** @throws AllianceError keystone_malformed */
function readAccess(text: string, wanted: string): Access {
  const { token } = parseBody(body, parseJson(text));
  const endpoints = new Map<string, string>();
  for (const { type, endpoints: those } of token.catalog)
    for (const { interface: kind, url, region_id: id, region: name } of type === 'image' ? those : []) {
      const region = id ?? name ?? '';
      if (kind === wanted && region !== '' && !endpoints.has(region)) endpoints.set(region, url);
    }
  return { projectId: token.project?.id ?? '', isAdmin: token.roles.some(({ name }) => name === 'admin'), endpoints };
}

/** An old address of Identity v2.0 leads to v3 at the same place. */
const modernUrl = (authUrl: string): string => authUrl.replace(/\/v2\.0\/*$/, '/v3');

export function createGlanceRegions(options: GlanceRegionsOptions): GlanceRegions {
  const { project, label, publishes, limits, keystoneLimits, clock = systemClock as Clock, ...rest } = options;
  const keystone = createKeystone({
    ...rest,
    clock,
    authUrl: modernUrl(options.authUrl),
    ...(project !== undefined && { scope: { project } }),
    ...(keystoneLimits !== undefined && { limits: keystoneLimits }),
  });
  const tokens = { token: () => keystone.ownToken(), replace: (stale: string) => keystone.ownToken(stale) };
  const stores = new Map<string, { readonly url: string; readonly store: ImageStore }>();
  const retired: ImageStore[] = [];
  let known: { readonly access: Access; readonly until: number } | undefined;
  let asking: Promise<Access> | undefined;

  /** What Keystone says of our own token: its project, roles and catalog. */
  async function ask(): Promise<Access> {
    const first = await keystone.ownToken();
    let answer = await keystone.validateToken(first);
    if (answer.status === 'invalid') answer = await keystone.validateToken(await keystone.ownToken(first));
    if (answer.status === 'invalid')
      throw new AllianceError('keystone_refused', { details: 'Keystone does not know the token that it gave.' });
    const access = readAccess(answer.body, options.interface ?? 'public');
    known = { access, until: clock.now() + glanceLimits.catalogMs };
    return access;
  }

  function access(): Promise<Access> {
    if (known && clock.now() < known.until) return Promise.resolve(known.access);
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  function unknownRegion(region: string, endpoints: Access['endpoints']): AllianceError {
    const names = [...endpoints.keys()];
    return new AllianceError('region_not_found', {
      field: 'region',
      details: `${label ?? 'The catalog'} has no image endpoint in region "${region}"; it has ${names.length > 0 ? names.join(', ') : 'none at all'}.`,
    });
  }

  async function projectId(): Promise<string> {
    const { projectId: id } = await access();
    if (id === '')
      throw new AllianceError('glance_refused', { details: 'The login is for no project, and images belong to one.' });
    return id;
  }

  async function endpoint(region: string): Promise<string> {
    const { endpoints } = await access();
    const url = endpoints.get(region);
    if (url === undefined) throw unknownRegion(region, endpoints);
    return url;
  }

  return {
    regions: async () => [...(await access()).endpoints.keys()],
    projectId,
    endpoint,
    async store(region) {
      const owner = await projectId();
      const { isAdmin } = await access();
      const url = await endpoint(region);
      const open = stores.get(region);
      if (open?.url === url) return open.store;
      // Somebody may still work with the one at the old address.
      if (open) retired.push(open.store);
      const store = createGlance({
        endpoint: url,
        label: label === undefined ? region : `${label}:${region}`,
        tokens,
        projectId: owner,
        publishes: publishes ?? isAdmin,
        cacert: options.cacert,
        limits,
      });
      stores.set(region, { url, store });
      return store;
    },
    async close() {
      await Promise.all([...retired, ...[...stores.values()].map(({ store }) => store)].map((store) => store.close()));
      await keystone.close();
    },
  };
}
