/** What callers of this cloud's Keystone see: options, operations, answers. */
import type { Clock } from '../core/clock.ts';
import type { ErrorName } from '../core/errorTable.ts';
import type {
  Credentials,
  KeystoneEndpoint,
  KeystoneRegion,
  KeystoneService,
  KeystoneToken,
  Scope,
} from './keystoneBodies.ts';
import type { KeystoneLimits } from './keystoneHttp.ts';
import type { KeystoneProjects } from './keystoneProjects.ts';
import type { RevocationEvent } from './keystoneRevocations.ts';
import type {
  KeystoneAssignment,
  KeystoneDomain,
  KeystoneGroup,
  KeystoneProject,
  KeystoneRole,
  KeystoneUser,
} from './keystoneRows.ts';

export type KeystoneOperation =
  | 'login'
  | 'validate'
  | 'issue'
  | 'revoke'
  | 'revocations'
  | 'services'
  | 'endpoints'
  | 'regions'
  | 'projects'
  | 'domains'
  | 'users'
  | 'groups'
  | 'roles'
  | 'assignments'
  | 'version';
export type KeystoneOutcome = 'ok' | 'invalid' | ErrorName;

export interface KeystoneOptions {
  /** With or without `/v3` at its end, with any path before it. */
  readonly authUrl: string;
  /** Of the broker's own user. */
  readonly credentials: Credentials;
  readonly scope?: Scope;
  /** Region and interface that `endpointUrl` chooses; absent: any region, public. */
  readonly region?: string;
  readonly interface?: 'public' | 'internal' | 'admin';
  /** Authorities to trust instead of the system's, PEM (the text, not a path). */
  readonly cacert?: string;
  readonly clock?: Clock;
  readonly limits?: Partial<KeystoneLimits>;
  /** Called once for every operation, and for every login of the broker itself. */
  readonly onCall?: (operation: KeystoneOperation, outcome: KeystoneOutcome, ms: number) => void;
}

export type TokenAnswer =
  | {
      readonly status: 'valid';
      /** Keystone's body, verbatim. */
      readonly body: string;
      readonly token: KeystoneToken;
      /** UTC epoch milliseconds. */
      readonly expiresAt: number;
      readonly askedAt: number;
    }
  | {
      readonly status: 'invalid';
      /** When the request left for Keystone, after all waiting in line: what changed before it is in the answer. UTC epoch milliseconds. */
      readonly askedAt: number;
    };

export interface ValidateOptions {
  /** Also tokens that expired within Keystone's window (48 h by default). */
  readonly allowExpired?: boolean;
  /** Also tokens with access rules: for those who enforce them, or only want to know whether there is such a token. */
  readonly accessRules?: boolean;
  /** False leaves the service catalog out of the body. */
  readonly catalog?: boolean;
}

export interface EndpointFilter {
  readonly serviceId?: string;
  readonly interface?: string;
  readonly region?: string;
}

/**
 * Every method throws AllianceError: keystone_unreachable (no connection, 5xx), keystone_refused (the broker's
 * own credentials or rights), keystone_malformed (not what the API promises), overloaded (too many wait, or Keystone is connected and
 * does not answer in time, or says that it is busy).
 */
export interface Keystone extends KeystoneProjects {
  /** @throws also token_form_refused, for what cannot be a token */
  validateToken(token: string, options?: ValidateOptions): Promise<TokenAnswer>;
  /** Log in a user; the body comes without the catalog. @throws also credentials_refused */
  issueToken(
    credentials: Credentials,
    scope?: Scope,
  ): Promise<{ readonly token: string; readonly body: string; readonly expiresAt: number }>;
  /** True when it was valid until now. */
  revokeToken(token: string): Promise<boolean>;
  /** Events of OS-REVOKE made after `since` (UTC epoch milliseconds; null: all that are kept), oldest first. */
  revocationEvents(since: number | null): Promise<RevocationEvent[]>;
  /** Those switched on, at most `keystoneLimits.listItems`, as are all lists. */
  listServices(filter?: { readonly type?: string; readonly name?: string }): Promise<KeystoneService[]>;
  listEndpoints(filter?: EndpointFilter): Promise<KeystoneEndpoint[]>;
  listRegions(): Promise<KeystoneRegion[]>;
  /** Projects that act as a domain are left out. */
  listProjects(filter: { readonly name: string; readonly domainId: string }): Promise<KeystoneProject[]>;
  /** Null where there is none that is switched on, as are all finders. */
  findProject(id: string): Promise<KeystoneProject | null>;
  listDomains(filter: { readonly name: string }): Promise<KeystoneDomain[]>;
  findDomain(id: string): Promise<KeystoneDomain | null>;
  listUsers(filter: { readonly name: string; readonly domainId: string }): Promise<KeystoneUser[]>;
  findUser(id: string): Promise<KeystoneUser | null>;
  listGroups(filter: { readonly name: string; readonly domainId: string }): Promise<KeystoneGroup[]>;
  /** Those of the whole cloud, without those of single domains. */
  listRoles(): Promise<KeystoneRole[]>;
  /** Ids of the roles that each role brings with it, one step deep; roles that bring none are missing. */
  roleInferences(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Roles on projects: of a user, implied ones and those of its groups included; or of a group, as they are assigned. */
  listAssignments(actor: { readonly userId: string } | { readonly groupId: string }): Promise<KeystoneAssignment[]>;
  /** URL of a service of this cloud, by the configured region and interface; null where there is none. */
  endpointUrl(serviceType: string): Promise<string | null>;
  /** The broker's own token, which has not expired; other than `stale`, where Keystone no longer knows that one. */
  ownToken(stale?: string): Promise<string>;
  /** The same as it is, without asking Keystone; undefined where the broker has none. */
  heldToken(): string | undefined;
  /** Logs the broker itself in, unless it is. */
  login(): Promise<void>;
  /** Needs no login. */
  version(): Promise<{ readonly id: string; readonly status: string }>;
  close(): Promise<void>;
}
