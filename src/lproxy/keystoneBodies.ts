/** Bodies of the Identity API v3: what we send to log in, and what we read out of answers. Unknown members are left alone. */
import { z } from 'zod';
import { AllianceError } from '../core/errors.ts';

/** Ids of Keystone's; anything else is none, and must not become part of a path. */
export const idForm = /^[A-Za-z0-9_-]{1,64}$/;

/** A domain by id or by name. */
export type DomainReference = { readonly id: string } | { readonly name: string };
/** A user or project by id, or by name within a domain. */
export type Reference = { readonly id: string } | { readonly name: string; readonly domain: DomainReference };

export type Credentials =
  | { readonly method: 'password'; readonly user: Reference; readonly password: string }
  | { readonly method: 'application_credential'; readonly id: string; readonly secret: string }
  | {
      readonly method: 'application_credential';
      readonly name: string;
      readonly user: Reference;
      readonly secret: string;
    };

/** What the token is for; absent: the user's default project, else unscoped. An application credential has its own. */
export type Scope = { readonly project: Reference } | { readonly system: { readonly all: true } } | 'unscoped';

/** Body of `POST /v3/auth/tokens`. */
export function loginBody(credentials: Credentials, scope?: Scope): string {
  const { method, ...rest } = credentials;
  const identity =
    credentials.method === 'password'
      ? { password: { user: { ...credentials.user, password: credentials.password } } }
      : { application_credential: rest };
  return JSON.stringify({ auth: { identity: { methods: [method], ...identity }, ...(scope && { scope }) } });
}

const named = z.object({ id: z.string().nullish(), name: z.string().nullish() });
const owned = z.object({ id: z.string(), name: z.string(), domain: named.nullish() });
/** A time of Keystone's, as UTC epoch milliseconds. It is UTC, too, where Keystone forgets to say so. */
export const time = z
  .string()
  .transform((text) => Date.parse(/T[\d:.]+$/.test(text) ? `${text}Z` : text))
  .refine(Number.isFinite);

const trust = z.object({
  id: z.string(),
  trustor_user: z.object({ id: z.string() }),
  trustee_user: z.object({ id: z.string() }),
});

const tokenBody = z.object({
  token: z.object({
    expires_at: time,
    issued_at: time.nullish(),
    methods: z.array(z.string()).default([]),
    audit_ids: z.array(z.string()).default([]),
    user: owned,
    project: owned.nullish(),
    domain: named.nullish(),
    system: z.unknown().optional(),
    'OS-TRUST:trust': trust.nullish(),
    roles: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
  }),
});

export interface TokenOwner {
  readonly id: string;
  readonly name: string;
  readonly domain: { readonly id: string | null; readonly name: string | null };
}

/** The parts of a token body that decisions are made on. Times are UTC epoch milliseconds. */
export interface KeystoneToken {
  readonly expiresAt: number;
  readonly issuedAt: number | null;
  readonly methods: readonly string[];
  /** The token's own audit id, then that of the token it was got with, if any. */
  readonly auditIds: readonly string[];
  readonly user: TokenOwner;
  readonly project: TokenOwner | null;
  /** Id of the domain that it is scoped to. */
  readonly domainId: string | null;
  /** Ids of the trust that it was got with, and of the users who gave and used it. */
  readonly trust: { readonly id: string; readonly trustorId: string; readonly trusteeId: string } | null;
  /** Whether it is scoped to the whole system. */
  readonly system: boolean;
  readonly roles: readonly { readonly id: string; readonly name: string }[];
}

const owner = ({ id, name, domain }: z.infer<typeof owned>): TokenOwner => ({
  id,
  name,
  domain: { id: domain?.id ?? null, name: domain?.name ?? null },
});

const trustOf = (given: z.infer<typeof trust> | null | undefined): KeystoneToken['trust'] =>
  given ? { id: given.id, trustorId: given.trustor_user.id, trusteeId: given.trustee_user.id } : null;

const malformed = (details: string, cause?: unknown) => new AllianceError('keystone_malformed', { details, cause });

