/** What a partner asks for, checked for its form alone. */
import { AllianceError } from '../../core/errors.ts';
import { provisionLimits } from '../../core/limits.ts';
import type { Provision, ProvisionContent } from '../../model/provision.ts';
import { ProvisionedProject, type ProvisionRequest, toInt64, toNumber } from '../../wire/types.ts';

export interface ReadProvision {
  readonly requestId: string;
  readonly content: ProvisionContent;
  /** Nothing is made that is not known. */
  readonly onlyKnown: boolean;
}

const bad = (field: string, details: string): AllianceError => new AllianceError('bad_request', { field, details });

function checkText(text: string, field: string, maxBytes: number): string {
  const bytes = Buffer.byteLength(text);
  if (bytes < 1 || bytes > maxBytes || /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(text))
    throw bad(field, `${field} must have 1 to ${maxBytes} bytes, without control characters.`);
  return text;
}

/** @throws AllianceError bad_request */
export function readProvision(request: ProvisionRequest): ReadProvision {
  const { requestIdBytes, nameBytes, idBytes, roleBytes, roles: mostRoles } = provisionLimits;
  const { request_id: requestId, name, user_id: userId, roles, expires_at: expiresAt, only_known: onlyKnown } = request;
  if (roles && (roles.length < 1 || roles.length > mostRoles))
    throw bad('roles', `1 to ${mostRoles} roles can be asked for.`);
  return {
    requestId: checkText(requestId, 'request_id', requestIdBytes),
    onlyKnown: onlyKnown === true,
    content: {
      name: checkText(name, 'name', nameBytes),
      userId: userId === undefined ? null : checkText(userId, 'user_id', idBytes),
      // In one order, so that the same request is the same text.
      roles: roles ? [...new Set(roles.map((role) => checkText(role, 'roles', roleBytes)))].sort() : null,
      expiresAt: expiresAt === undefined ? null : toNumber(expiresAt),
    },
  };
}

/** Whether a repeat asks for what was asked under its request id before. */
export const sameContent = (a: ProvisionContent, b: ProvisionContent): boolean =>
  a.name === b.name &&
  a.userId === b.userId &&
  a.expiresAt === b.expiresAt &&
  JSON.stringify(a.roles) === JSON.stringify(b.roles);

/** Only of one that is `active`. */
export const toProvisionedProject = ({ requestId, asked, projectId, domainId, roles, expiresAt }: Provision) =>
  new ProvisionedProject({
    request_id: requestId,
    project_id: projectId ?? '',
    name: asked.name,
    domain_id: domainId ?? '',
    roles: [...roles],
    ...(asked.userId !== null && { user_id: asked.userId }),
    ...(expiresAt !== null && { expires_at: toInt64(expiresAt) }),
  });
