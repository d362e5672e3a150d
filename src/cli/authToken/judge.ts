/** Whether a service behind keystonemiddleware reaches the facade, and which of its settings will bite. Pure. */
import { authTokenLimits } from '../../core/limits.ts';
import type { OsloSetting, OsloSettings } from '../../core/osloSettings.ts';
import type { FacadeProbe } from '../../lproxy/facadeProbe.ts';

export const authTokenSection = 'keystone_authtoken';

export interface Finding {
  readonly setting: string;
  readonly level: 'ok' | 'warning' | 'error';
  /** As it counts, defaults included; null: not set. */
  readonly value: string | null;
  readonly message: string;
}

export interface Surroundings {
  /** Root URL of the facade, as services reach it; null where nobody said. */
  readonly facadeUrl: string | null;
  /** What answers at `auth_url`; null: nobody looked. */
  readonly probe: FacadeProbe | null;
  /** Endpoints of the identity service; null: nobody could tell. */
  readonly endpoints: readonly { readonly interface: string; readonly region: string | null }[] | null;
  /** Roles that the broker takes for those of services. */
  readonly serviceTokenRoles: readonly string[];
}

/** Where the plugin's own options are: `auth_section` moves them. */
export const pluginSection = (settings: OsloSettings): string =>
  settings.find(authTokenSection, 'auth_section')?.value ?? authTokenSection;

export const authUrlOf = (settings: OsloSettings): OsloSetting | undefined =>
  settings.find(pluginSection(settings), 'auth_url');

/** Stands for what is not shown. */
export const hidden = '***';

/**
 * A value in one line, as it may be shown: nothing of what stands before the last @, which may be a user and password, nor of a query
 * or remark behind it. Whether it is a URL does not matter: what is a broken one has a password in it all the same. An @ counts also as
 * programs (%40) and input methods (full width) write it.
 */