/** JSON of an answer. The text is never quoted in the error: it may hold a token. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('The answer is not JSON.');
  }
}

export function parseBody<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const paths = result.error.issues.slice(0, 5).map((issue) => issue.path.join('.') || 'the body');
  throw malformed(`Missing or of the wrong type: ${paths.join(', ')}.`);
}

/** @throws AllianceError keystone_malformed where expires_at or the user is missing */
export const parseToken = (text: string): KeystoneToken => readToken(parseJson(text));

/** The same of a body that is parsed. */
export function readToken(json: unknown): KeystoneToken {
  const { token } = parseBody(tokenBody, json);
  return {
    expiresAt: token.expires_at,
    issuedAt: token.issued_at ?? null,
    methods: token.methods,
    auditIds: token.audit_ids,
    user: owner(token.user),
    project: token.project ? owner(token.project) : null,
    domainId: token.domain?.id ?? null,
    trust: trustOf(token['OS-TRUST:trust']),
    system: token.system !== undefined && token.system !== null,
    roles: token.roles,
  };
}

/** The body without `token.catalog`, byte for byte the same where there is none. */
export function withoutCatalog(text: string): string {
  const body = parseJson(text) as { token?: { catalog?: unknown } };
  if (body.token?.catalog === undefined) return text;
  delete body.token.catalog;
  return JSON.stringify(body);
}

/** Whether a body is Keystone's own error of that status, and not, say, the 404 page of a proxy on the way. */
export function isKeystoneError(text: string, status: number): boolean {
  try {
    return (JSON.parse(text) as { error?: { code?: unknown } } | null)?.error?.code === status;
  } catch {
    return false;
  }
}

/** Whether a login was refused. Keystone says 404 for an application credential, or its user, that it does not know. */
export const isLoginRefusal = (text: string, status: number): boolean =>
  status === 401 || status === 403 || (status === 404 && isKeystoneError(text, 404));

export interface KeystoneService {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly description: string | null;
}

export interface KeystoneEndpoint {
  readonly id: string;
  readonly serviceId: string;
  readonly interface: string;
  readonly region: string | null;
  /** As registered; may hold templates such as `$(project_id)s`. */
  readonly url: string;
}

export interface KeystoneRegion {
  readonly id: string;
  readonly description: string;
  readonly parentId: string | null;
}

const enabled = z.boolean().nullish();

export const serviceRow = z
  .object({
    id: z.string(),
    type: z.string(),
    name: z.string().nullish(),
    description: z.string().nullish(),
    enabled,
  })
  .transform((row) => ({
    enabled: row.enabled !== false,
    item: { id: row.id, type: row.type, name: row.name ?? '', description: row.description ?? null },
  }));

export const endpointRow = z
  .object({
    id: z.string(),
    service_id: z.string(),
    interface: z.string(),
    url: z.string(),
    region_id: z.string().nullish(),
    region: z.string().nullish(),
    enabled,
  })
  .transform((row) => ({
    enabled: row.enabled !== false,
    item: {
      id: row.id,
      serviceId: row.service_id,
      interface: row.interface,
      region: row.region_id ?? row.region ?? null,
      url: row.url,
    },
  }));

export const regionRow = z
  .object({ id: z.string(), description: z.string().nullish(), parent_region_id: z.string().nullish() })
  .transform((row) => ({
    enabled: true,
    item: { id: row.id, description: row.description ?? '', parentId: row.parent_region_id ?? null },
  }));

/** A row of a list and whether it is switched on. */
export type RowSchema<T> = z.ZodType<{ enabled: boolean; item: T }>;

const links = z.object({ next: z.string().nullish() }).nullish();

/** One page of a list: its rows under `key`, and the link to the next page. */
export function parsePage<T>(text: string, key: string, row: RowSchema<T>) {
  const page = parseBody(z.looseObject({ links }), parseJson(text));
  const rows = parseBody(z.array(row), page[key]);
  return { rows, next: page.links?.next ?? null };
}

/** The one resource of an answer, under its `key`. */
export const parseMember = <T>(text: string, key: string, row: RowSchema<T>) =>
  parseBody(z.object({ [key]: row }), parseJson(text))[key]!;

const versionBody = z.object({ version: z.object({ id: z.string(), status: z.string() }) });

export const parseVersion = (text: string) => parseBody(versionBody, parseJson(text)).version;
