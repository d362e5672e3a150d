/**
 * A foreign token's body as this cloud's services get to see it: with local ids, roles and catalog, and nothing of the issuer's but
 * its times, its audit ids and its restrictions. Done anew on each read, so that a change of mapping, role or trust counts as soon as it
 * is known here; what that takes is in memory.
 */
import type { ClientPool } from '../client/pool.ts';
import type { Clock } from '../core/clock.ts';
import { type Config, partnerConfig } from '../core/config.ts';
import type { PartnerUid } from '../core/ids.ts';
import { localiseLimits, trustLimits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Keystone, KeystoneRole } from '../lproxy/keystone.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
import type { Partner } from '../model/partner.ts';
import type { Provisions } from '../model/provision.ts';
import { effectiveState } from '../model/trust.ts';
import { type CatalogService, injectEndpoints, type LocalCatalog, localCatalog } from './catalog.ts';
import { readBody } from './foreignBody.ts';
import { foreignCatalogId, foreignDomain, foreignUserId } from './foreignUser.ts';
import { LocalDirectory } from './localDirectory.ts';
import { applyMapping, type MappingOptions } from './mapping/apply.ts';
import type { ForeignIdentity } from './mapping/identity.ts';
import type { DenialReason, MappingAcceptance, Omission, RuleTrace } from './mapping/outcome.ts';
import { privilegedNames } from './mapping/privilege.ts';
import { MappingsInForce, type MappingsOptions } from './mappingsInForce.ts';
import { Remembered } from './remembered.ts';
import { createRemoteCatalog } from './remoteCatalog.ts';
import { type ExtraProject, hasTooManyPlaces, type LocalProject, Resolution } from './resolve.ts';
import { carryOver } from './restrictions.ts';
import { withDeadline } from './withDeadline.ts';

/** What is asked to be localised: the issuer's own words about a token of its. */
export interface ForeignBody {
  readonly partner: Partner;
  readonly body: string;
  /** What stands for the body where it is remembered. */
  readonly facts?: KeystoneToken;
  /** `stale`: it counts although the partner cannot be reached. */
  readonly source: 'cache' | 'live' | 'stale';
}

export interface LocaliseOptions {
  /** False leaves the service catalog out. */
  readonly catalog: boolean;
  /** Whether whoever asks enforces access rules. */
  readonly accessRules: boolean;
}

export interface LocaliseTrace {
  readonly rules: readonly RuleTrace[];
  /** What was left out, and why. */
  readonly omissions: readonly Omission[];
}

export type Localised =
  | {
      readonly kind: 'accepted';
      readonly body: string;
      /** Numbers of the rules that fired. */
      readonly rule: string;
      /** Which mapping it was, by its hash; null: none was looked at. */
      readonly mapping: string | null;
      readonly trace: LocaliseTrace;
    }
  | {
      readonly kind: 'denied';
      readonly reason: DenialReason;
      /** What exactly, for log, audit and terminal; the asking service learns none of it. */
      readonly details: string;
      /** Which mapping it was, by its hash; null: none was looked at. */
      readonly mapping: string | null;
      readonly trace: LocaliseTrace;
    };

export interface Localiser {
  /** Throws keystone_*, overloaded where this cloud's Keystone cannot be asked, and wire_malformed for what is no token's body. */
  localise(foreign: ForeignBody, options: LocaliseOptions): Promise<Localised>;
}

export interface LocaliserOptions extends MappingsOptions {
  readonly keystone: Keystone;
  /** The same as the users of one partner may use it; all of it where this is left out. */
  readonly shareOf?: (partner: Partner) => Keystone;
  readonly pool: ClientPool;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly log: Logger;
  /** Instead of `localiseLimits.deadlineMs`. */
  readonly deadlineMs?: number;
  /** Projects that were made for users of partners: theirs beyond those of the mapping, and nobody else's. */
  readonly provisions: Pick<Provisions, 'projectsFor' | 'madeFor'>;
}

/** How the configuration bounds what a mapping yields. */
export function mappingOptions({ tokens }: Pick<Config, 'tokens'>): MappingOptions {
  const known = optionsOf.get(tokens);
  if (known) return known;
  const made = { privileged: privilegedNames(tokens), allowLocalUsers: tokens.allowLocalUsers };
  optionsOf.set(tokens, made);
  return made;
}

/** Made once for each configuration that is loaded. */
const optionsOf = new WeakMap<Config['tokens'], MappingOptions>();

/** Whose local half is looked for, and whether somebody still waits for it. */
interface Wanted {
  readonly identity: ForeignIdentity;
  readonly foreign: ForeignBody;
  readonly signal: AbortSignal;
}

/** What is remembered for one partner's users. */
interface Share {
  readonly directory: LocalDirectory;
  /** By user; as old as knowledge of trust may be. */
  readonly extras: Remembered<readonly ExtraProject[]>;
}

/** What the body says of the user, once all is found. */
interface Findings {
  readonly user: { readonly id: string; readonly name: string; readonly domain: { id: string; name: string } };
  readonly project: LocalProject;
  readonly roles: readonly KeystoneRole[];
}

const tooManyPlaces: Omission = {
  reason: 'too_many_places',
  details: `The mapping leads to more than ${localiseLimits.places} projects and groups.`,
};

