/** What an operator does with projects across clouds: asks partners for them, gives them back, and takes back those of partners. */
import { AllianceError } from '../core/errors.ts';
import type { CloudId } from '../core/ids.ts';
import { provisionLimits } from '../core/limits.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Partner } from '../model/partner.ts';
import { type Provision, type ProvisionContent, type ProvisionDirection, presentStates } from '../model/provision.ts';
import { deprovision, provision } from '../rproxy/provision.ts';
import { removeProject } from '../server/provisioning/projects.ts';
import { sameContent } from '../server/provisioning/request.ts';
import type { Installation } from './installation.ts';

/**
 * Asks a partner for a project. The request is stored before it is sent, so that with the same id it can be sent again when the answer
 * was lost, or could not be read or stored here; one that the partner has refused is forgotten. `onOpen` hears that nobody knows
 * whether the project was made.
 */
export async function askForProject(
  { store, pool }: Pick<Installation, 'store' | 'pool'>,
  partner: Partner,
  requestId: string,
  content: ProvisionContent,
  onOpen: () => void = () => undefined,
): Promise<Provision> {
  const { provisions } = store;
  const roles = content.roles ?? [];
  const request = { direction: 'out', requestId, asked: content, roles, domainId: null } as const;
  const stored = await provisions.reserve(
    partner,
    { ...request, expiresAt: content.expiresAt },
    provisionLimits.outgoing,
  );
  const wrong = (details: string) => new AllianceError('bad_request', { field: 'request_id', details });
  if (!sameContent(stored.asked, content)) throw wrong('This request id was used for another request.');
  if (stored.state === 'active') return stored;
  if (stored.state !== 'creating') throw wrong('The project of this request was given back.');
  try {
    const made = await provision(pool, partner, requestId, content);
    return (await provisions.activate(stored.id, made)) ?? { ...stored, ...made, state: 'active' };
  } catch (thrown) {
    if (thrown instanceof AllianceError && thrown.remote && !thrown.retryable)
      await provisions.abandon(stored.id, 'refused');
    else onOpen();
    throw thrown;
  }
}

/** The cloud that is called so: a partner, or one that was removed and whose projects are still here. */
export async function cloudOfProjects({ store }: Pick<Installation, 'store'>, name: string): Promise<CloudId> {
  const former = await store.provisions.list({ cloudId: name as CloudId, direction: 'in', states: presentStates });
  return former[0]?.cloudId ?? (await store.partners.resolve(name)).cloudId;
}

/** Of one cloud, by id or by name; ids first. @throws AllianceError project_not_found */
export async function findProvision(
  { store }: Pick<Installation, 'store'>,
  cloudId: CloudId,
  direction: ProvisionDirection,
  project: string,
): Promise<Provision> {
  const all = await store.provisions.list({ direction, cloudId, states: presentStates });
  const found =
    all.find(({ projectId }) => projectId === project) ?? all.find(({ asked: { name } }) => name === project);
  if (!found) throw new AllianceError('project_not_found');
  return found;
}

/** Gives a partner's project back. */
export async function giveBackProject(
  { store, pool }: Pick<Installation, 'store' | 'pool'>,
  partner: Partner,
  given: Provision,
): Promise<void> {
  const { id, projectId, requestId } = given;
  if (projectId === null)
    throw new AllianceError('project_not_found', {
      details: 'The partner has not answered the request yet.',
      remedy: `Send it again with \`--request-id ${requestId}\`.`,
    });
  await store.provisions.beginRemoval(id, 'operator');
  try {
    await deprovision(pool, partner, projectId);
  } catch (thrown) {
    // Gone by itself, at the end of its life.
    if (!(thrown instanceof AllianceError && thrown.remote && thrown.errorName === 'project_not_found')) throw thrown;
  }
  await store.provisions.endRemoval(id);
}

/** Removes a project that was made here for a partner. */
export async function takeBackProject(
  { store }: Pick<Installation, 'store'>,
  keystone: Keystone,
  made: Provision,
): Promise<void> {
  if (made.projectId === null)
    throw new AllianceError('project_not_found', { details: 'It is being made, or was never finished.' });
  await removeProject(store, keystone, made, 'operator');
}
