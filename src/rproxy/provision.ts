/** Projects at a partner, typed. */
import type { CallOptions } from '../client/connection.ts';
import type { ClientPool } from '../client/pool.ts';
import { AllianceError } from '../core/errors.ts';
import { provisionLimits, timeLimits } from '../core/limits.ts';
import { idForm } from '../lproxy/keystoneBodies.ts';
import type { Partner } from '../model/partner.ts';
import type { ProvisionContent } from '../model/provision.ts';
import { DeprovisionRequest, type ProvisionedProject, ProvisionRequest, toInt64, toNumber } from '../wire/types.ts';

export interface RemoteProject {
  /** Keystone's ids at the partner. */
  readonly projectId: string;
  readonly domainId: string;
  readonly name: string;
  /** Names of the roles that the user has there. */
  readonly roles: readonly string[];
  /** UTC epoch milliseconds; null: it stays until it is given back. */
  readonly expiresAt: number | null;
}

/** A request, besides what it asks for. */
export interface RequestIdentity {
  readonly requestId: string;
  /** Whether the project of an earlier request is still there (project_not_found, as the partner says it): none is made. */
  readonly onlyKnown?: boolean;
}

/** Asks for a project; the same request gets the same project, however often it is sent. */
export async function provision(
  pool: ClientPool,
  partner: Partner,
  { requestId, onlyKnown = false }: RequestIdentity,
  content: ProvisionContent,
  options: CallOptions = {},
): Promise<RemoteProject> {
  const { name, userId, roles, expiresAt } = content;
  const request = new ProvisionRequest({
    request_id: requestId,
    name,
    ...(userId !== null && { user_id: userId }),
    ...(roles !== null && { roles: [...roles] }),
    ...(expiresAt !== null && { expires_at: toInt64(expiresAt) }),
    ...(onlyKnown && { only_known: true }),
  });
  return readProject(requestId, content, await pool.call(partner, 'provision', request, options));
}

/** Nothing of an answer is stored or shown that could not be the answer to what was asked. */
function readProject(requestId: string, asked: ProvisionContent, made: ProvisionedProject): RemoteProject {
  const check = (field: string, fits: boolean): void => {
    const details = `The partner answers with a ${field} that cannot be that of this request.`;
    if (!fits) throw new AllianceError('wire_malformed', { field, details });
  };
  const expiresAt = made.expires_at === undefined ? null : toNumber(made.expires_at);
  const latest = asked.expiresAt ?? timeLimits.latestMs;
  check('request_id', made.request_id === requestId);
  check('name', made.name === asked.name);
  check('user_id', (made.user_id ?? null) === asked.userId);
  check('project_id', idForm.test(made.project_id));
  check('domain_id', idForm.test(made.domain_id));
  check('roles', made.roles.length <= provisionLimits.roles && made.roles.every(isRoleName));
  check('expires_at', expiresAt === null ? asked.expiresAt === null : expiresAt > 0 && expiresAt <= latest);
  return { projectId: made.project_id, domainId: made.domain_id, name: asked.name, roles: made.roles, expiresAt };
}

function isRoleName(role: string): boolean {
  const bytes = Buffer.byteLength(role);
  return bytes >= 1 && bytes <= provisionLimits.roleBytes && !/\p{Cc}/u.test(role);
}

/** Gives a project back, by its id at the partner. @throws AllianceError project_not_found, as the partner says it */
export async function deprovision(
  pool: ClientPool,
  partner: Partner,
  projectId: string,
  options: CallOptions = {},
): Promise<void> {
  await pool.call(partner, 'deprovision', new DeprovisionRequest({ project_id: projectId }), options);
}
