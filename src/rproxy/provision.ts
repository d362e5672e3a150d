/** Projects at a partner, typed. */
import type { CallOptions } from '../client/connection.ts';
import type { ClientPool } from '../client/pool.ts';
import { AllianceError } from '../core/errors.ts';
import type { Partner } from '../model/partner.ts';
import type { ProvisionContent } from '../model/provision.ts';
import { DeprovisionRequest, ProvisionRequest, toInt64, toNumber } from '../wire/types.ts';

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

/** Asks for a project; the same request gets the same project, however often it is sent. */
export async function provision(
  pool: ClientPool,
  partner: Partner,
  requestId: string,
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
  });
  const made = await pool.call(partner, 'provision', request, options);
  const wrong = (field: string): AllianceError =>
    new AllianceError('wire_malformed', { field, details: `A project with another ${field} than was asked for.` });
  if (made.request_id !== requestId) throw wrong('request_id');
  if (made.name !== name) throw wrong('name');
  if (made.project_id === '') throw wrong('project_id');
  return {
    projectId: made.project_id,
    domainId: made.domain_id,
    name,
    roles: made.roles,
    expiresAt: made.expires_at === undefined ? null : toNumber(made.expires_at),
  };
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
