/** Token calls at a partner, typed: is this token of yours valid, and log this user in. */
import type { CallOptions } from '../client/connection.ts';
import type { ClientPool } from '../client/pool.ts';
import { AllianceError } from '../core/errors.ts';
import { parseForeignToken } from '../lproxy/foreignToken.ts';
import type { KeystoneToken } from '../lproxy/keystoneBodies.ts';
import type { Partner } from '../model/partner.ts';
import {
  ApplicationCredentials,
  AuthenticateRequest,
  IndeterminateReason,
  type IssuedToken,
  NamedReference,
  PasswordCredentials,
  TokenStatus,
  type TokenValidation,
  toNumber,
  ValidateTokenRequest,
} from '../wire/types.ts';
import { readTime } from './time.ts';

/** `revocationHead` is the sequence of the issuer's newest revocation when it answered; null where it does not say. */
export type Validation =
  | {
      readonly status: 'valid';
      readonly expiresAt: number;
      /** When the issuer's Keystone said so. */
      readonly checkedAt: number;
      /** Keystone's body, verbatim, and what decisions are made on; null from a soft validation. */
      readonly body: string | null;
      readonly facts: KeystoneToken | null;
      readonly revocationHead: number | null;
    }
  | { readonly status: 'invalid'; readonly checkedAt: number; readonly revocationHead: number | null }
  | { readonly status: 'indeterminate'; readonly reason: IndeterminateName };

const reasonNames = new Map(
  Object.entries(IndeterminateReason).map(([name, value]) => [value as number, name.toLowerCase()]),
);

/** `keystone_unreachable`, `not_known`, ... : the names of the IDL in lower case, or `unknown`. */
export type IndeterminateName = string;

export interface ValidateOptions extends CallOptions {
  /** From what the issuer knows lately, without the body and without asking its Keystone. */
  readonly soft?: boolean;
  /** Also a token that has expired, within the window of the issuer's Keystone. */
  readonly allowExpired?: boolean;
}

/** Asks the issuer. */
export async function validateToken(
  pool: ClientPool,
  partner: Partner,
  token: string,
  options: ValidateOptions = {},
): Promise<Validation> {
  const { soft = false, allowExpired = false, ...callOptions } = options;
  const request = new ValidateTokenRequest({ token, ...(allowExpired && { allow_expired: true }) });
  const answer = await pool.call(partner, soft ? 'validateTokenSoft' : 'validateTokenHard', request, callOptions);
  return readValidation(answer, soft);
}

function readValidation(answer: TokenValidation, soft: boolean): Validation {
  // An answer without its members is none; the wire has checked their types.
  const missing = (field: string): AllianceError =>
    new AllianceError('wire_malformed', { field, details: `A validation without ${field}.` });
  const { status, reason, expires_at: expiresAt, checked_at: checkedAt, body } = answer;
  const revocationHead = answer.revocation_head ? toNumber(answer.revocation_head) : null;
  if (status === TokenStatus.INDETERMINATE)
    return { status: 'indeterminate', reason: reasonNames.get(reason ?? 0) ?? 'unknown' };
  if (!checkedAt) throw missing('checked_at');
  if (status === TokenStatus.INVALID)
    return { status: 'invalid', checkedAt: readTime(checkedAt, 'checked_at'), revocationHead };
  if (!expiresAt) throw missing('expires_at');
  if (!soft && !body) throw missing('body');
  return {
    status: 'valid',
    expiresAt: readTime(expiresAt, 'expires_at'),
    checkedAt: readTime(checkedAt, 'checked_at'),
    body: body ?? null,
    facts: soft || body === undefined ? null : parseForeignToken(body),
    revocationHead,
  };
}

/** A user or project: by id, or by name within a domain. */
export type NameOrId =
  | { readonly id: string }
  | { readonly name: string; readonly domain: { readonly id: string } | { readonly name: string } };

export type UserCredentials =
  | { readonly kind: 'password'; readonly user: NameOrId; readonly password: string; readonly project?: NameOrId }
  | { readonly kind: 'application_credential'; readonly id: string; readonly secret: string };

export interface ForeignToken {
  readonly token: string;
  readonly expiresAt: number;
  /** Keystone's body without the catalog, verbatim. */
  readonly body: string;
}

const toReference = (reference: NameOrId): NamedReference => {
  if ('id' in reference) return new NamedReference({ id: reference.id });
  const { name, domain } = reference;
  return new NamedReference({ name, ...('id' in domain ? { domain_id: domain.id } : { domain_name: domain.name }) });
};

/** Logs a user in at the partner's Keystone, with the user's own credentials. */
export async function authenticate(
  pool: ClientPool,
  partner: Partner,
  credentials: UserCredentials,
  options: CallOptions = {},
): Promise<ForeignToken> {
  const request =
    credentials.kind === 'password'
      ? new AuthenticateRequest({
          password: new PasswordCredentials({
            user: toReference(credentials.user),
            password: credentials.password,
          }),
          ...(credentials.project && { project: toReference(credentials.project) }),
        })
      : new AuthenticateRequest({
          application_credential: new ApplicationCredentials({ id: credentials.id, secret: credentials.secret }),
        });
  const issued: IssuedToken = await pool.call(partner, 'authenticate', request, options);
  return { token: issued.token, expiresAt: readTime(issued.expires_at, 'expires_at'), body: issued.body };
}
