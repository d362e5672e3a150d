/**
 * What a foreign token is allowed less than its roles say. Each restriction is carried over as it is, or the token is refused; a
 * member that is not known here may be a restriction, too.
 */
import { z } from 'zod';
import { foreignLimits } from '../core/limits.ts';
import type { Omission } from './mapping/outcome.ts';

const harmless = [
  ...['methods', 'user', 'audit_ids', 'expires_at', 'issued_at', 'project', 'domain', 'system', 'is_domain'],
  ...['roles', 'is_admin_project', 'catalog', 'service_providers', 'application_credential'],
];

const word = z.string().max(foreignLimits.bodyTextCharacters);

/** As Keystone has them. Of what has another form nobody knows whether services would enforce it, nor how much memory it takes. */
const accessRule = z.strictObject({
  id: word.nullish(),
  path: word.nullish(),
  method: word.nullish(),
  service: word.nullish(),
});
const credentialBody = z.strictObject({
  id: word,
  name: word.optional(),
  restricted: z.boolean().optional(),
  access_rules: z.array(accessRule).max(foreignLimits.accessRules).optional(),
});

/** As Keystone writes times, without a zone where a token ends with its application credential. They are handed on as text, to services that read no other form. */
const time = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z?$/);

/** The parts of the issuer's body that go into ours as they are. */
const carriedBody = z.object({
  token: z.looseObject({
    methods: z.array(z.string()),
    audit_ids: z.array(z.string()),
    expires_at: time,
    issued_at: time,
    application_credential: z.unknown().optional(),
  }),
});

export interface Carried {
  readonly methods: readonly string[];
  readonly audit_ids: readonly string[];
  readonly expires_at: string;
  readonly issued_at: string;
  readonly application_credential?: Readonly<z.infer<typeof credentialBody>>;
}

/** What is carried over, and the restriction that is not everybody's to enforce. */
export interface Restrictions {
  readonly carried: Carried;
  readonly hasAccessRules: boolean;
}

const restricted = (details: string): Omission => ({ reason: 'restricted', details });

/** `accessRules`: whether the caller says that it enforces access rules (OpenStack-Identity-Access-Rules). */
export function carryOver({ carried, hasAccessRules }: Restrictions, accessRules: boolean): Carried | Omission {
  return hasAccessRules && !accessRules
    ? restricted('The token has access rules, and the service does not say that it enforces them.')
    : carried;
}

/** Reads them out of the parsed body, or says why the token has to be refused whoever asks. */
export function readRestrictions(body: unknown): Restrictions | Omission {
  const result = carriedBody.safeParse(body);
  if (!result.success) return restricted('The body lacks what every token has, or has it in another form.');
  const { token } = result.data;
  if (token.domain || token.system || token.is_domain === true)
    return { reason: 'scope_refused', details: 'Tokens of a domain or of the whole system are never mapped.' };
  const unknown = Object.keys(token).find((name) => token[name] !== null && !harmless.includes(name));
  if (unknown !== undefined) return restricted(`The token has ${unknown.slice(0, 64)}, which cannot be carried over.`);

  const { methods, audit_ids, expires_at, issued_at, application_credential: credential } = token;
  const carried = { methods, audit_ids, expires_at, issued_at };
  if (!credential) return { carried, hasAccessRules: false };
  const read = credentialBody.safeParse(credential);
  if (!read.success) {
    const [issue] = read.error.issues;
    const where = [...issue!.path, ...(issue!.code === 'unrecognized_keys' ? issue.keys : [])].join('.').slice(0, 64);
    return restricted(`What the application credential says of ${where || 'itself'} cannot be carried over.`);
  }
  return {
    carried: { ...carried, application_credential: read.data },
    hasAccessRules: read.data.access_rules !== undefined,
  };
}
