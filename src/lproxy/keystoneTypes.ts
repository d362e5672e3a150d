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

export type KeystoneOperation =
  | 'login'
  | 'validate'
  | 'issue'
  | 'revoke'
  | 'services'
  | 'endpoints'
  | 'regions'
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
  /** False leaves the service catalog out of the body. */
  readonly catalog?: boolean;
}

export interface EndpointFilter {
  readonly serviceId?: string;
  readonly interface?: string;
  readonly region?: string;
}

/**
 * Every method throws AllianceError: keystone_unreachable (no connection, no answer in time, 5xx), keystone_refused (the broker's
 * own credentials or rights), keystone_malformed (not what the API promises), overloaded (too many wait).
 */
export interface Keystone {
  /** @throws also token_form_refused, for what cannot be a token */
  validateToken(token: string, options?: ValidateOptions): Promise<TokenAnswer>;
  /** Log in a user; the body comes without the catalog. @throws also credentials_refused */
  issueToken(
    credentials: Credentials,
    scope?: Scope,
  ): Promise<{ readonly token: string; readonly body: string; readonly expiresAt: number }>;
  /** True when it was valid until now. */
  revokeToken(token: string): Promise<boolean>;
  /** Those switched on, at most `keystoneLimits.listItems`, as are all lists. */
  listServices(filter?: { readonly type?: string; readonly name?: string }): Promise<KeystoneService[]>;
  listEndpoints(filter?: EndpointFilter): Promise<KeystoneEndpoint[]>;
  listRegions(): Promise<KeystoneRegion[]>;
  /** URL of a service of this cloud, by the configured region and interface; null where there is none. */
  endpointUrl(serviceType: string): Promise<string | null>;
  /** Logs the broker itself in, unless it is. */
  login(): Promise<void>;
  /** Needs no login. */
  version(): Promise<{ readonly id: string; readonly status: string }>;
  close(): Promise<void>;
}