export const showable = (value: string): string =>
  value
    .replace(/\s*\n\s*/g, ' ')
    .replace(/^(https?:\/\/)?.*(?:[@\uff20\ufe6b]|%40)/is, `$1${hidden}@`)
    .replace(/([?#]).*$/s, `$1${hidden}`);

type Finder = (settings: OsloSettings, around: Surroundings) => Finding | undefined;

const truths = new Map([
  ...['true', '1', 'on', 'yes'].map((word) => [word, true] as const),
  ...['false', '0', 'off', 'no'].map((word) => [word, false] as const),
]);

const option = (settings: OsloSettings, ...names: readonly string[]): string | undefined =>
  settings.find(authTokenSection, ...names)?.value;

const listOf = (value: string): string[] =>
  value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** A switch, its finding by its position. */
const judgeSwitch =
  (setting: string, fallback: boolean, judge: (on: boolean) => Omit<Finding, 'setting' | 'value'>): Finder =>
  (settings) => {
    const text = option(settings, setting);
    const on = text === undefined ? fallback : truths.get(text.toLowerCase());
    if (on === undefined)
      return {
        setting,
        level: 'error',
        value: text ?? null,
        message: 'It must be true or false; the service will not start.',
      };
    return { setting, value: String(on), ...judge(on) };
  };

const judgePlugin: Finder = (settings) => {
  const value = settings.find(pluginSection(settings), 'auth_type', 'auth_plugin')?.value ?? null;
  if (value !== null) return undefined;
  const message = `Without auth_type in [${showable(pluginSection(settings))}] auth_url is not used: set auth_type = password.`;
  return { setting: 'auth_type', level: 'error', value, message };
};

/** Scheme, host and port; what follows is no matter of whom it reaches. */
const placeOf = (url: string): string | undefined => (URL.canParse(url) ? new URL(url).origin : undefined);

const judgeAuthUrl: Finder = (settings, { facadeUrl, probe }) => {
  const found = authUrlOf(settings);
  const finding = (level: Finding['level'], message: string): Finding => ({
    setting: 'auth_url',
    level,
    value: found?.value ?? null,
    message,
  });
  if (found === undefined)
    return finding(
      'error',
      `There is no auth_url in [${showable(pluginSection(settings))}]; identity_uri and auth_host do not count.`,
    );
  if (!/^https?:\/\//i.test(found.value) || placeOf(found.value) === undefined)
    return finding('error', 'It is no http:// or https:// URL.');
  if (/\/v2\.0\/?$/.test(found.value))
    return finding('error', 'It names Identity v2.0, which the facade does not speak.');
  const same = facadeUrl !== null && placeOf(found.value) === placeOf(facadeUrl);
  if (probe?.kind === 'unreachable') return finding('error', `Nothing answers there (${probe.why}).`);
  if (probe?.kind === 'other')
    return finding(
      'error',
      same ? 'It names the facade, but something else answers there.' : 'It leads past the facade.',
    );
  if (probe?.kind === 'facade')
    return same
      ? finding('ok', 'The facade answers there.')
      : finding(
          'warning',
          `A facade answers there, but not at the URL that it goes by (${facadeUrl ?? 'facade.url is not set'}).`,
        );
  return same
    ? finding('ok', 'It names the facade; nobody looked what answers.')
    : finding('error', 'It leads past the facade.');
};

const judgeCacheTime: Finder = (settings) => {
  const text = option(settings, 'token_cache_time');
  const seconds = text === undefined ? authTokenLimits.defaultCacheS : Number(text);
  const advice = `Set token_cache_time = ${authTokenLimits.adviceCacheS}.`;
  const finding = (level: Finding['level'], message: string): Finding => ({
    setting: 'token_cache_time',
    level,
    value: text ?? String(seconds),
    message,
  });
  if (!Number.isInteger(seconds) || text === '')
    return finding('error', 'It must be a whole number; the service will not start.');
  if (seconds === 0) return finding('warning', `With memcached 0 means without end. ${advice}`);
  if (seconds < 0) return finding('ok', 'Nothing is cached: every request asks the facade.');
  if (seconds > authTokenLimits.goodCacheS)
    return finding('warning', `A token that was revoked is accepted for up to ${seconds} s more. ${advice}`);
  return finding('ok', `A token that was revoked is accepted for up to ${seconds} s more.`);
};

/** The middleware takes the URL to validate at from the catalog, by interface and region; the facade puts its own there. */
const judgeInterface: Finder = (settings, { endpoints }) => {
  const value = (option(settings, 'interface') ?? 'internal').replace(/URL$/, '');
  const finding = (level: Finding['level'], message: string): Finding => ({
    setting: 'interface',
    level,
    value,
    message,
  });
  if (!['public', 'internal', 'admin'].includes(value))
    return finding('error', 'It must be public, internal or admin.');
  if (endpoints === null)
    return finding('ok', 'The catalog must have an identity endpoint of this interface; nobody could look.');
  if (endpoints.some((each) => each.interface === value))
    return finding('ok', 'The catalog has an identity endpoint of it.');
  return finding('error', 'The catalog has no identity endpoint of this interface: no token can be validated.');
};

const judgeRegion: Finder = (settings, { endpoints }) => {
  const value = option(settings, 'region_name') ?? null;
  if (value === null || value === '' || endpoints === null) return undefined;
  const known = endpoints.some(({ region }) => region === value);
  const message = known
    ? 'The catalog has an identity endpoint in it.'
    : 'The catalog has no identity endpoint in this region: no token can be validated.';
  return { setting: 'region_name', level: known ? 'ok' : 'error', value, message };
};

const judgeServiceType: Finder = (settings) => {
  const value = option(settings, 'service_type') ?? null;
  return value === null || value === ''
    ? {
        setting: 'service_type',
        level: 'warning',
        value: null,
        message: 'Tokens with access rules are refused while it is not set.',
      }
    : { setting: 'service_type', level: 'ok', value, message: 'Tokens with access rules can be used.' };
};

const judgeMemcached: Finder = (settings) => {
  const value = option(settings, 'memcached_servers', 'memcache_servers') ?? null;
  if (option(settings, 'cache') !== undefined)
    return {
      setting: 'cache',
      level: 'ok',
      value: option(settings, 'cache') ?? null,
      message: "The service's own cache is used.",
    };
  return value === null || value === ''
    ? {
        setting: 'memcached_servers',
        level: 'ok',
        value: null,
        message: 'Every worker caches by itself: they may differ for as long as token_cache_time.',
      }
    : { setting: 'memcached_servers', level: 'ok', value, message: 'All workers share one cache.' };
};

const judgeServiceRoles: Finder = (settings, { serviceTokenRoles }) => {
  const value = option(settings, 'service_token_roles') ?? 'service';
  const known = new Set(serviceTokenRoles.map((role) => role.toLowerCase()));
  const missing = listOf(value).filter((role) => !known.has(role.toLowerCase()));
  const finding = { setting: 'service_token_roles', value };
  if (missing.length === 0) return { ...finding, level: 'ok', message: 'The broker knows them as privileged.' };
  const message = `A mapping may give ${showable(missing.join(', '))} to foreign users: add it to tokens.service_token_roles of the broker.`;
  return { ...finding, level: 'warning', message };
};

const judgeLegacy: Finder = (settings) => {
  const found = settings.find(authTokenSection, 'identity_uri', 'auth_host');
  return (
    found && {
      setting: found.key,
      level: 'warning',
      value: found.value,
      message: 'It is of old versions and does nothing beside auth_type: remove it.',
    }
  );
};

const judgeVersion: Finder = (settings) => {
  const value = option(settings, 'auth_version') ?? null;
  if (value === null || /^v?3/i.test(value)) return undefined;
  return { setting: 'auth_version', level: 'error', value, message: 'The facade speaks Identity v3 only.' };
};

const finders: readonly Finder[] = [
  judgeAuthUrl,
  judgePlugin,
  judgeVersion,
  judgeCacheTime,
  judgeInterface,
  judgeRegion,
  judgeServiceType,
  judgeSwitch('include_service_catalog', true, (on) =>
    on
      ? { level: 'ok', message: 'The service sees the catalog, with regions of partners where those are injected.' }
      : {
          level: 'warning',
          message: 'The service sees no catalog: no regions of partners, and no token with access rules.',
        },
  ),
  judgeMemcached,
  judgeSwitch('delay_auth_decision', false, (on) =>
    on
      ? { level: 'warning', message: 'Refused tokens reach the service, which has to refuse them itself.' }
      : { level: 'ok', message: 'Refused tokens do not reach the service.' },
  ),
  judgeServiceRoles,
  judgeSwitch('service_token_roles_required', false, (on) =>
    on
      ? { level: 'ok', message: 'Only services pass for services.' }
      : {
          level: 'warning',
          message: 'Any valid token passes as X-Service-Token, also one of a foreign user: set it to true.',
        },
  ),
  judgeSwitch('insecure', false, (on) =>
    on
      ? { level: 'warning', message: 'The service trusts whoever answers.' }
      : { level: 'ok', message: 'Certificates are checked.' },
  ),
  judgeLegacy,
];

/** In a fixed order, the reachability first. */
export const judgeAuthToken = (settings: OsloSettings, around: Surroundings): Finding[] =>
  finders
    .flatMap((find) => find(settings, around) ?? [])
    .map((finding) => ({ ...finding, value: finding.value && showable(finding.value) }));

/** `auth_url` as it should be: the facade's, with the version where the former one had it, and where there was none. */
export function wantedAuthUrl(former: string | undefined, facadeUrl: string): string {
  return former === undefined || /\/v3\/?$/.test(former) ? `${facadeUrl}/v3` : facadeUrl;
}