export function createLocaliser(options: LocaliserOptions): Localiser {
  const { keystone, shareOf, config, clock, provisions, deadlineMs = localiseLimits.deadlineMs } = options;
  // Each partner has its own, so that none pushes out what is remembered for the others.
  const shares = new Map<PartnerUid, Share>();
  const shareFor = (partner: Partner): Share => {
    const known = shares.get(partner.uid);
    if (known) return known;
    const directory = new LocalDirectory(shareOf?.(partner) ?? keystone, provisions, clock);
    const made = { directory, extras: new Remembered<readonly ExtraProject[]>(clock, trustLimits.epochPollMs) };
    shares.set(partner.uid, made);
    return made;
  };
  const mappings = new MappingsInForce(options);
  const catalogs = new Remembered<LocalCatalog>(clock);
  const remoteCatalog = createRemoteCatalog(options);
  async function find(outcome: MappingAcceptance, { identity, foreign, signal }: Wanted) {
    const { partner } = foreign;
    const { directory, extras } = shareFor(partner);
    const resolution = new Resolution({ directory, privileged: mappingOptions(config()).privileged, signal });
    const { omissions } = resolution;
    const home = foreignDomain(partner);
    const taken = (await directory.domain({ id: home.id })) ?? (await directory.domain({ name: home.name }));
    if (taken) {
      const details = `This cloud has a domain ${home.name}, which is kept for users of ${partner.cloudId}.`;
      return { found: null, omissions: [{ reason: 'domain_taken', details } as const] };
    }
    const local = outcome.user.type === 'local' ? await resolution.localUser(outcome.user) : null;
    if (outcome.user.type === 'local' && !local) return { found: null, omissions };
    const { id: userId } = identity.subject.user;
    const extra = (await extras.get(userId, () => provisions.projectsFor(partner.uid, userId, clock.now()))) ?? [];
    const place = await resolution.collect(outcome, local, extra);
    const user = local
      ? { id: local.id, name: local.name, domain: local.domain }
      : {
          id: foreignUserId(partner.uid, identity.subject.user.id),
          name: outcome.user.name ?? outcome.user.id ?? '',
          domain: home,
        };
    return { found: place && withoutStaleRoles({ user, ...place }, foreign), omissions };
  }

  /** While the partner cannot be reached, an operator may want less to be done in its users' names. */
  function withoutStaleRoles(findings: Findings, { partner, source }: ForeignBody): Findings | null {
    const left = source === 'stale' ? partnerConfig(config(), partner.cloudId).staleRoles : undefined;
    const roles = findings.roles.filter(({ name }) => left === undefined || left.includes(name));
    return roles.length > 0 ? { ...findings, roles } : null;
  }

  async function catalogFor({ user, project }: Findings, identity: ForeignIdentity, partner: Partner) {
    const source = await catalogs.get('', async () => {
      const [services, endpoints] = await Promise.all([keystone.listServices(), keystone.listEndpoints()]);
      return { services, endpoints };
    });
    const own: CatalogService[] = localCatalog(source!, { projectId: project.id, userId: user.id });
    const { regions, hosts } = partnerConfig(config(), partner.cloudId).catalogInjection;
    if (regions.length === 0) return own;
    const { subject } = identity;
    return injectEndpoints(own, {
      regions,
      hosts,
      endpoints: await remoteCatalog.endpointsOf(partner),
      values: { projectId: subject.project?.id ?? null, userId: subject.user.id },
      idOf: (kind, id) => foreignCatalogId(partner.uid, kind, id),
    });
  }

  return {
    async localise(foreign, { catalog, accessRules }) {
      const { partner, body, facts } = foreign;
      const { identity, restrictions } = readBody(body, facts, partner.cloudId);
      let version: string | null = null;
      const denied = ({ reason, details }: Omission, trace: Partial<LocaliseTrace> = {}): Localised => ({
        kind: 'denied',
        reason,
        details,
        mapping: version,
        trace: { rules: [], omissions: [], ...trace },
      });
      if (effectiveState(partner, clock.now()) !== 'active' || partner.role === 'consumer' || partner.removed)
        return denied({ reason: 'partner_not_active', details: `${partner.cloudId} is no active provider.` });
      const carried = 'reason' in restrictions ? restrictions : carryOver(restrictions, accessRules);
      if ('reason' in carried) return denied(carried);
      const inForce = await mappings.of(partner);
      if ('reason' in inForce) return denied(inForce);
      version = inForce.version;
      const outcome = applyMapping(inForce.mapping, identity, mappingOptions(config()));
      if (outcome.kind === 'denied') return denied(outcome, { rules: outcome.trace });
      if (hasTooManyPlaces(outcome)) return denied(tooManyPlaces, { rules: outcome.trace });
      const {
        found,
        omissions: further,
        services,
      } = await withDeadline(deadlineMs, async (signal) => {
        const { found, omissions } = await find(outcome, { identity, foreign, signal });
        return { found, omissions, services: catalog && found && (await catalogFor(found, identity, partner)) };
      });
      const trace = { rules: outcome.trace, omissions: [...outcome.omissions, ...further] };
      if (!found)
        return denied(
          trace.omissions[0] ?? { reason: 'no_roles', details: 'No role is left while the partner cannot be reached.' },
          trace,
        );
      const { user, project, roles } = found;
      const { application_credential: credential, ...times } = carried;
      const token = {
        methods: times.methods,
        user: { ...user, password_expires_at: null },
        audit_ids: times.audit_ids,
        expires_at: times.expires_at,
        issued_at: times.issued_at,
        project,
        is_domain: false,
        roles,
        is_admin_project: false,
        ...(services && { catalog: services }),
        ...(credential && { application_credential: credential }),
      };
      return {
        kind: 'accepted',
        body: JSON.stringify({ token }),
        rule: outcome.rule,
        mapping: version,
        trace,
      };
    },
  };
}
