/** Who a foreign token is about, as a mapping is fed it: typed lists by attribute, under the names that K2K uses and a few more. */
import { z } from 'zod';
import { AllianceError } from '../../core/errors.ts';
import type { CloudId } from '../../core/ids.ts';
import { mappingLimits } from '../../core/limits.ts';

/** Also what the audit keeps of a validation, so that a mapping can be tried on it later. */
export interface ForeignSubject {
  readonly user: ForeignOwner;
  readonly project: ForeignOwner | null;
  /** Names. */
  readonly roles: readonly string[];
  /** Ids: bodies of tokens tell no more. */
  readonly groups: readonly string[];
}

export interface ForeignOwner {
  readonly id: string;
  readonly name: string;
  readonly domain: { readonly id: string | null; readonly name: string | null };
}

export interface ForeignIdentity {
  readonly subject: ForeignSubject;
  /** What there is nothing of is missing. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
  /** The first attribute that holds what no name may hold; nobody is mapped then. */
  readonly refused: string | null;
}

const attributeNames = [
  ...['openstack_user', 'openstack_user_domain', 'openstack_roles', 'openstack_project', 'openstack_project_domain'],
  ...['openstack_groups', 'cloud_id', 'user_id', 'user_domain_id', 'project_id', 'project_domain_id'],
] as const;

const known: ReadonlySet<string> = new Set(attributeNames);

/** Whether tokens may have it; mappings written for another kind of federation name what none has. */
export const isAttribute = (name: string): boolean => known.has(name);

/**
 * Values that would change their meaning in lists joined by `;`, in headers or on a terminal. Names of Keystone are 1 to 255
 * characters; a lone half of a surrogate pair is no character at all.
 */
export const isPlainValue = (value: string): boolean =>
  value.length > 0 && value.length <= mappingLimits.valueCharacters && !/[;\p{Cc}\p{Cs}\u2028\u2029]/u.test(value);

export function identityOf(subject: ForeignSubject, cloudId: CloudId): ForeignIdentity {
  const { user, project, roles, groups } = subject;
  const given: readonly (readonly [(typeof attributeNames)[number], readonly (string | null | undefined)[]])[] = [
    ['openstack_user', [user.name]],
    ['openstack_user_domain', [user.domain.name]],
    ['openstack_roles', roles],
    ['openstack_project', [project?.name]],
    ['openstack_project_domain', [project?.domain.name]],
    ['openstack_groups', groups],
    ['cloud_id', [cloudId]],
    ['user_id', [user.id]],
    ['user_domain_id', [user.domain.id]],
    ['project_id', [project?.id]],
    ['project_domain_id', [project?.domain.id]],
  ];
  const attributes = new Map<string, readonly string[]>();
  let refused: string | null = null;
  for (const [name, values] of given) {
    const present = values.filter((value) => value !== null && value !== undefined);
    if (present.length > 0) attributes.set(name, present);
    if (present.length > mappingLimits.values || !present.every(isPlainValue)) refused ??= name;
  }
  return { subject, attributes, refused };
}

const named = z.object({ id: z.string().nullish(), name: z.string().nullish() });
const owner = z.object({ id: z.string(), name: z.string(), domain: named.nullish() });
const groupList = z.array(z.object({ id: z.string() }));
const tokenSubject = z.object({
  token: z.object({
    user: owner.extend({ 'OS-FEDERATION': z.object({ groups: groupList.nullish() }).nullish() }),
    project: owner.nullish(),
    roles: z.array(z.object({ name: z.string() })).nullish(),
  }),
});

const recordedSubject = z.object({
  user: owner,
  project: owner.nullish(),
  roles: z.array(z.string()),
  groups: z.array(z.string()),
});

/** Whom a validation was about, as the audit keeps it; null where it does not say. */
export function recordedIdentity(details: unknown, cloudId: CloudId): ForeignIdentity | null {
  const result = recordedSubject.safeParse(details);
  if (!result.success) return null;
  const { user, project, roles, groups } = result.data;
  return identityOf({ user: toOwner(user), project: project ? toOwner(project) : null, roles, groups }, cloudId);
}

const toOwner = ({ id, name, domain }: z.output<typeof owner>): ForeignOwner => ({
  id,
  name,
  domain: { id: domain?.id ?? null, name: domain?.name ?? null },
});

/** Reads the body of a token as its issuer sent it. @throws AllianceError wire_malformed for what is none */
export const foreignIdentity = (body: string, cloudId: CloudId): ForeignIdentity =>
  identityInBody(parseBodyJson(body), cloudId);

/** The same of a body that is parsed. */
export function identityInBody(json: unknown, cloudId: CloudId): ForeignIdentity {
  const result = tokenSubject.safeParse(json);
  if (!result.success)
    throw new AllianceError('wire_malformed', {
      field: result.error.issues[0]?.path.join('.') ?? 'token',
      details: 'The body is not that of a token.',
    });
  const { user, project, roles } = result.data.token;
  const subject: ForeignSubject = {
    user: toOwner(user),
    project: project ? toOwner(project) : null,
    roles: (roles ?? []).map(({ name }) => name),
    groups: (user['OS-FEDERATION']?.groups ?? []).map(({ id }) => id),
  };
  return identityOf(subject, cloudId);
}

/** Undefined for what is no JSON: it is refused as what is no token. */
export function parseBodyJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
